#!/usr/bin/env python3
"""What numpy and scipy make of made-up outputs of classifiers, segmentations and anomaly models: reference_evidence.json.

It shares no code with the Go side: regions are scipy.ndimage's, and a mask is looked up pixel by pixel. To make it again,
from this folder:

    python3 -m venv /tmp/reference
    /tmp/reference/bin/pip install numpy==2.4.6 scipy==1.17.1
    /tmp/reference/bin/python reference_evidence.py

Masks are uncompressed run lengths as COCO has them: columns from left to right, beginning with what does not belong.
"""

import json
import pathlib

import numpy as np
from scipy import ndimage
from scipy.special import expit, softmax

W, H = 64, 32  # of the input
LARGE = {"scale_x": 0.53, "scale_y": 0.53, "offset_x": 5.3, "offset_y": 0.0, "width": 100, "height": 60}  # than its map
SMALL = {"scale_x": 3.1, "scale_y": 3.2, "offset_x": 0.0, "offset_y": 1.7, "width": 20, "height": 9}
rng = np.random.default_rng(40)
cases = []


def cells(n, side, scale, offset, pixels):
    """For each of n cells the pixels of the frame that it stands for."""
    of = np.floor(((np.arange(-2 * pixels - 50, 3 * pixels + 50) + 0.5) * scale + offset) * n / side).astype(int)
    lists = []
    for i in range(n):
        px = np.nonzero(of == i)[0] - 2 * pixels - 50
        if len(px) == 0:
            px = np.array([int(np.floor(((i + 0.5) * side / n - offset) / scale))])
        lists.append(px[(px >= 0) & (px < pixels)])
    return lists


class Geometry:
    def __init__(self, h, w, p):
        self.p = p
        self.columns = cells(w, W, p["scale_x"], p["offset_x"], p["width"])
        self.rows = cells(h, H, p["scale_y"], p["offset_y"], p["height"])
        self.shown = np.outer([len(r) > 0 for r in self.rows], [len(c) > 0 for c in self.columns])

    def outline(self, member):
        bits = np.zeros((self.p["height"], self.p["width"]), dtype=bool)
        for y, x in zip(*np.nonzero(member)):
            bits[np.ix_(self.rows[y], self.columns[x])] = True
        ys, xs = np.nonzero(bits)
        return [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1], runs(bits)


def runs(bits):
    flat = bits.T.ravel()
    edges = np.nonzero(np.diff(flat))[0] + 1
    lengths = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return [0] + lengths if flat[0] else lengths


def connected(member):
    names, n = ndimage.label(member, structure=np.ones((3, 3)))
    return [names == i + 1 for i in range(n)]


def whole(label, score, p):
    return {"class": label, "score": float(score), "box": [0, 0, p["width"], p["height"]], "runs": None}


