#!/usr/bin/env python3
"""What ONNX Runtime in Python makes of real pictures: the reference that package inference is compared with.

Everything here is written from the models' own documents with numpy alone: it reads none of our manifests and shares no
code with the Go side. To make the files again, from this folder:

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install numpy==2.4.6 pillow==13.0.0 onnxruntime==1.24.3 pycocotools==2.0.11
    /tmp/reference/bin/python reference.py run --data ../../../../shared/data    # pcb-pair.json, yolox-nano.json, ultraface.json
    /tmp/reference/bin/python reference.py tensors                                # ../../decode/testdata/reference_decode.json

The pictures in pictures/ were made once, from the files that scikit-image 0.26.0 ships (pictures/README.md says whose
they are):

    /tmp/reference/bin/pip install --no-deps scikit-image==0.26.0
    /tmp/reference/bin/python reference.py pictures

README.md says what the JSON files hold.

How pictures are brought to an input, because that is where two programs differ most:
  * decoding: Pillow, which is libjpeg-turbo with its defaults (accurate integer DCT, fancy upsampling);
  * linear: pixel centres are aligned, an output pixel x looks at (x + 0.5) * w / w' - 0.5 in the picture, edges repeat,
    no smoothing when shrinking (OpenCV's INTER_LINEAR, PyTorch's align_corners=False; NOT Pillow's BILINEAR); rounded to 8 bit;
  * letterbox: one ratio min(W/w, H/h); the picture's sides are the ratio times w and h, rounded to whole pixels; boxes go
    back by the ratio that each side really got.
"""

import argparse
import hashlib
import json
import math
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent


# Pictures.

def load(path, mode):
    from PIL import Image

    with Image.open(path) as im:
        return np.asarray(im.convert(mode), dtype=np.uint8)


def linear(img, width, height):
    """img [h,w,c] uint8 to [height,width,c] uint8."""

    def taps(n_in, n_out):
        at = (np.arange(n_out) + 0.5) * (n_in / n_out) - 0.5
        low = np.floor(at)
        frac = at - low
        low = low.astype(int)
        return np.clip(low, 0, n_in - 1), np.clip(low + 1, 0, n_in - 1), frac

    y0, y1, fy = taps(img.shape[0], height)
    x0, x1, fx = taps(img.shape[1], width)
    rows = img[y0].astype(np.float64) * (1 - fy)[:, None, None] + img[y1] * fy[:, None, None]
    out = rows[:, x0] * (1 - fx)[None, :, None] + rows[:, x1] * fx[None, :, None]
    return np.floor(out + 0.5).clip(0, 255).astype(np.uint8)


# Boxes are float64 arrays of x1, y1, x2, y2.

def iou(one, many):
    w = np.minimum(one[2], many[:, 2]) - np.maximum(one[0], many[:, 0])
    h = np.minimum(one[3], many[:, 3]) - np.maximum(one[1], many[:, 1])
    shared = np.maximum(w, 0) * np.maximum(h, 0)
    size = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return shared / (size(one) + size(many) - shared)


def finish(classes, scores, boxes, labels, limit, to_frame, width, height, agnostic=False, mask=None):
    """Suppression, back to the frame, clipped; a list of candidates by falling score. mask(i, box) makes that of detection i."""
    boxes = to_frame(np.asarray(boxes, dtype=np.float64).reshape(-1, 4))
    clipped = boxes.clip(0, [width, height, width, height])
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    classes, scores, boxes, clipped, place = (a[inside] for a in (np.asarray(classes), np.asarray(scores), boxes, clipped, np.arange(len(boxes))))
    alive = np.lexsort((classes, -scores))  # by falling score; equal ones by class, then by place
    out = []
    while len(alive):
        best, rest = alive[0], alive[1:]
        out.append({"class": labels[classes[best]], "score": round(float(scores[best]), 6), "box": [round(float(v), 4) for v in clipped[best]]})
        if mask is not None:
            out[-1]["mask"] = mask(place[best], clipped[best])
        if limit > 0:
            hit = iou(boxes[best], boxes[rest]) > limit
            if not agnostic:
                hit &= classes[rest] == classes[best]
            rest = rest[~hit]
        alive = rest
    return out


def affine(sx, sy, ox=0.0, oy=0.0):
    return lambda b: (b - [ox, oy, ox, oy]) / [sx, sy, sx, sy]


