#!/usr/bin/env python3
"""Makes the .onnx files of this folder: for each family of exports one graph with the names, types, shapes and metadata that
its exporter writes, and next to nothing inside. Inputs are small, with the true relations (64x64 px has 64 + 16 + 4 = 84
cells); every graph runs. To make them again, from this folder:

    python3 -m venv /tmp/fixtures
    /tmp/fixtures/bin/pip install numpy==2.4.6 onnx==1.20.1 onnxruntime==1.24.3
    /tmp/fixtures/bin/python fixtures.py
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper

HERE = pathlib.Path(__file__).resolve().parent

F, U8, I64, I32, B = T.FLOAT, T.UINT8, T.INT64, T.INT32, T.BOOL
NUMPY = {F: np.float32, U8: np.uint8, I64: np.int64, I32: np.int32, B: np.bool_}


def graph(inputs, outputs, metadata=None, opset=17, within=(), sizes=None):
    """inputs: (name, type, shape); outputs: (name, type, shape, last operator or ""). An axis is a number or a name. sizes: what
    a named axis of an output really is. within: operators that the graph has besides."""
    nodes, weights = [], []

    def const(name, values, dtype=np.int64):
        weights.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    picture = inputs[0][0]
    unbatched = len(inputs[0][2]) == 3
    nodes.append(h.make_node("Cast", [picture], ["float"], to=F))
    axes = [0, 1, 2] if unbatched else [1, 2, 3]
    nodes.append(h.make_node("ReduceMean", ["float"], ["mean0"], keepdims=1, axes=axes))
    last = "mean0"
    for i, op in enumerate(within):
        nodes.append(h.make_node(op, [last], [f"within{i}"]))
        last = f"within{i}"
    nodes.append(h.make_node("Mul", [last, const("zero", 0, np.float32)], ["nothing"]))
    for name, _, _ in inputs[1:]:  # read, so that the runtime keeps them
        nodes.append(h.make_node("Identity", [name], [name + "_seen"]))
    for i, (name, dtype, shape, op) in enumerate(outputs):
        rank = max(len(shape), 1)
        target = [(sizes or {}).get(d, 1) if isinstance(d, str) else d for d in shape] or [1]
        flat = [1] * rank
        if not unbatched:
            flat[0] = -1
        nodes.append(h.make_node("Reshape", ["nothing", const(f"flat{i}", flat)], [f"r{i}"]))
        nodes.append(h.make_node("Expand", [f"r{i}", const(f"shape{i}", target)], [f"e{i}"]))
        at = f"e{i}"
        if op:
            nodes.append(h.make_node(op, [at], [f"o{i}"]))
            at = f"o{i}"
        nodes.append(h.make_node("Cast", [at], [name], to=dtype))
    g = h.make_graph(
        nodes, "fixture",
        [h.make_tensor_value_info(n, t, s) for n, t, s in inputs],
        [h.make_tensor_value_info(n, t, s) for n, t, s, _ in outputs], weights)
    m = h.make_model(g, opset_imports=[h.make_opsetid("", opset)], producer_name="pytorch", ir_version=8)
    for k, v in (metadata or {}).items():
        entry = m.metadata_props.add()
        entry.key, entry.value = k, v
    return m


def ultralytics(model, task, names, **more):
    meta = {
        "description": f"Ultralytics {model} model trained on parts.yaml", "author": "Ultralytics", "date": "2026-01-01T00:00:00",
        "version": "8.3.0", "license": "AGPL-3.0 License (https://ultralytics.com/license)", "docs": "https://docs.ultralytics.com",
        "stride": "32", "task": task, "batch": "1", "imgsz": "[64, 64]", "names": str(dict(enumerate(names))), "channels": "3",
    }
    meta.update(more)
    return meta


def images(n=1, size=64, c=3, name="images"):
    return (name, F, [n, c, size, size])


ONE, THREE = ["scratch"], ["scratch", "dent", "it's"]

FIXTURES = {
    "yolov8": graph([images()], [("output0", F, [1, 7, 84], "")], ultralytics("YOLOv8n", "detect", THREE)),
    "yolov8-dynamic": graph(
        [("images", F, ["batch", 3, "height", "width"])], [("output0", F, ["batch", 7, "anchors"], "")],
        ultralytics("YOLO11n", "detect", THREE, imgsz="[64, 96]"), sizes={"anchors": 126}),
    "yolov8-seg": graph(
        [images()], [("output0", F, [1, 39, 84], ""), ("output1", F, [1, 32, 16, 16], "")], ultralytics("YOLOv8n-seg", "segment", THREE)),
    "yolov8-cls": graph([images()], [("output0", F, [1, 3], "Softmax")], ultralytics("YOLOv8n-cls", "classify", THREE, stride="1")),
    "yolov8-pose": graph([images()], [("output0", F, [1, 56, 84], "")], ultralytics("YOLOv8n-pose", "pose", ["person"])),
    "yolo26": graph([images()], [("output0", F, [1, 300, 6], "")], ultralytics("YOLO26n", "detect", THREE, end2end="True")),
    "yolov8-nms": graph(
        [images()], [("output0", F, [1, 300, 6], "")], ultralytics("YOLOv8n", "detect", THREE, args="{'batch': 1, 'nms': True}", end2end="False")),
    # The loop over the pictures is unrolled for the batch that it was exported for.
    "yolov8-nms-dynamic": graph(
        [("images", F, ["batch", 3, "height", "width"])], [("output0", F, ["batch", 300, 6], "")],
        ultralytics("YOLOv8n", "detect", THREE, args="{'batch': 2, 'nms': True, 'dynamic': True}", batch="2", end2end="False")),
    "yolo26-many": graph([images()], [("output0", F, [1, 1500, 6], "")], ultralytics("YOLO26n", "detect", THREE, end2end="True")),
    "yolo26-sem": graph([images()], [("output0", U8, [1, 64, 64], "")], ultralytics("YOLO26n-sem", "semantic", THREE)),
    "yolo26-depth": graph([images()], [("output0", F, [1, 1, 64, 64], "")], ultralytics("YOLO26n-depth", "depth", ["d"])),
    # 8.3.200 leaves all axes open.
    "yolo11-seg-open": graph(
        [("images", F, ["batch", 3, "height", "width"])], [("output0", F, ["batch", "numbers", "anchors"], ""), ("output1", F, ["batch", 32, "h", "w"], "")],
        ultralytics("YOLO11n-seg", "segment", THREE), sizes={"numbers": 39, "anchors": 84, "h": 16, "w": 16}),
    # From 8.4.48 on a row has one class.
    "ultralytics-rtdetr-one-class": graph(
        [images()], [("output0", F, [1, 300, 6], "")], ultralytics("rtdetr-l", "detect", THREE, version="8.4.190", head="RTDETRDecoder", end2end="False")),
    "ultralytics-rtdetr": graph([images()], [("output0", F, [1, 300, 7], "")], ultralytics("rtdetr-l", "detect", THREE)),
    # Two classes make a row of a transformer as long as one of an end-to-end export; the description names neither.
    "ultralytics-two-classes": graph(
        [images()], [("output0", F, [1, 300, 6], "")], ultralytics("best", "detect", ["scratch", "dent"])),
    # More names than the output has classes.
    "ultralytics-misfit": graph([images()], [("output0", F, [1, 7, 84], "")], ultralytics("YOLOv8n", "detect", THREE + ["chip"])),
    "yolov5": graph([images()], [("output0", F, [1, 252, 8], "")], {"stride": "32", "names": str(dict(enumerate(THREE)))}),
    "yolov5-one-class": graph([images()], [("output0", F, [1, 252, 6], "")], {"stride": "32", "names": "['scratch']"}),
    "yolov5-dynamic": graph(
        [("images", F, ["batch", 3, "height", "width"])], [("output0", F, ["batch", "anchors", "numbers"], "")],
        {"stride": "32", "names": str(dict(enumerate(THREE)))}, sizes={"anchors": 252, "numbers": 8}),
    "yolov5-seg": graph(
        [images()], [("output0", F, [1, 252, 40], ""), ("output1", F, [1, 32, 16, 16], "")], {"stride": "32", "names": str(dict(enumerate(THREE)))}),
    "yolov6": graph([images()], [("outputs", F, [1, 84, 8], "")]),
    # Declared as the true yolox_nano is, which is not part of this project.
    "yolox-nano": graph([images(size=416)], [("output", F, [1, 3549, 85], "")], opset=11),
    "yolox-decoded": graph([images()], [("output", F, [1, 84, 8], "")], within=["Exp"]),
    "rows-ambiguous": graph([images(name="input")], [("out", F, [1, 84, 8], "")]),
    "columns": graph([images(name="input")], [("out", F, [1, 7, 84], "")]),
    "rtdetr": graph(
        [images("N"), ("orig_target_sizes", I64, ["N", 2])],
        [("labels", I64, ["N", 300], ""), ("boxes", F, ["N", 300, 4], ""), ("scores", F, ["N", 300], "")]),
    "rfdetr": graph([images(name="input")], [("dets", F, [1, 300, 4], ""), ("labels", F, [1, 300, 4], "")]),
    "tf-detection": graph(
        [("input_tensor", U8, [1, "h", "w", 3])],
        [("detection_boxes", F, [1, 100, 4], ""), ("detection_classes", F, [1, 100], ""), ("detection_scores", F, [1, 100], ""),
         ("num_detections", F, [1], "")]),
    "ssd-zoo": graph(
        [images(size=96, name="image")],
        [("bboxes", F, [1, "nbox", 4], ""), ("labels", I64, [1, "nbox"], ""), ("scores", F, [1, "nbox"], "")], sizes={"nbox": 5}),
    "ssd": graph([("input", F, [1, 3, 48, 64])], [("scores", F, [1, 20, 2], "Softmax"), ("boxes", F, [1, 20, 4], "")]),
    "torchvision": graph(
        [("images", F, [3, 64, 64])], [("boxes", F, ["n", 4], ""), ("labels", I64, ["n"], ""), ("scores", F, ["n"], "")], sizes={"n": 2}),
    "mmdeploy": graph([images(name="input")], [("dets", F, [1, "n", 5], ""), ("labels", I64, [1, "n"], "")], sizes={"n": 3}),
    "mmyolo": graph(
        [images()],
        [("num_dets", I64, [1, 1], ""), ("boxes", F, [1, 100, 4], ""), ("scores", F, [1, 100], ""), ("labels", I64, [1, 100], "")]),
    # SuperGradients' export with the preprocessing in the graph, and without.
    "yolo-nas": graph(
        [("input", U8, [1, 3, 64, 64])],
        [("graph2_num_predictions", I64, [1, 1], ""), ("graph2_pred_boxes", F, [1, 100, 4], ""), ("graph2_pred_scores", F, [1, 100], ""),
         ("graph2_pred_classes", I64, [1, 100], "")]),
    "yolo-nas-plain": graph(
        [images("batch", name="input")],
        [("num_predictions", I64, ["batch", 1], ""), ("pred_boxes", F, ["batch", 100, 4], ""), ("pred_scores", F, ["batch", 100], ""),
         ("pred_classes", I64, ["batch", 100], "")]),
    "unnamed-list": graph(
        [images(name="input")], [("n", I64, [1], ""), ("b", F, [1, 100, 4], ""), ("s", F, [1, 100], ""), ("c", I64, [1, 100], "")]),
    "softmax": graph([images("batch", name="input")], [("logits", F, ["batch", 4], "Softmax")]),
    "logits": graph([images("batch", name="input")], [("logits", F, ["batch", 4], "")]),
    "one-score": graph([images(name="input")], [("score", F, [1, 1], "Sigmoid")]),
    "flat-rows": graph([images(name="input")], [("graph2_flat_predictions", F, ["rows", 7], "")]),
    "segmenter": graph([images("batch", name="input")], [("output", F, ["batch", 4, 64, 64], "Softmax")]),
    "segmenter-sigmoid": graph([images("batch", name="input")], [("output", F, ["batch", 4, 64, 64], "Sigmoid")]),
    "class-map": graph([images(name="input")], [("output", I64, [1, 64, 64], "")]),
    "one-map": graph([images(name="input")], [("output", F, [1, 1, 64, 64], "")]),
    "anomalib1-patchcore": graph([images(name="input")], [("output", F, [1, 1, 64, 64], ""), ("565", F, [1], "")]),
    "anomalib1-efficientad": graph(
        [images("batch_size", name="input")],
        [("output", F, ["batch_size", 1, 64, 64], ""), ("1234", F, ["batch_size", 1, 64, 64], ""), ("1235", F, ["batch_size", 1, 64, 64], "")]),
    "anomalib1-padim": graph([images("batch_size", name="input")], [("output", F, ["batch_size", "a", "b", "c"], "")]),
    # Exported before it was validated: nothing brings scores to 0..1.
    "anomalib2-raw": graph(
        [images("batch_size", name="input")],
        [("pred_score", F, [1, 1], "ReduceMax"), ("pred_label", B, [1, 1], ""), ("anomaly_map", F, [1, 1, 64, 64], ""), ("pred_mask", B, [1, 1, 64, 64], "")]),
    # As 2.0 to 2.5.0 declare them: the outputs' batch is 1, the input's is open.
    "anomalib2": graph(
        [images("batch_size", name="input")],
        [("pred_score", F, [1, 1], ""), ("pred_label", B, [1, 1], ""), ("anomaly_map", F, [1, 1, 64, 64], ""), ("pred_mask", B, [1, 1, 64, 64], "")]),
    "peak-grid": graph(
        [images("batch")], [("scores", F, ["batch", 3, 16, 16], "Sigmoid"), ("boxes", F, ["batch", 4, 16, 16], "")]),
    "peak-grid-gray": graph(
        [images("batch", c=1)], [("scores", F, ["batch", 3, 16, 16], "Sigmoid"), ("boxes", F, ["batch", 4, 16, 16], "")]),
    "unknown": graph([images(name="input")], [("a", F, [1, 3, 8, 8, 85], ""), ("b", F, [1, 3, 4, 4, 85], "")]),
    "another-input": graph([images(), ("sensitivity", F, [1])], [("output0", F, [1, 3], "Softmax")]),
    "two-pictures": graph([images(name="left"), images(name="right")], [("output0", F, [1, 3], "Softmax")]),
}


def main():
    for name, model in FIXTURES.items():
        onnx.checker.check_model(model)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        feeds = {}
        for i in session.get_inputs():
            shape = [d if isinstance(d, int) else {"height": 64, "width": 96, "h": 32, "w": 32}.get(d, 1) for d in i.shape]
            dtype = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int64)": np.int64}[i.type]
            feeds[i.name] = np.zeros(shape, dtype)
        session.run(None, feeds)
        (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())
    print(len(FIXTURES), "graphs")


if __name__ == "__main__":
    main()