def case(name, task, output, labels, outs, p, candidates, heat=None):
    text = (
        f"task: {task}\ninputs:\n  - {{name: x, layout: NCHW, width: {W}, height: {H}, color: gray, resize: letterbox}}\n"
        f"output: {output}\nlabels: [{', '.join(labels)}]\nbatch_sizes: [2]\n"
    )
    order = {l: i for i, l in enumerate(labels)}
    candidates = sorted(candidates, key=lambda c: (-c["score"], order[c["class"]]))
    for _, a in outs:
        if a.size > 100:
            a[0] = 0  # the other sample of the batch: it must not matter, and takes less room so
    case = {
        "name": name, "manifest": text, "placement": p, "sample": 1,
        "outputs": [{"name": n, "shape": list(a.shape), "data": [0 if v == 0 else round(float(v), 3) for v in a.ravel()]} for n, a in outs],
        "candidates": candidates,
    }
    if heat is not None:
        m, g = heat
        ys, xs = np.nonzero(g.shown)
        part = m[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        back = lambda n, of, side, k: float((n * side / of - p["offset_" + k]) / p["scale_" + k])
        case["heatmap"] = {
            "width": part.shape[1], "height": part.shape[0], "values": [round(float(v), 3) for v in part.ravel()],
            "area": [back(xs.min(), m.shape[1], W, "x"), back(ys.min(), m.shape[0], H, "y"),
                     back(xs.max() + 1, m.shape[1], W, "x"), back(ys.max() + 1, m.shape[0], H, "y")],
        }
    cases.append(case)
    print(f"{name}: {len(candidates)} candidates")


def f32(a):
    return np.round(a, 3).astype(np.float32)


def blobs(shape, sigma=1.0):
    """Smooth noise of about -3..3, so that there are regions and not grains."""
    a = ndimage.gaussian_filter(rng.normal(size=shape), [0] * (len(shape) - 2) + [sigma, sigma])
    return a / a.std()


# Classifiers.

def classifiers():
    logits = f32(rng.normal(0, 2, (2, 5)))
    labels = list("abcde")
    for activation, values in [("softmax", softmax(logits.astype(float), axis=1)), ("sigmoid", expit(logits.astype(float)))]:
        found = [whole(labels[i], s, LARGE) for i, s in enumerate(values[1]) if s >= 0.1]
        case(f"classifier, {activation}", "classify", f"{{decoder: classifier, tensors: {{scores: s}}, activation: {activation}, score_floor: 0.1}}",
             labels, [("s", logits)], LARGE, found)
    probs = f32(softmax(logits, axis=1))
    case("classifier, none", "classify", "{decoder: classifier, tensors: {scores: s}, activation: none}", labels, [("s", probs)], SMALL,
         [whole(labels[i], s, SMALL) for i, s in enumerate(probs[1]) if s >= 0.01])


# Segmentation.

def segments(winner, value, labels, background, g, least, floor):
    found = []
    for channel in range(len(labels) + (background is not None)):
        if channel == background:
            continue
        label = labels[channel - (background is not None and channel > background)]
        for member in connected((winner == channel) & g.shown):
            score = float(np.mean(value[member]))
            if member.sum() >= least and score >= floor:
                box, mask = g.outline(member)
                found.append({"class": label, "score": score, "box": box, "runs": mask})
    return found


def segmentation():
    for name, labels, background, activation, shape, p, least in [
        ("background first", ["a", "b"], 0, "softmax", (8, 16), LARGE, 1),
        ("background in the middle", ["a", "b"], 1, "softmax", (16, 32), SMALL, 4),
        ("no background", ["a", "b", "c"], None, "none", (8, 16), LARGE, 2),
        ("sigmoid", ["a", "b"], None, "sigmoid", (8, 16), LARGE, 1),
        ("one class", ["a"], None, "sigmoid", (16, 32), SMALL, 3),
    ]:
        n = len(labels) + (background is not None)
        raw = f32(blobs((2, n) + shape) * 2)
        if activation == "none":
            raw = f32(softmax(raw, axis=1))
        value = raw[1].astype(float)
        value = {"softmax": lambda: softmax(value, axis=0), "sigmoid": lambda: expit(value), "none": lambda: value}[activation]()
        winner, best = value.argmax(axis=0), value.max(axis=0)
        if activation == "sigmoid":
            winner = np.where(best >= 0.5, winner, -1)
        out = f"{{decoder: segmentation, tensors: {{scores: s}}, activation: {activation}, min_region: {least}, score_floor: 0.3"
        out += ", region_at: 0" if activation == "none" else ""
        out += "}" if background is None else f", background: {background}}}"
        case("segmentation, " + name, "segment", out, labels, [("s", raw)], p, segments(winner, best, labels, background, Geometry(*shape, p), least, 0.3))
    for shape, background in [((2, 8, 16), 0), ((2, 1, 8, 16), None)]:
        labels = ["a", "b"]
        number = blobs((2, 8, 16))
        number = np.digitize(number, [0.2, 1.2] if background is not None else [0.2]).astype(np.float32)
        out = "{decoder: segmentation, tensors: {labels: l}, min_region: 2" + ("}" if background is None else f", background: {background}}}")
        case(f"segmentation, labels {list(shape)}", "segment", out, labels, [("l", number.reshape(shape))], LARGE,
             segments(number[1], np.ones((8, 16)), labels, background, Geometry(8, 16, LARGE), 2, 0.01))


# Anomaly.

def anomalies(member, value, picture, g, p, least, floor):
    """The strongest region gets the picture's score, none a higher one; without regions the picture as a whole gets it."""
    regions = [m for m in connected(member & g.shown) if m.sum() >= least]
    if not regions:
        return [whole("odd", picture, p)] if picture >= floor else []
    tops = [float(value[m].max()) for m in regions]
    found = []
    for i, m in enumerate(regions):
        score = picture if i == int(np.argmax(tops)) else min(tops[i], picture)
        if score >= floor:
            box, mask = g.outline(m)
            found.append({"class": "odd", "score": float(score), "box": box, "runs": mask})
    return found


def anomaly():
    for name, mapped, scored, masked, p in [
        ("PatchCore", (2, 1, 8, 16), (2,), False, LARGE),
        ("PaDiM", (2, 1, 16, 32), (2, 1), False, SMALL),
        ("WinCLIP", (2, 8, 16), (2,), True, LARGE),
        ("map alone", (2, 1, 8, 16), None, False, LARGE),
    ]:
        m = f32(expit(blobs(mapped) - 0.7))
        places = m[1].reshape(m.shape[-2:]).astype(float)
        g = Geometry(*places.shape, p)
        outs, tensors, member = [("m", m)], "map: m", places >= 0.6
        picture = places[g.shown].max()
        if scored:
            s = f32(np.array([0.2, 0.83])).reshape(scored)
            picture = float(s[1].item())
            outs.append(("s", s))
            tensors += ", score: s"
        extra = ", region_at: 0.6"
        if masked:
            k = (places > 0.7).astype(np.float32)
            outs += [("k", np.stack([1 - k, k]).reshape(mapped)), ("l", np.array([0, 1], dtype=np.float32))]
            tensors, member, extra = tensors + ", mask: k, label: l", k > 0, ""
        case("anomaly, " + name, "anomaly", f"{{decoder: anomaly, tensors: {{{tensors}}}{extra}, min_region: 2}}", ["odd"], outs, p,
             anomalies(member, places, picture, g, p, 2, 0.01), (m[1].reshape(places.shape), g))

    quiet = np.full((2, 1, 4, 8), 0.25, dtype=np.float32)
    case("anomaly, no region", "anomaly", "{decoder: anomaly, tensors: {map: m, score: s}}", ["odd"], [("m", quiet), ("s", np.array([0, 0.375], dtype=np.float32))],
         LARGE, [whole("odd", 0.375, LARGE)], (quiet[1, 0], Geometry(4, 8, LARGE)))
    case("anomaly, score alone", "anomaly", "{decoder: anomaly, tensors: {score: s}}", ["odd"], [("s", np.array([0, 0.75], dtype=np.float32))], LARGE,
         [whole("odd", 0.75, LARGE)])

    # anomalib 1: raw scores, and what normalize_min_max makes of them.
    meta = {"image_threshold": 31.5, "pred_scores.min": 10.25, "pred_scores.max": 60.75, "pixel_threshold": 28.0, "anomaly_maps.min": 4.5, "anomaly_maps.max": 61.5}
    normal = lambda v, threshold, of: np.clip((v - threshold) / (meta[of + ".max"] - meta[of + ".min"]) + 0.5, 0, 1)
    image = ", ".join(f"{k}: {v}" for k, v in meta.items() if k[0] in "ip" and k != "pixel_threshold")
    both = ", ".join(f"{k}: {v}" for k, v in meta.items())
    raw = f32(blobs((2, 1, 8, 16)) * 15 + 25)
    g = Geometry(8, 16, LARGE)
    places = normal(raw[1, 0].astype(float), meta["pixel_threshold"], "anomaly_maps")
    for scored in [False, True]:
        picture = 44.125 if scored else float(raw[1, 0][g.shown].max())
        outs = [("m", raw)] + ([("s", np.array([0, 44.125], dtype=np.float32))] if scored else [])
        case(f"anomaly, anomalib 1, {'map and score' if scored else 'map'}", "anomaly",
             f"{{decoder: anomaly, tensors: {{map: m{', score: s' if scored else ''}}}, normalization: {{{both}}}}}", ["odd"], outs, LARGE,
             anomalies(places >= 0.5, places, float(normal(picture, meta["image_threshold"], "pred_scores")), g, LARGE, 1, 0.01), (raw[1, 0], g))
    case("anomaly, anomalib 1, score", "anomaly", f"{{decoder: anomaly, tensors: {{score: s}}, normalization: {{{image}}}}}", ["odd"],
         [("s", np.array([0, 44.125], dtype=np.float32))], LARGE, [whole("odd", normal(44.125, meta["image_threshold"], "pred_scores"), LARGE)])


classifiers()
segmentation()
anomaly()
here = pathlib.Path(__file__).resolve().parent
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
(here / "reference_evidence.json").write_text('{"cases":[\n' + lines + "\n]}\n")