# Output layouts. Each returns classes, scores, boxes in pixels of the input.

def peaks(scores, boxes, floor):
    """scores [C,H,W], boxes [4,H,W]."""
    c, y, x = np.nonzero(scores >= floor)
    return c, scores[c, y, x].astype(np.float64), boxes[:, y, x].T.astype(np.float64)


def yolox(out, width, height, strides, floor):
    """out [A,5+C]."""
    out = out.astype(np.float64)
    grids = []
    for s in strides:
        gy, gx = np.mgrid[0 : height // s, 0 : width // s]
        grids.append(np.stack([gx.ravel(), gy.ravel(), np.full(gx.size, s)], axis=1))
    grid = np.concatenate(grids).astype(np.float64)
    centre = (out[:, 0:2] + grid[:, 0:2]) * grid[:, 2:]
    size = np.exp(out[:, 2:4]) * grid[:, 2:]
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    scores = out[:, 4:5] * out[:, 5:]
    a, c = np.nonzero(scores >= floor)
    return c, scores[a, c], boxes[a]


def ssd(scores, boxes, width, height, floor, order="xyxy", unit="normalized", background=None):
    """scores [A,C], boxes [A,4]."""
    boxes = boxes.astype(np.float64)
    if order == "yxyx":
        boxes = boxes[:, [1, 0, 3, 2]]
    elif order == "cxcywh":
        boxes = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    if unit == "normalized":
        boxes = boxes * [width, height, width, height]
    if background is not None:
        scores = np.delete(scores, background, axis=1)
    a, c = np.nonzero(scores >= floor)
    return c, scores[a, c].astype(np.float64), boxes[a]


def cxcywh(b):
    """[...,4] about the centre, to corners."""
    b = np.asarray(b, dtype=np.float64)
    return np.concatenate([b[..., :2] - b[..., 2:] / 2, b[..., :2] + b[..., 2:] / 2], axis=-1)


def many(scores, boxes, floor, *more):
    """scores [A,C], boxes [A,4]: a detection for each class of a row at or above the floor. more are taken along by row."""
    a, c = np.nonzero(scores >= floor)
    return (c, scores[a, c].astype(np.float64), boxes[a], *(m[a] for m in more))


def yolov5(out, classes, floor):
    """out [A,5+C+M]."""
    out = out.astype(np.float64)
    return many(out[:, 4:5] * out[:, 5 : 5 + classes], cxcywh(out[:, :4]), floor, out[:, 5 + classes :])


def yolov8(out, classes, floor):
    """out [4+C+M,A]."""
    rows = out.astype(np.float64).T
    return many(rows[:, 4 : 4 + classes], cxcywh(rows[:, :4]), floor, rows[:, 4 + classes :])


def end2end(out, floor):
    """out [K,6+M]."""
    out = out.astype(np.float64)
    out = out[out[:, 4] >= floor]
    return out[:, 5].astype(int), out[:, 4], out[:, :4], out[:, 6:]


def rtdetr(out, width, height, floor):
    """out [K,4+C]."""
    out = out.astype(np.float64)
    return many(out[:, 4:], cxcywh(out[:, :4]) * [width, height, width, height], floor)


def rfdetr(logits, boxes, width, height, floor, activation, background):
    """logits [K,C], boxes [K,4]."""
    z = logits.astype(np.float64)
    if activation == "sigmoid":
        scores = 1 / (1 + np.exp(-z))
    elif activation == "softmax":
        scores = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    else:
        scores = z
    if background is not None:
        scores = np.delete(scores, background, axis=1)
    return many(scores, cxcywh(boxes) * [width, height, width, height], floor)


def detections(scores, boxes, labels, floor, first=0, count=None):
    """scores [K], boxes [K,4] in px of the input, labels [K]."""
    keep = np.arange(len(scores)) < (len(scores) if count is None else count)
    keep &= scores >= floor
    return labels[keep].astype(int) - first, scores[keep].astype(np.float64), boxes[keep].astype(np.float64)


# Masks.

def between(n_frame, scale, offset, n_input, n):
    """[n_frame,n]: how much each of n values counts for each pixel of the frame, bilinear, pixel centres aligned."""
    at = (((np.arange(n_frame) + 0.5) * scale + offset) * n / n_input - 0.5).clip(0, n - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n)[None]))


