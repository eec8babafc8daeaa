#!/usr/bin/env python3
"""Reference figures for eval's tests from scikit-learn, pycocotools and scipy, on seeded made-up data:

    pip install numpy scipy scikit-learn pycocotools
    python3 figures_reference.py > figures_reference.json

classify: accuracy, macro F1 and confusion of scikit-learn. roc: scikit-learn's area and curve, with many ties. boxes:
average precision of pycocotools, its precision read at every recall that can be reached in place of 101 of them, crowds
among the truths. pixels: maps laid over frames by scipy's linear interpolation, pixel AUROC of scikit-learn, AUPRO from
scipy's 8-connected labels, exact over all different scores.
"""
import base64
import contextlib
import io
import json
import random
import struct
import sys
import zlib

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage
from sklearn import metrics


def classify(seed):
    rng = random.Random(seed)
    classes = [f"c{i}" for i in range(rng.randrange(2, 7))]
    truth = [rng.choice(classes[seed % 2:]) for _ in range(rng.randrange(5, 60))]
    guess = [t if rng.random() < 0.6 else rng.choice(classes + [""]) for t in truth]
    used = [c for c in classes if c in truth or c in guess]
    present = [c for c in classes if c in truth]
    return {"classes": classes, "truth": truth, "guess": guess, "used": used,
            "confusion": metrics.confusion_matrix(truth, guess, labels=used + [""])[: len(used)].tolist(),
            "accuracy": metrics.accuracy_score(truth, guess),
            "macro_f1": metrics.f1_score(truth, guess, labels=present, average="macro", zero_division=0),
            "f1": metrics.f1_score(truth, guess, labels=present, average=None, zero_division=0).tolist(),
            "present": present}


