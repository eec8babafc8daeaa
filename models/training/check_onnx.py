#!/usr/bin/env python3
"""Hold a steel-strip classifier's ONNX file against what PyTorch said of the same pictures, and time it on one core.

    python3 -m venv venv && venv/bin/pip install numpy onnx==1.23.2 onnxruntime==1.27.0
    venv/bin/python models/training/check_onnx.py --out build/steel --data-pack build/steel.npz

Exit status 1 where a score differs by more than --tolerance. No PyTorch is needed.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def milliseconds(run, image, rounds):
    """The fastest and the middle run of one picture."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run.run(None, {"image": image})
        times.append(1000 * (time.perf_counter() - start))
    return min(times), float(np.median(times))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", type=pathlib.Path, required=True, help="the --out of train_steel.py")
    p.add_argument("--data-pack", type=pathlib.Path, required=True, help="the pack that it was trained on, or one of the same set")
    p.add_argument("--tolerance", type=float, default=1e-4, help="greatest difference of a score (default: 1e-4)")
    p.add_argument("--rounds", type=int, default=200, help="timed runs (default: 200)")
    args = p.parse_args()

    path = args.out / "1" / "model.onnx"
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    want = np.array(json.loads((args.out / "report.json").read_text())["check_scores"], np.float32)
    images = np.load(args.data_pack)["images"][: len(want), None]
    run = session(path)
    got = run.run(None, {"image": images})[0]
    one_by_one = np.concatenate([run.run(None, {"image": image[None]})[0] for image in images])
    apart = max(np.abs(got - want).max(), np.abs(one_by_one - want).max())
    best, middle = milliseconds(run, images[:1], args.rounds)
    print(f"{path}: {len(want)} pictures, scores within {apart:.1e} of PyTorch's; "
          f"one picture on one core: {best:.2f} ms at best, {middle:.2f} ms median (ONNX Runtime {onnxruntime.__version__})")
    if not apart <= args.tolerance:
        sys.exit(f"{path}: scores differ by {apart:.1e}, more than {args.tolerance:.1e}: the graph is not the network that was trained")


if __name__ == "__main__":
    main()
