"""What the processor that trains can do."""
import pathlib


def has_bfloat16() -> bool:
    """Whether bfloat16 is the quicker way to train: with AMX a step takes about half the time. With AVX-512 alone it takes longer than
    float32 (the board detector 1.7 times as long, the tiles' about as long: PyTorch 1.13, two cores)."""
    cpus = pathlib.Path("/proc/cpuinfo")
    return cpus.exists() and "amx_bf16" in cpus.read_text()