def roc(seed):
    rng = np.random.default_rng(seed)
    steps = [3, 10, 1000][seed % 3]
    normal = rng.integers(0, steps, rng.integers(1, 40)) / steps
    anomalous = np.minimum(rng.integers(0, steps, rng.integers(1, 40)) + steps // 4, steps) / steps
    y = [0] * len(normal) + [1] * len(anomalous)
    s = np.concatenate([normal, anomalous])
    fpr, tpr, thresholds = metrics.roc_curve(y, s, drop_intermediate=False)
    return {"normal": normal.tolist(), "anomalous": anomalous.tolist(), "area": metrics.roc_auc_score(y, s),
            "fpr": fpr.tolist(), "tpr": tpr.tolist(), "scores": thresholds[1:].tolist()}


def boxes(seed):
    rng = random.Random(seed)

    def box():
        return [round(v, 1) for v in (rng.uniform(0, 80), rng.uniform(0, 80), rng.uniform(5, 30), rng.uniform(5, 30))]

    truths, found = [], []
    for image in range(1, 5):
        for _ in range(rng.randrange(1, 7)):
            b = box()
            truths.append({"id": len(truths) + 1, "image_id": image, "category_id": rng.randrange(1, 3), "bbox": b,
                           "area": b[2] * b[3], "iscrowd": int(rng.random() < 0.15)})
            for _ in range(rng.choice([0, 1, 1, 2])):
                found.append({"image_id": image, "category_id": truths[-1]["category_id"], "score": rng.randrange(50) / 50,
                              "bbox": [round(v, 2) for v in (b[0] + rng.uniform(-4, 4), b[1] + rng.uniform(-4, 4), b[2] * rng.uniform(0.8, 1.2), b[3] * rng.uniform(0.8, 1.2))]})
        for _ in range(rng.randrange(4)):
            found.append({"image_id": image, "category_id": rng.randrange(1, 3), "score": rng.randrange(50) / 50, "bbox": box()})
    threshold = rng.choice([0.33, 0.5, 0.75])
    ap = {}
    with contextlib.redirect_stdout(sys.stderr):
        for category in (1, 2):
            n = sum(t["category_id"] == category and not t["iscrowd"] for t in truths)
            if n == 0:
                continue
            truth = COCO()
            truth.dataset = {"images": [{"id": i} for i in range(1, 5)], "categories": [{"id": 1}, {"id": 2}], "annotations": truths}
            truth.createIndex()
            e = COCOeval(truth, truth.loadRes(found), "bbox")
            e.params.iouThrs, e.params.maxDets, e.params.catIds = np.array([threshold]), [1000], [category]
            e.params.areaRng, e.params.areaRngLbl = [[0, 1e10]], ["all"]
            e.params.recThrs = np.arange(1, n + 1) / n
            e.evaluate()
            e.accumulate()
            ap[str(category)] = float(e.eval["precision"][0, :, 0, 0, 0].mean())
    keys = ("image_id", "category_id", "bbox", "iscrowd", "score")
    return {"iou": threshold, "truths": [{k: t[k] for k in keys if k in t} for t in truths],
            "found": [{k: d[k] for k in keys if k in d} for d in found], "ap": ap}


def png(grey):
    height, width = grey.shape
    raw = b"".join(b"\0" + grey[y].tobytes() for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")


def laid_over(grey, low, high, area, width, height):
    """The map at the centres of the frame's pixels: scipy's order-1 spline, its border repeated."""
    x1, y1, x2, y2 = area
    xs = (np.arange(width) + 0.5 - x1) / (x2 - x1) * grey.shape[1] - 0.5
    ys = (np.arange(height) + 0.5 - y1) / (y2 - y1) * grey.shape[0] - 0.5
    yy, xx = np.meshgrid(ys, xs, indexing="ij")
    return low + (high - low) / 255 * ndimage.map_coordinates(grey.astype(np.float64), [yy, xx], order=1, mode="nearest")


def aupro(scores, masks, limit=0.3):
    normal = np.concatenate([s[~m] for s, m in zip(scores, masks)])
    parts = []
    for s, m in zip(scores, masks):
        labels, n = ndimage.label(m, structure=np.ones((3, 3)))
        parts += [s[labels == i] for i in range(1, n + 1)]
    x, y = [0.0], [0.0]
    for t in np.unique(np.concatenate([s.ravel() for s in scores]))[::-1]:
        x.append(float((normal >= t).mean()))
        y.append(float(np.mean([(p >= t).mean() for p in parts])))
    x, y = np.array(x), np.array(y)
    end = np.interp(limit, x, y)
    keep = x < limit
    return float(np.trapezoid(np.append(y[keep], end), np.append(x[keep], limit)) / limit), len(parts)


def pixels(seed):
    rng = np.random.default_rng(seed)
    pictures, scores, masks = [], [], []
    for i in range(4):
        width, height = int(rng.integers(12, 24)), int(rng.integers(12, 24))
        w, h = int(rng.integers(3, 8)), int(rng.integers(3, 8))
        grey = rng.integers(0, 256, (h, w)).astype(np.uint8)
        low, high = float(rng.uniform(-1, 0)), float(rng.uniform(1, 2))
        s = laid_over(grey, low, high, (0, 0, width, height), width, height)
        mask = np.zeros((height, width), bool)
        if i > 0:  # the first is normal
            mask = (s + rng.normal(0, 0.4, s.shape) > 1) | (rng.random(s.shape) < 0.02)
        pictures.append({"png": base64.b64encode(png(grey)).decode(), "low": low, "high": high, "width": width, "height": height,
                         "mask": "".join("01"[int(v)] for v in mask.ravel()), "corner": [float(s[0, 0]), float(s[-1, -1]), float(s[height // 2, width // 2])]})
        scores.append(s)
        masks.append(mask)
    y, s = np.concatenate([m.ravel() for m in masks]), np.concatenate([v.ravel() for v in scores])
    pro, parts = aupro(scores, masks)
    return {"pictures": pictures, "auroc": metrics.roc_auc_score(y, s), "aupro": pro, "defects": parts}


if __name__ == "__main__":
    json.dump({"classify": [classify(i) for i in range(8)], "roc": [roc(i) for i in range(6)], "boxes": [boxes(i) for i in range(4)],
               "pixels": [pixels(i) for i in range(3)]}, sys.stdout, separators=(",", ":"))
    print()
