#!/usr/bin/env python3
"""A second implementation of average precision, from its definition alone, for eval's test. It makes seeded random sets
and prints them with their AP as JSON:

    python3 ap_reference.py > ap_reference.json

Exact rational arithmetic on integer boxes; no numpy. AP of a class with T truths is the mean over k = 1..T of the best
precision among the prefixes of the ranked detections that hold at least k right ones (0 where no prefix does).
"""
import json
import random
from fractions import Fraction


def iou(a, b):
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return Fraction(w * h, union)


def class_ap(truths, detections, threshold):
    ranked = sorted(range(len(detections)), key=lambda i: (-detections[i]["score"], detections[i]["image"], i))
    left = {(t["image"], i): t["box"] for i, t in enumerate(truths)}
    right = []
    for i in ranked:
        d = detections[i]
        options = [(iou(d["box"], box), key) for key, box in left.items() if key[0] == d["image"]]
        options = [o for o in options if o[0] > threshold]
        if options:
            best = max(o[0] for o in options)
            del left[next(key for overlap, key in options if overlap == best)]
        right.append(bool(options))
    total = Fraction(0)
    for k in range(1, len(truths) + 1):
        total += max((Fraction(sum(right[:n]), n) for n in range(1, len(right) + 1) if sum(right[:n]) >= k), default=Fraction(0))
    return total / len(truths)


def box(rng):
    x, y = rng.randrange(0, 80), rng.randrange(0, 80)
    return [x, y, x + rng.randrange(5, 30), y + rng.randrange(5, 30)]


def shaken(rng, b):
    x1, y1, x2, y2 = (v + rng.randrange(-4, 5) for v in b)
    return [x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)]


def case(seed):
    rng = random.Random(seed)
    classes = ["a", "b", "c"][: rng.randrange(1, 4)]
    truths = [{"image": rng.randrange(4), "class": rng.choice(classes), "box": box(rng)} for _ in range(rng.randrange(1, 25))]
    detections = []
    for t in truths:
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            detections.append({"image": t["image"], "class": rng.choice([t["class"]] * 5 + classes), "score": rng.randrange(100) / 100, "box": shaken(rng, t["box"])})
    for _ in range(rng.randrange(10)):
        detections.append({"image": rng.randrange(4), "class": rng.choice(classes), "score": rng.randrange(100) / 100, "box": box(rng)})
    threshold = rng.choice([33, 50, 75])
    ap = {}
    for c in classes:
        mine = [t for t in truths if t["class"] == c]
        if mine:
            ap[c] = float(class_ap(mine, [d for d in detections if d["class"] == c], Fraction(threshold, 100)))
    return {"classes": classes, "iou": threshold / 100, "truths": truths, "detections": detections, "ap": ap}


if __name__ == "__main__":
    print(json.dumps([case(seed) for seed in range(60)]))
