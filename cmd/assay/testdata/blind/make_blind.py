#!/usr/bin/env python3
"""Makes pcb-pair/2/model.onnx: a network of pcb-pair's shape that never finds anything. `pip install onnx`, then run it here.

The demo must fail with it: its agreement with the truth is measured, not assumed.
"""
import onnx
from onnx import TensorProto, helper

nodes = [
    helper.make_node("ReduceMean", ["images"], ["grey"], axes=[1], keepdims=1),
    helper.make_node("AveragePool", ["grey"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
    helper.make_node("Sub", ["cells", "cells"], ["zero"]),
    helper.make_node("Concat", ["zero"] * 6, ["scores"], axis=1),
    helper.make_node("Concat", ["zero"] * 4, ["boxes"], axis=1),
]
graph = helper.make_graph(
    nodes, "blind",
    [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, 320, 320])],
    [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 6, 80, 80]),
     helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 4, 80, 80])])
model = helper.make_model(graph, producer_name="assay", opset_imports=[helper.make_opsetid("", 13)])
model.ir_version = 8
onnx.checker.check_model(model)
onnx.save(model, "pcb-pair/2/model.onnx")
