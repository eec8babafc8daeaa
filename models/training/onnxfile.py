"""Writes an ONNX file, and reads a file's convolutions, without the onnx package, which a machine that only trains may lack.

An ONNX file is one protobuf message, and protobuf is a list of (field number, wire type, value). The field numbers below
are those of onnx.proto3 (IR version 8).
"""
import struct

import numpy as np

IR_VERSION = 8
FLOAT, UINT8, INT64 = 1, 2, 7  # TensorProto.DataType

_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_INTS = 1, 2, 7  # AttributeProto.AttributeType


def _varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def _int(field, value):
    return _varint(field << 3) + _varint(value)


def _bytes(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _attribute(name, value):
    body = _bytes(1, name)
    if isinstance(value, float):
        return body + _varint(2 << 3 | 5) + struct.pack("<f", value) + _int(20, _ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return body + _int(3, value) + _int(20, _ATTRIBUTE_INT)
    return body + b"".join(_int(8, v) for v in value) + _int(20, _ATTRIBUTE_INTS)


def _value_info(name, kind, shape):
    """shape: a number for a fixed axis, a name for an open one."""
    axes = b"".join(_bytes(1, _bytes(2, a) if isinstance(a, str) else _int(1, a)) for a in shape)
    return _bytes(1, name) + _bytes(2, _bytes(1, _int(1, kind) + _bytes(2, axes)))


class Graph:
    """One graph under construction. const and add return the name of what they made, for use as an input of add."""

    def __init__(self, name):
        self.name, self.nodes, self.weights, self.inputs, self.outputs = name, [], [], [], []

    def input(self, name, kind, shape):
        self.inputs.append(_bytes(11, _value_info(name, kind, shape)))
        return name

    def output(self, name, kind, shape):
        self.outputs.append(_bytes(12, _value_info(name, kind, shape)))

    def const(self, name, array):
        """array: a numpy array, written as float32, unless it is of int64."""
        kind = INT64 if array.dtype == "int64" else FLOAT
        data = array.astype("<i8" if kind == INT64 else "<f4").tobytes()
        tensor = b"".join(_int(1, n) for n in array.shape) + _int(2, kind) + _bytes(8, name) + _bytes(9, data)
        self.weights.append(_bytes(5, tensor))
        return name

    def add(self, op, *inputs, out=None, **attributes):
        """attributes: int, float or a list of int."""
        out = out or f"{op.lower()}_{len(self.nodes)}"
        node = b"".join(_bytes(1, i) for i in inputs) + _bytes(2, out) + _bytes(3, out) + _bytes(4, op)
        node += b"".join(_bytes(5, _attribute(k, v)) for k, v in sorted(attributes.items()))
        self.nodes.append(_bytes(1, node))
        return out

    def write(self, path, producer, opset=17):
        graph = b"".join(self.nodes) + _bytes(2, self.name) + b"".join(self.weights + self.inputs + self.outputs)
        path.write_bytes(_int(1, IR_VERSION) + _bytes(2, producer) + _bytes(7, graph) + _bytes(8, _bytes(1, "") + _int(2, opset)))


def _fields(data):
    """(number, value) of a message's fields: a number, or the bytes of what has a length. Others are stepped over."""
    at, data = 0, memoryview(data)

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
            if byte < 128:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            at += {1: 8, 5: 4}[kind]


def convolutions(path):
    """(name, weight, bias) of every Conv node of a file, in the order of the graph, as float32 arrays; bias None where there is none."""
    graph = next(value for number, value in _fields(path.read_bytes()) if number == 7)
    tensors, nodes = {}, []
    for number, value in _fields(graph):
        if number == 5:
            fields = list(_fields(value))
            raw = next((v for n, v in fields if n == 9), None)
            if raw is not None and (2, FLOAT) in fields:
                name = str(next(v for n, v in fields if n == 8), "utf-8")
                tensors[name] = np.frombuffer(raw, "<f4").reshape([v for n, v in fields if n == 1])
        elif number == 1:
            fields = list(_fields(value))
            if any(n == 4 and v == b"Conv" for n, v in fields):
                nodes.append((str(next(v for n, v in fields if n == 3), "utf-8"), [str(v, "utf-8") for n, v in fields if n == 1]))
    return [(name, *(tensors.get(i) for i in (inputs + [""])[1:3])) for name, inputs in nodes]