def masks(coefficients, prototypes, place, W, H):
    """A function for finish that makes COCO's run lengths of mask i: the whole frame, then cut to the box."""
    from pycocotools import mask as coco

    down = between(place["height"], place["scale_y"], place["offset_y"], H, prototypes.shape[1])
    across = between(place["width"], place["scale_x"], place["offset_x"], W, prototypes.shape[2])
    y, x = np.mgrid[0 : place["height"], 0 : place["width"]] + 0.5

    def mask(i, box):
        small = np.einsum("m,mhw->hw", coefficients[i], prototypes.astype(np.float64))
        whole = 1 / (1 + np.exp(-(down @ small @ across.T))) >= 0.5
        whole &= (x >= box[0]) & (x < box[2]) & (y >= box[1]) & (y < box[3])
        return coco.encode(np.asfortranarray(whole.astype(np.uint8)))["counts"].decode()

    return mask


# The models.

def run_pcb_pair(session, frame, template, floor):
    x = np.stack([load(frame, "L"), load(template, "L")])[None]
    scores, boxes = session.run(["scores", "boxes"], {"images": x})
    labels = ["open", "short", "mousebite", "spur", "copper", "pin-hole"]
    return finish(*peaks(scores[0], boxes[0], floor), labels, 0.45, affine(1, 1), 640, 640), (640, 640)


def run_yolox_nano(session, frame, _, floor):
    img = load(frame, "RGB")[:, :, ::-1]
    h, w = img.shape[:2]
    ratio = min(416 / w, 416 / h)
    iw, ih = (math.floor(n * ratio + 0.5) for n in (w, h))
    box = np.full((416, 416, 3), 114, dtype=np.uint8)
    box[:ih, :iw] = linear(img, iw, ih)
    out = session.run(["output"], {"images": box.transpose(2, 0, 1)[None].astype(np.float32)})[0]
    return finish(*yolox(out[0], 416, 416, [8, 16, 32], floor), COCO, 0.45, affine(iw / w, ih / h), w, h), (w, h)


def run_ultraface(session, frame, _, floor):
    img = load(frame, "RGB")
    h, w = img.shape[:2]
    x = (linear(img, 320, 240).astype(np.float32) - 127) / 128
    scores, boxes = session.run(["scores", "boxes"], {"input": x.transpose(2, 0, 1)[None]})
    return finish(*ssd(scores[0], boxes[0], 320, 240, floor, background=0), ["face"], 0.3, affine(320 / w, 240 / h), w, h), (w, h)


