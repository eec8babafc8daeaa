#!/usr/bin/env python3
"""Make the graph in int8 of a detector that train_board.py or train_look.py wrote, beside it.

    python3 -m venv build/venv && build/venv/bin/pip install onnxruntime==1.24.3 onnx numpy sympy
    build/venv/bin/python models/training/quantize_board.py --pack build/boards/pack.npz build/pcb-pair/1/model.onnx

Static, weights per channel, ranges from --pictures pairs of the training part. The last layer of each network and what follows it
stay in float32, so that scores keep their digits; the bytes of the input are taken as they are. Writes model.int8.onnx.
"""
import argparse
import pathlib
import tempfile

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

SIDE = 640


class Pairs(CalibrationDataReader):
    """Pairs of the pack as the node feeds them: grey bytes."""

    def __init__(self, pack, count):
        z = np.load(pack)
        self.of = iter(np.nonzero(z["kinds"] == 0)[0][:: max(1, int((z["kinds"] == 0).sum()) // count)])
        self.tests, self.templates = z["tests"], z["templates"]

    def get_next(self):
        i = next(self.of, None)
        if i is None:
            return None
        ground = 1 - np.unpackbits(np.stack([self.tests[i], self.templates[i]])).reshape(1, 2, SIDE, SIDE)
        return {"images": ground * np.uint8(255)}


def after(graph, name):
    """The nodes behind a tensor, to the end of the graph."""
    reached, found = {name}, []
    for node in graph.node:
        if any(i in reached for i in node.input):
            reached.update(node.output)
            found.append(node.name)
    return found


def take_bytes(model):
    """Let the first layers dequantise the input's bytes themselves: Cast, Mul, QuantizeLinear and DequantizeLinear become one node."""
    graph = model.graph
    by_input = {}
    for node in graph.node:
        for i in node.input:
            by_input.setdefault(i, []).append(node)
    graph.initializer.extend([numpy_helper.from_array(np.array(1 / 255, np.float32), "byte_scale"), numpy_helper.from_array(np.array(0, np.uint8), "byte_zero")])
    taken = 0
    for cast in [n for n in graph.node if n.op_type == "Cast"]:
        chain = [cast]
        while len(chain) < 4 and len(behind := by_input.get(chain[-1].output[0], [])) == 1:
            chain += behind
        if [n.op_type for n in chain] != ["Cast", "Mul", "QuantizeLinear", "DequantizeLinear"]:
            continue
        place = list(graph.node).index(cast)
        for node in chain:
            graph.node.remove(node)
        graph.node.insert(place, helper.make_node("DequantizeLinear", [cast.input[0], "byte_scale", "byte_zero"], [chain[-1].output[0]], name=f"bytes_{taken}"))
        taken += 1
    if not taken:
        raise SystemExit("no layer takes the bytes: want them cast, multiplied and quantised")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=pathlib.Path)
    p.add_argument("--pack", type=pathlib.Path, default=pathlib.Path("build/boards/pack.npz"))
    p.add_argument("--pictures", type=int, default=150)
    p.add_argument("--method", choices=["MinMax", "Entropy", "Percentile"], default="MinMax", help="how ranges are chosen")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ready = pathlib.Path(folder) / "ready.onnx"
        quant_pre_process(str(args.model), str(ready), skip_symbolic_shape=True)
        graph = onnx.load(ready).graph
        last = next(n for n in graph.node if n.op_type == "DepthToSpace")
        producer = next(n for n in graph.node if last.input[0] in n.output)
        second = {n.name for n in graph.node if n.name.startswith("/look/")}
        plain = [producer.name, *(n for n in after(graph, producer.output[0]) if n not in second or n.startswith("/look/out/"))]
        out = args.model.with_suffix(".int8.onnx")
        quantize_static(str(ready), str(out), Pairs(args.pack, args.pictures), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, nodes_to_exclude=plain,
                        op_types_to_quantize=["Conv", "Relu", "Add", "Resize"], calibrate_method=CalibrationMethod[args.method])
        model = onnx.load(out)
        take_bytes(model)
        onnx.checker.check_model(model)
        onnx.save(model, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
