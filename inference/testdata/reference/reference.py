#!/usr/bin/env python3
"""What ONNX Runtime in Python makes of real pictures: the reference that package inference is compared with.

Everything here is written from the models' own documents with numpy alone: it reads none of our manifests and shares no
code with the Go side. To make the files again, from this folder:

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install numpy==2.4.6 pillow==13.0.0 onnxruntime==1.24.3
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
  * area: the mean over whole blocks (640 -> 320), rounded to 8 bit, halves up;
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


def area(img, factor):
    """img [h,w] uint8, shrunk by a whole factor, to uint8."""
    h, w = img.shape
    mean = img.reshape(h // factor, factor, w // factor, factor).astype(np.float64).mean(axis=(1, 3))
    return np.floor(mean + 0.5).astype(np.uint8)


# Boxes are float64 arrays of x1, y1, x2, y2.

def iou(one, many):
    w = np.minimum(one[2], many[:, 2]) - np.maximum(one[0], many[:, 0])
    h = np.minimum(one[3], many[:, 3]) - np.maximum(one[1], many[:, 1])
    shared = np.maximum(w, 0) * np.maximum(h, 0)
    size = lambda b: (b[..., 2] - b[..., 0]) * (b[..., 3] - b[..., 1])
    return shared / (size(one) + size(many) - shared)


def finish(classes, scores, boxes, labels, limit, to_frame, width, height, agnostic=False):
    """Suppression, back to the frame, clipped; a list of candidates by falling score."""
    boxes = to_frame(np.asarray(boxes, dtype=np.float64).reshape(-1, 4))
    clipped = boxes.clip(0, [width, height, width, height])
    inside = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    classes, scores, boxes, clipped = (a[inside] for a in (np.asarray(classes), np.asarray(scores), boxes, clipped))
    alive = np.lexsort((classes, -scores))  # by falling score; equal ones by class, then by place
    out = []
    while len(alive):
        best, rest = alive[0], alive[1:]
        out.append({"class": labels[classes[best]], "score": round(float(scores[best]), 6), "box": [round(float(v), 4) for v in clipped[best]]})
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


# The models.

def run_pcb_pair(session, frame, template, floor):
    pair = [area(load(p, "L"), 2).astype(np.float32) / np.float32(255) for p in (frame, template)]
    x = np.stack([pair[0], pair[1], pair[0] - pair[1]])[None]
    scores, boxes = session.run(["scores", "boxes"], {"images": x})
    labels = ["open", "short", "mousebite", "spur", "copper", "pin-hole"]
    return finish(*peaks(scores[0], boxes[0], floor), labels, 0.45, affine(0.5, 0.5), 640, 640), (640, 640)


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
        ("pcb-pair", "models/pcb-pair/model.onnx", 0.45, 0.05, run_pcb_pair, pairs),
        ("yolox-nano", "models/yolox_nano/yolox_nano_coco80_416.onnx", 0.45, 0.05, run_yolox_nano, pictures),
        ("ultraface", "models/ultraface/ultraface_version-RFB-320.onnx", 0.3, 0.1, run_ultraface, pictures),
    ]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(data / graph, options, providers=["CPUExecutionProvider"])
        doc = {
            "model": name,
            "graph": {"path": graph, "sha256": sha256(data / graph)},
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

    def case(name, yaml, outs, decoded, nms=limit, agnostic=False):
        cases.append({
            "name": name,
            "manifest": yaml,
            "placement": place,
            "sample": 1,
            "outputs": [{"name": n, "shape": list(a.shape), "data": [round(float(v), 4) for v in a.ravel()]} for n, a in outs],
            "candidates": finish(*decoded, labels, nms, back, place["width"], place["height"], agnostic),
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
    write(HERE / "../../decode/testdata/reference_decode.json", {"cases": cases})
    for c in cases:
        print(c["name"], len(c["candidates"]))


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
