#!/usr/bin/env python3
"""Three tiny graphs, one for each task whose answer is not boxes: classify.onnx, segment.onnx and anomaly.onnx.

They look at nothing but brightness, so that a test can say what must come out. To make them again, from this folder:

    python3 -m venv /tmp/evidence
    /tmp/evidence/bin/pip install onnx==1.23.2 numpy==2.4.6
    /tmp/evidence/bin/python make_evidence.py
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, BOOL, INT64 = TensorProto.FLOAT, TensorProto.BOOL, TensorProto.INT64
H, W = 16, 32


def save(name, nodes, outputs, **constants):
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("x", FLOAT, ["n", 1, H, W])],
        [helper.make_tensor_value_info(n, t, s) for n, t, s in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, name + ".onnx")


node = helper.make_node
f32 = np.float32

# Two logits of the mean brightness, which turn at an eighth.
save("classify", [
    node("ReduceMean", ["x"], ["mean"], axes=[2, 3], keepdims=0),
    node("Gemm", ["mean", "weights", "bias"], ["logits"]),
], [("logits", FLOAT, ["n", 2])], weights=f32([[-40, 40]]), bias=f32([5, -5]))

# Two logits for each pixel: background, and brighter than half; and which of them is the greater.
save("segment", [
    node("Sub", ["x", "half"], ["above"]),
    node("Mul", ["above", "steep"], ["bright"]),
    node("Neg", ["bright"], ["dark"]),
    node("Concat", ["dark", "bright"], ["logits"], axis=1),
    node("ArgMax", ["logits"], ["classes"], axis=1, keepdims=0),
], [("logits", FLOAT, ["n", 2, H, W]), ("classes", INT64, ["n", H, W])], half=f32(0.5), steep=f32(10))

# The four outputs of anomalib 2, under its names: the map is the brightness of 2x2 pixels, the score its maximum.
save("anomaly", [
    node("AveragePool", ["x"], ["anomaly_map"], kernel_shape=[2, 2], strides=[2, 2]),
    node("ReduceMax", ["anomaly_map"], ["pred_score"], axes=[1, 2, 3], keepdims=0),
    node("Greater", ["pred_score", "half"], ["pred_label"]),
    node("Greater", ["anomaly_map", "half"], ["pred_mask"]),
], [("pred_score", FLOAT, ["n"]), ("pred_label", BOOL, ["n"]), ("anomaly_map", FLOAT, ["n", 1, H // 2, W // 2]), ("pred_mask", BOOL, ["n", 1, H // 2, W // 2])],
    half=f32(0.5))