COCO = """person;bicycle;car;motorcycle;airplane;bus;train;truck;boat;traffic light;fire hydrant;stop sign;parking meter;bench;bird;cat;dog;horse;
sheep;cow;elephant;bear;zebra;giraffe;backpack;umbrella;handbag;tie;suitcase;frisbee;skis;snowboard;sports ball;kite;baseball bat;baseball glove;
skateboard;surfboard;tennis racket;bottle;wine glass;cup;fork;knife;spoon;bowl;banana;apple;sandwich;orange;broccoli;carrot;hot dog;pizza;donut;
cake;chair;couch;potted plant;bed;dining table;toilet;tv;laptop;mouse;remote;keyboard;cell phone;microwave;oven;toaster;sink;refrigerator;book;
clock;vase;scissors;teddy bear;hair drier;toothbrush""".replace("\n", "").split(";")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(data):
    import onnxruntime

    boards = (data / "deeppcb/test.txt").read_text().split()
    boards = boards[:: len(boards) // 12][:12]
    pairs = []
    for b in boards:
        stem = "deeppcb/PCBData/" + b
        pairs.append(("data", stem + "_test.jpg", stem + "_temp.png"))
    pictures = [("here", "pictures/" + p.name, None) for p in sorted((HERE / "pictures").glob("*.jpg"))]
    for name, graph, limit, floor, judge, frames in [
        ("pcb-pair", "pcb-pair/1/model.onnx", 0.45, 0.05, run_pcb_pair, pairs),
        ("yolox-nano", "models/yolox_nano/yolox_nano_coco80_416.onnx", 0.45, 0.05, run_yolox_nano, pictures),
        ("ultraface", "models/ultraface/ultraface_version-RFB-320.onnx", 0.3, 0.1, run_ultraface, pictures),
    ]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        file = (HERE.parents[2] / "models" if name == "pcb-pair" else data) / graph
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        doc = {
            "model": name,
            "graph": {"path": graph, "sha256": sha256(file)},
            "runtime": "onnxruntime " + onnxruntime.__version__,
            "floor": floor,
            "nms_iou": limit,
            "pictures": [],
        }
        for root, path, reference in frames:
            base = data if root == "data" else HERE
            found, (w, h) = judge(session, base / path, reference and base / reference, floor)
            entry = {"root": root, "path": path, "sha256": sha256(base / path), "width": w, "height": h}
            if reference:
                entry["reference"] = {"path": reference, "sha256": sha256(base / reference)}
            doc["pictures"].append(entry | {"candidates": found})
            print(name, path, [(c["class"], c["score"]) for c in found[:6]], len(found))
        write(HERE / (name + ".json"), doc)


def write(path, doc):
    """JSON, one candidate or row of numbers to a line."""

    def flat(o):
        return not any(isinstance(v, (dict, list)) and len(v) > 4 or isinstance(v, dict) for v in (o.values() if isinstance(o, dict) else o))

    def text(o, pad):
        if not isinstance(o, (dict, list)) or not o or flat(o):
            return json.dumps(o)
        inner = pad + " "
        if isinstance(o, dict):
            return "{\n" + ",\n".join(f"{inner}{json.dumps(k)}: {text(v, inner)}" for k, v in o.items()) + "\n" + pad + "}"
        return "[\n" + ",\n".join(inner + text(v, inner) for v in o) + "\n" + pad + "]"

    path.write_text(text(doc, "") + "\n")


def make_pictures():
    import skimage
    from PIL import Image

    for name in ["astronaut", "chelsea", "coffee"]:
        with Image.open(pathlib.Path(skimage.__file__).parent / "data" / (name + ".png")) as im:
            im.convert("RGB").save(HERE / "pictures" / (name + ".jpg"), quality=85, optimize=True)


# Made-up outputs, for the decoders alone.

def manifest(output, labels, width=64, height=32, nms="{iou: 0.4}"):
    return (
        f"task: detect\ninputs:\n  - {{name: x, layout: NCHW, width: {width}, height: {height}, color: gray, resize: letterbox}}\n"
        f"output: {output}\nlabels: [{', '.join(labels)}]\nnms: {nms}\nbatch_sizes: [2]\n"
    )


def tensors():
    rng = np.random.default_rng(20250)
    f32 = lambda a: np.round(a, 4).astype(np.float32)
    floor, W, H = 0.3, 64, 32
    place = {"scale_x": 0.2, "scale_y": 0.2, "offset_x": 6.0, "offset_y": 2.0, "width": 260, "height": 140}
    back = affine(place["scale_x"], place["scale_y"], place["offset_x"], place["offset_y"])
    labels, limit, cases = ["a", "b", "c"], 0.4, []

    def case(name, yaml, outs, decoded, nms=limit, agnostic=False, sample=1, mask=None):
        cases.append({
            "name": name,
            "manifest": yaml,
            "placement": place,
            "sample": sample,
            "outputs": [{"name": n, "shape": list(a.shape), "data": [round(float(v), 4) for v in a.ravel()]} for n, a in outs],
            "candidates": finish(*decoded, labels, nms, back, place["width"], place["height"], agnostic, mask),
        })

    scores = f32(np.where(rng.random((2, 3, 8, 16)) < 0.1, rng.random((2, 3, 8, 16)), 0))
    y, x = np.mgrid[0:8, 0:16] * 4.0 + 2
    half = rng.uniform(2, 14, (2, 2, 8, 16))
    boxes = f32(np.stack([x - half[:, 0], y - half[:, 1], x + half[:, 0], y + half[:, 1]], axis=1))
    out = "{decoder: peak-grid, tensors: {scores: s, boxes: b}, strides: [4], score_floor: 0.3}"
    for nms, text, agnostic in [(limit, "{iou: 0.4}", False), (limit, "{iou: 0.4, class_agnostic: true}", True), (0, "{}", False)]:
        case(f"peak-grid, nms {text}", manifest(out, labels, nms=text), [("s", scores), ("b", boxes)], peaks(scores[1], boxes[1], floor), nms, agnostic)

    raw = rng.normal(0, 0.7, (2, 42, 8))
    raw[:, :, 4:] = rng.random((2, 42, 4)) ** 0.5
    raw = f32(raw)
    out = "{decoder: yolox, tensors: {output: o}, strides: [8, 16, 32], score_floor: 0.3}"
    case("yolox", manifest(out, labels), [("o", raw)], yolox(raw[1], W, H, [8, 16, 32], floor))

    for order, unit, background in [("xyxy", "normalized", 0), ("yxyx", "pixel", None), ("cxcywh", "normalized", 3), ("cxcywh", "pixel", 1)]:
        n = 3 if background is None else 4
        scores = f32(rng.random((2, 24, n)))
        centre, size = rng.uniform(0, 1, (2, 24, 2)), rng.uniform(0.1, 0.5, (2, 24, 2))
        if unit == "pixel":
            centre, size = centre * [W, H], size * [W, H]
        boxes = np.concatenate([centre, size] if order == "cxcywh" else [centre - size / 2, centre + size / 2], axis=2)
        boxes = f32(boxes[:, :, [1, 0, 3, 2]] if order == "yxyx" else boxes)
        out = f"{{decoder: ssd, tensors: {{scores: s, boxes: b}}, box_format: {order}, box_unit: {unit}, score_floor: 0.3"
        out += "}" if background is None else f", background: {background}}}"
        case(f"ssd, {order} {unit}, background {background}", manifest(out, labels), [("s", scores), ("b", boxes)],
             ssd(scores[1], boxes[1], W, H, floor, order, unit, background))

    tensors_of_exports(case, rng, f32, labels, floor, W, H, place)
    write(HERE / "../../decode/testdata/reference_decode.json", {"cases": cases})
    for c in cases:
        print(c["name"], len(c["candidates"]))


def tensors_of_exports(case, rng, f32, labels, floor, W, H, place):
    """The layouts of the usual exports."""
    yaml = lambda text, nms="{iou: 0.4}": manifest("{" + text + f", score_floor: {floor}}}", labels, nms=nms)
    few = lambda *shape: np.where(rng.random(shape) < 0.4, rng.random(shape), 0)

    def centred(*shape):
        return np.concatenate([rng.uniform(-0.1, 1.1, (*shape, 2)), rng.uniform(0.1, 0.6, (*shape, 2))], axis=-1)

    def cornered(*shape):
        return cxcywh(centred(*shape))

    px = [W, H, W, H]
    n, m = 30, 4
    protos = f32(rng.normal(0, 1, (2, m, 8, 16)))
    coefs = rng.normal(0, 1, (2, n, m))

    rows = np.concatenate([centred(2, n) * px, rng.random((2, n, 1)) ** 0.3, few(2, n, 3)], axis=2)
    out = f32(rows)
    case("yolov5", yaml("decoder: yolov5, tensors: {output: o}"), [("o", out)], yolov5(out[1], 3, floor)[:3])
    out = f32(np.concatenate([rows, coefs], axis=2))
    *found, own = yolov5(out[1], 3, floor)
    case("yolov5 with masks", yaml("decoder: yolov5, tensors: {output: o, prototypes: p}"), [("p", protos), ("o", out)], found, mask=masks(own, protos[1], place, W, H))

    rows = np.concatenate([centred(2, n) * px, few(2, n, 3)], axis=2)
    out = f32(rows).transpose(0, 2, 1)
    case("yolov8", yaml("decoder: yolov8, tensors: {output: o}"), [("o", out)], yolov8(out[1], 3, floor)[:3])
    case("yolov8, the best class of a place", yaml("decoder: yolov8, tensors: {output: o}", "{iou: 0.4, class_agnostic: true}"), [("o", out)], yolov8(out[1], 3, floor)[:3], agnostic=True)
    out = f32(np.concatenate([rows, coefs], axis=2)).transpose(0, 2, 1)
    *found, own = yolov8(out[1], 3, floor)
    case("yolov8 with masks", yaml("decoder: yolov8, tensors: {output: o, prototypes: p}"), [("o", out), ("p", protos)], found, mask=masks(own, protos[1], place, W, H))

    rows = np.concatenate([cornered(2, n) * px, few(2, n, 1), rng.integers(0, 3, (2, n, 1))], axis=2)
    rows[:, -8:] = 0  # padding
    out = f32(rows)
    case("yolo-end2end", yaml("decoder: yolo-end2end, tensors: {output: o}", "{}"), [("o", out)], end2end(out[1], floor)[:3], nms=0)
    middle = np.concatenate([(rows[..., :2] + rows[..., 2:4]) / 2, rows[..., 2:4] - rows[..., :2]], axis=2) / px
    out = f32(np.concatenate([middle, rows[..., 4:]], axis=2))
    classes, scores, boxes, _ = end2end(out[1], floor)
    case("yolo-end2end, boxes about their middle", yaml("decoder: yolo-end2end, tensors: {output: o}, box_format: cxcywh, box_unit: normalized", "{}"),
         [("o", out)], [classes, scores, cxcywh(boxes) * px], nms=0)
    out = f32(np.concatenate([rows, coefs], axis=2))
    *found, own = end2end(out[1], floor)
    case("yolo-end2end with masks", yaml("decoder: yolo-end2end, tensors: {output: o, prototypes: p}", "{}"), [("o", out), ("p", protos)], found, nms=0, mask=masks(own, protos[1], place, W, H))
    out = np.zeros((2, 0, 6), dtype=np.float32)
    case("yolo-end2end, nothing found", yaml("decoder: yolo-end2end, tensors: {output: o}", "{}"), [("o", out)], end2end(out[1], floor)[:3], nms=0)

    out = f32(np.concatenate([centred(2, n), few(2, n, 3)], axis=2))
    case("rtdetr", yaml("decoder: rtdetr, tensors: {output: o}", "{}"), [("o", out)], rtdetr(out[1], W, H, floor), nms=0)

    boxes = f32(centred(2, n))
    for activation, background in [("sigmoid", None), ("sigmoid", 3), ("softmax", 0), ("softmax", 3), ("none", None)]:
        c = 3 if background is None else 4
        logits = f32(few(2, n, c) if activation == "none" else rng.normal(-1, 2, (2, n, c)))
        text = f"decoder: rfdetr, tensors: {{scores: s, boxes: b}}, activation: {activation}" + ("" if background is None else f", background: {background}")
        case(f"rfdetr, {activation}, background {background}", yaml(text, "{}"), [("b", boxes), ("s", logits)], rfdetr(logits[1], boxes[1], W, H, floor, activation, background), nms=0)

    scores, numbers = f32(few(2, n)), f32(rng.integers(0, 3, (2, n)))
    boxes = f32(cornered(2, n) * px)
    roles = "decoder: detections, tensors: {scores: s, boxes: b, labels: l"
    case("detections of RT-DETR", yaml(roles + "}, box_unit: pixel", "{}"), [("l", numbers), ("b", boxes), ("s", scores)], detections(scores[1], boxes[1], numbers[1], floor), nms=0)
    tf = f32((boxes / px)[..., [1, 0, 3, 2]])
    count = f32(np.array([3, 17]))
    back = tf[1].astype(np.float64)[:, [1, 0, 3, 2]] * px
    case("detections of TensorFlow", yaml(roles + ", count: n}, box_format: yxyx, label_offset: 1", "{}"),
         [("b", tf), ("l", numbers + 1), ("s", scores), ("n", count)], detections(scores[1], back, numbers[1] + 1, floor, 1, 17), nms=0)
    single = [("b", boxes[1]), ("l", numbers[1] + 1), ("s", scores[1])]
    case("detections of torchvision", yaml(roles + "}, box_unit: pixel, label_offset: 1"), single, detections(scores[1], boxes[1], numbers[1], floor), sample=0)
    nothing = [(name, a[:0]) for name, a in single]
    case("detections of torchvision, nothing found", yaml(roles + "}, box_unit: pixel, label_offset: 1"), nothing, detections(scores[1][:0], boxes[1][:0], numbers[1][:0], floor), sample=0)

    dets = f32(np.concatenate([boxes, scores[..., None]], axis=2))
    dets[:, -5:] = 0  # padding
    own = numbers.copy()
    own[:, -5:] = -1
    case("mmdeploy", yaml("decoder: mmdeploy, tensors: {dets: d, labels: l}", "{}"), [("d", dets), ("l", own)], detections(dets[1, :, 4], dets[1, :, :4], own[1], floor), nms=0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "tensors", "pictures"])
    parser.add_argument("--data", type=pathlib.Path, help="folder of the data sets (for run)")
    args = parser.parse_args()
    if args.what == "run":
        if args.data is None:
            parser.error("run needs --data")
        run(args.data)
    elif args.what == "tensors":
        tensors()
    else:
        make_pictures()
