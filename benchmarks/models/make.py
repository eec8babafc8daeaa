#!/usr/bin/env python3
"""Writes the networks of the benchmarks: <name>/1/model.onnx and model.yaml beside this file.

    python3 -m venv venv && venv/bin/pip install numpy==2.4.6 onnx==1.23.2
    venv/bin/python make.py

Weights come from fixed seeds, so that the same versions of numpy and onnx write the same bytes. Each network is a plain
stack of 3x3 convolutions over bytes as a camera sends them (NHWC; the normalisation is in the graph), and answers for
every 32x32 px cell of its input in the layout that the ssd decoder reads:

  scores [N, cells, 2]  hot and warm: how much the cell's red (green) stands out, moved a little by the convolutions
  boxes  [N, cells, 4]  the cell's middle, the edges moved by up to 6 px by the convolutions, 0..1 of the input

So an answer depends on the picture through every layer, and what must be found is known from what was painted.
"""

import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

CELL = 32

# name: input size, colour components, layers as (channels, stride).
NETS = {
    # 0.47 and 0.70 GMAC, and for faster cores about 1.27 and 1.6 times the time of conv9-large with a tenth of its weights:
    # one of them takes 8 to 11 ms on one core with AVX-512.
    "conv9": (224, 3, [(32, 2), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1)]),
    "conv9-large": (224, 3, [(32, 2), (64, 2), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1), (128, 1)]),
    "conv9-xlarge": (224, 3, [(32, 2)] + [(32, 1)] * 7 + [(32, 2)]),
    "conv9-xxlarge": (224, 3, [(32, 2)] + [(32, 1)] * 9 + [(32, 2)]),
    # 0.05 and 0.07 GMAC, and one that takes 1.25 times as long as conv1-large: one of them takes about 1 ms.
    "conv1": (128, 3, [(16, 2), (32, 2), (64, 2), (64, 1), (64, 1), (64, 1), (64, 1)]),
    "conv1-large": (128, 3, [(16, 2), (32, 2), (64, 2), (64, 1), (64, 1), (64, 1), (64, 1), (64, 1), (64, 1)]),
    "conv1-xlarge": (128, 3, [(16, 2)] + [(16, 1)] * 6 + [(32, 2), (32, 2)]),
    # Next to nothing: what is left is the way to it.
    "tiny": (64, 1, [(8, 2), (8, 2)]),
}

MANIFEST = """\
# Made by ../../make.py for benchmarks: it finds painted cells, nothing else.
task: detect
description: {text}

inputs:
  - name: image
    layout: NHWC
    type: uint8
    width: {size}
    height: {size}
    color: {color}
    resize: stretch

output:
  decoder: ssd
  tensors: {{scores: scores, boxes: boxes}}
  box_format: xyxy
  box_unit: normalized

labels: [hot, warm]

batch_sizes: [1, 2, 4, 8]
"""


class Graph:
    def __init__(self):
        self.nodes, self.weights = [], []

    def const(self, name, array):
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, op, *inputs, out=None, **attributes):
        out = out or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out


def backbone(g, x, rng, channels, layers):
    """Convolutions with ReLU, weights scaled so that activations neither grow nor fade."""
    stride = 1
    for i, (wide, step) in enumerate(layers):
        w = rng.standard_normal((wide, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        b = rng.standard_normal(wide) * 0.1
        y = g.add("Conv", x, g.const(f"w{i}", w.astype(np.float32)), g.const(f"b{i}", b.astype(np.float32)),
                  kernel_shape=[3, 3], strides=[step, step], pads=[1, 1, 1, 1])
        x, channels, stride = g.add("Relu", y), wide, stride * step
    return x, channels, stride


def net(name, size, channels, layers):
    rng = np.random.default_rng(20260101)
    g, n = Graph(), size // CELL
    pixels = g.add("Cast", "image", to=TensorProto.FLOAT)
    x = g.add("Mul", g.add("Transpose", pixels, perm=[0, 3, 1, 2]), g.const("scale", np.float32(1 / 255)))
    deep, wide, stride = backbone(g, g.add("Sub", g.add("Mul", x, g.const("four", np.float32(4))), g.const("one", np.float32(1))), rng, channels, layers)
    cells = CELL // stride
    deep = g.add("AveragePool", deep, kernel_shape=[cells, cells], strides=[cells, cells])
    w = rng.standard_normal((6, wide, 1, 1)) * np.sqrt(4 / wide)
    w -= w.mean(axis=1, keepdims=True)
    moved = g.add("Tanh", g.add("Conv", deep, g.const("w_head", w.astype(np.float32)), kernel_shape=[1, 1]))
    move_scores, move_boxes = g.add("Slice", moved, g.const("zero", np.array([0])), g.const("two", np.array([2])), g.const("axis", np.array([1]))), \
        g.add("Slice", moved, "two", g.const("six", np.array([6])), "axis")

    means = g.add("AveragePool", x, kernel_shape=[CELL, CELL], strides=[CELL, CELL])
    if channels == 3:  # red over the others, green over the others; about 0 where the picture is grey
        pick, bias = [[30, -15, -15], [-15, 30, -15]], [-9, -9]
    else:
        pick, bias = [[0], [30]], [-9, -16.5]
    logits = g.add("Conv", means, g.const("w_pick", np.array(pick, np.float32).reshape(2, channels, 1, 1)), g.const("b_pick", np.array(bias, np.float32)), kernel_shape=[1, 1])
    scores = g.add("Sigmoid", g.add("Add", logits, move_scores))

    middle = (np.arange(n) + 0.5) / n
    cx, cy = np.meshgrid(middle, middle)
    edge = 10 / size
    base = np.stack([cx - edge, cy - edge, cx + edge, cy + edge])[None].astype(np.float32)
    boxes = g.add("Add", g.add("Mul", move_boxes, g.const("reach", np.float32(6 / size))), g.const("base", base))
    for role, grid, width in (("scores", scores, 2), ("boxes", boxes, 4)):
        flat = g.add("Reshape", grid, g.const("flat_" + role, np.array([0, width, n * n])))
        g.add("Transpose", flat, perm=[0, 2, 1], out=role)

    graph = helper.make_graph(
        g.nodes, name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", size, size, channels])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", n * n, 2]),
         helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", n * n, 4])],
        g.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="assay-benchmarks")
    model.ir_version = 8
    checker.check_model(model, full_check=True)
    return model


def main():
    here = pathlib.Path(__file__).parent
    for name, (size, channels, layers) in NETS.items():
        folder = here / name / "1"
        folder.mkdir(parents=True, exist_ok=True)
        save(net(name, size, channels, layers), folder / "model.onnx")
        text = f"{len(layers)} plain convolutions over {size}x{size} px, for benchmarks"
        (folder / "model.yaml").write_text(MANIFEST.format(text=text, size=size, color="rgb" if channels == 3 else "gray"))


if __name__ == "__main__":
    main()
