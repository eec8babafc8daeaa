"""What the processor that trains can do."""
import pathlib
import re


def has_bfloat16() -> bool:
    """Whether it multiplies bfloat16 by itself: a step then takes about half the time."""
    cpus = pathlib.Path("/proc/cpuinfo")
    return cpus.exists() and re.search("amx_bf16|avx512_bf16", cpus.read_text()) is not None
