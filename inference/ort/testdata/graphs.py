#!/usr/bin/env python3
"""Tiny graphs with the habits of exports that people bring. To make the .onnx files again, from this folder:

    python3 -m venv /tmp/graphs
    /tmp/graphs/bin/pip install onnx==1.23.2
    /tmp/graphs/bin/python graphs.py
"""

import pathlib

from onnx import TensorProto as T
from onnx import checker, helper

HERE = pathlib.Path(__file__).resolve().parent


class Graph:
    def __init__(self):
        self.nodes, self.constants, self.n = [], [], 0

    def ints(self, *values, shape=None):
        return self.constant(T.INT64, values, shape)

    def floats(self, *values, shape=None):
        return self.constant(T.FLOAT, values, shape)

    def constant(self, kind, values, shape):
        name = f"c{len(self.constants)}"
        self.constants.append(helper.make_tensor(name, kind, [len(values)] if shape is None else shape, values))
        return name

    def __call__(self, op, *inputs, out=None, **attributes):
        self.n += 1
        out = out or f"t{self.n}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], name=out, **attributes))
        return out

    def save(self, name, inputs, outputs, initialisers=()):
        info = lambda t: helper.make_tensor_value_info(*t)
        graph = helper.make_graph(self.nodes, name, [info(t) for t in inputs], [info(t) for t in outputs], self.constants + list(initialisers))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="assay")
        if all(shape is not None for _, _, shape in outputs):  # which the checker asks for and the runtime does not
            checker.check_model(model, full_check=False)
        (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def found(name="found", squeezed=False):
    """As torchvision: no batch, and as many rows as pixels below 0.5, the darker the surer. Their boxes are the pixels, their
    labels 1 and 2 in turn. squeezed: where there is one row the axis of rows is lost."""
    g = Graph()
    flat = g("Sub", g.floats(1), g("Reshape", "image", g.ints(16)))
    at = g("Squeeze", g("NonZero", g("Greater", flat, g.floats(0.5))), *([] if squeezed else [g.ints(0)]))
    g("Gather", flat, at, out="scores")
    four = g.ints(4)
    x = g("Cast", g("Mod", at, four), to=T.FLOAT)
    y = g("Cast", g("Div", at, four), to=T.FLOAT)
    one = g.floats(1)
    last = -1 if squeezed else 1
    corner = [g("Unsqueeze", v, g.ints(last)) for v in (x, y, g("Add", x, one), g("Add", y, one))]
    g("Concat", *corner, axis=last, out="boxes")
    g("Add", g("Mod", at, g.ints(2)), g.ints(1), out="labels")
    g.save(name, [("image", T.FLOAT, [1, 4, 4])], [("boxes", T.FLOAT, ["k", 4]), ("labels", T.INT64, ["k"]), ("scores", T.FLOAT, ["k"])])


def types(name, score, box, label, count):
    """The four values of a sample as outputs of these types: a score, a box of all, a label, a count."""
    g = Graph()
    flat = g("Reshape", "x", g.ints(0, 4))
    pick = lambda i: g("Slice", flat, g.ints(i), g.ints(i + 1), g.ints(1))
    g("Cast", pick(0), to=score, out="scores")
    g("Cast", g("Unsqueeze", flat, g.ints(1)), to=box, out="boxes")
    g("Cast", pick(1), to=label, out="labels")
    g("Cast", g("Squeeze", pick(2), g.ints(1)), to=count, out="count")
    g.save(name, [("x", T.FLOAT, ["n", 1, 2, 2])],
           [("scores", score, ["n", 1]), ("boxes", box, ["n", 1, 4]), ("labels", label, ["n", 1]), ("count", count, ["n"])])


def columns(name, declared_in, declared_out, shape):
    """yolov8 of two labels that reads the six numbers of a place off the picture's columns. shape is what it reshapes to."""
    g = Graph()
    g("Reshape", "x", g.ints(*shape), out="output")
    g.save(name, [("x", T.FLOAT, [declared_in, 1, 6, 2])], [("output", T.FLOAT, [declared_out, 6, 2])])


def columns_of_the_first():
    """As columns, and nothing is found in any sample of a batch but the first."""
    g = Graph()
    n = g("Squeeze", g("Slice", g("Shape", "x"), g.ints(0), g.ints(1)))
    first = g("Cast", g("Equal", g("Range", g.ints(0, shape=[]), n, g.ints(1, shape=[])), g.ints(0)), to=T.FLOAT)
    g("Mul", g("Reshape", "x", g.ints(0, 6, 2)), g("Reshape", first, g.ints(-1, 1, 1)), out="output")
    g.save("columns-of-the-first", [("x", T.FLOAT, ["n", 1, 6, 2])], [("output", T.FLOAT, ["n", 6, 2])])


def columns_by_the_batch():
    """As columns, and the more samples there are the larger each answer."""
    g = Graph()
    n = g("Cast", g("Slice", g("Shape", "x"), g.ints(0), g.ints(1)), to=T.FLOAT)
    g("Mul", g("Reshape", "x", g.ints(0, 6, 2)), n, out="output")
    g.save("columns-by-the-batch", [("x", T.FLOAT, ["n", 1, 6, 2])], [("output", T.FLOAT, ["n", 6, 2])])


def scalar(name, declared, squeeze):
    """As some anomaly models: a map, and a score that has lost its axes. declared is what the graph says of the score."""
    g = Graph()
    g("Identity", "x", out="map")
    if squeeze:  # of a batch of 1 without axes, of 2 with one
        g("Squeeze", g("ReduceMax", "x", axes=[1, 2, 3], keepdims=1), out="a_score")
    else:
        g("ReduceMax", "x", keepdims=0, out="a_score")
    g.save(name, [("x", T.FLOAT, ["n" if squeeze else 1, 1, 2, 2])], [("map", T.FLOAT, ["n" if squeeze else 1, 1, 2, 2]), ("a_score", T.FLOAT, declared)])


def sizes():
    """As RT-DETR: boxes of 0..1 times the size that each sample is fed, scores plus what all samples are fed, and an input that
    has a value of its own."""
    g = Graph()
    size = g("Cast", "orig_target_sizes", to=T.FLOAT)
    flat = g("Reshape", "images", g.ints(0, 1, 4))
    g("Mul", flat, g("Unsqueeze", g("Concat", size, size, axis=1), g.ints(1)), out="boxes")
    first = g("Slice", g("Squeeze", flat, g.ints(1)), g.ints(0), g.ints(1), g.ints(1))
    g("Mul", g("Add", first, "more"), "own", out="scores")
    g("Cast", g("Mul", first, g.floats(0)), to=T.INT64, out="labels")
    g.save("sizes", [("images", T.FLOAT, ["n", 1, 2, 2]), ("orig_target_sizes", T.INT64, ["n", 2]), ("more", T.FLOAT, [1]), ("own", T.FLOAT, [1])],
           [("labels", T.INT64, ["n", 1]), ("boxes", T.FLOAT, ["n", 1, 4]), ("scores", T.FLOAT, ["n", 1])],
           [helper.make_tensor("own", T.FLOAT, [1], [0.5])])


if __name__ == "__main__":
    found()
    types("types", T.FLOAT16, T.DOUBLE, T.INT64, T.INT32)
    types("small-types", T.FLOAT, T.FLOAT, T.UINT8, T.BOOL)
    columns("columns", "n", "n", [0, 6, 2])
    columns("columns-declared-one", "n", 1, [0, 6, 2])  # as anomalib 2.0 declares its outputs
    columns("columns-one", 1, 1, [0, 6, 2])
    columns("columns-merged", "n", "m", [1, 6, -1])  # a batch of 2 gives one sample of twice the places
    columns("columns-stuck", "n", "m", [1, 6, 2])  # a batch of 2 does not run
    columns_of_the_first()
    columns_by_the_batch()
    found("found-squeezed", squeezed=True)
    scalar("scalar", [], squeeze=False)
    scalar("scalar-unsaid", None, squeeze=True)
    sizes()
