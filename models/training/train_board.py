#!/usr/bin/env python3
"""Train the detector of board layers (models/pcb-pair) on DeepPCB and on boards that `assay render` draws.

    bin/assay render build/boards/training --set training --boards 600 --products 600 --good 5 --png
    bin/assay render build/boards/test --set test --boards 100 --products 100 --good 10 --png
    models/training/train_board.py --data ../shared/data/deeppcb --boards build/boards --out build/pcb-pair

One command from data to model: it packs the pictures, plants further defects on the templates, trains, measures on the
validation part and writes OUT/1/model.onnx. The same command goes on where it was stopped (a checkpoint every ten minutes
in OUT/checkpoint.pt). Seeded; on a CPU it trains for --epochs, on a GPU (--device cuda) --minutes bounds the run instead.
The graph in int8 is made from it by quantize_board.py. Needs torch 1.13 or newer, numpy and OpenCV.

The set's licence restricts its use to research: do not commit the pack.
"""
import argparse
import copy
import itertools
import json
import math
import multiprocessing
import os
import pathlib
import sys
import time

import cv2
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from board_graph import load, normalise
from processor import has_bfloat16

CLASSES = ["open", "short", "mousebite", "spur", "copper", "pin-hole"]
SIDE, STRIDE = 640, 8  # px of a picture and of the input, px of a cell
GRID = SIDE // STRIDE
MOST = 32  # boxes a picture
MARGIN = 10  # px that annotators leave around a defect
ANNOTATED = 0.08  # share of the pictures into which frames and names are drawn
REAL, VAL, DRAWN, DRAWN_TEST = range(4)


# ---- the pack: every picture as bits (1 is copper), every box, in one file -------------------------------------------

def copper(path):
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None or grey.shape != (SIDE, SIDE):
        sys.exit(f"{path}: want a picture of {SIDE}x{SIDE}")
    return grey <= 127


def read_set(data):
    for kind, split in (REAL, "train"), (VAL, "val"):
        for line in (data / f"{split}.txt").read_text().split():
            source = data / "PCBData" / line
            folder = source.parent.parent / f"{source.parent.name}_not"
            boxes = [[int(v) for v in row.replace(",", " ").split()] for row in (folder / f"{source.name}.txt").read_text().splitlines() if row.strip()]
            yield kind, line.split("/")[0], copper(f"{source}_test.jpg"), copper(f"{source}_temp.png"), [b[:4] + [b[4] - 1] for b in boxes]


def read_boards(folder):
    for kind, name in (DRAWN, "training"), (DRAWN_TEST, "test"):
        images = folder / name / "images"
        coco = json.loads((images / "coco.json").read_text())
        boxes = {im["id"]: [] for im in coco["images"]}
        names = {c["id"]: CLASSES.index(c["name"]) for c in coco["categories"]}
        for a in coco["annotations"]:
            x, y, w, h = a["bbox"]
            boxes[a["image_id"]].append([x, y, x + w, y + h, names[a["category_id"]]])
        for im in coco["images"]:
            template = folder / name / "recipes" / "rendered-detect" / f"{im['reference']}.png"
            yield kind, name, copper(images / im["file_name"]), copper(template), boxes[im["id"]]


def pack(args):
    tests, templates, kinds, groups, boxes = [], [], [], [], []
    for source in (read_set(args.data), read_boards(args.boards)):
        for kind, group, test, template, found in source:
            boxes += [[len(tests)] + b for b in found]
            tests.append(np.packbits(test))
            templates.append(np.packbits(template))
            kinds.append(kind)
            groups.append(group)
    args.pack.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.pack, tests=np.array(tests), templates=np.array(templates), kinds=np.array(kinds), groups=np.array(groups), boxes=np.array(boxes, np.int32))
    print(f"{args.pack}: {len(tests)} pairs, {len(boxes)} boxes, {args.pack.stat().st_size / 1e6:.1f} MB", flush=True)


def unpack(bits):
    return np.unpackbits(bits).reshape(SIDE, SIDE)


# ---- planting: defects on templates of the training part, each of which does to the copper what its class says --------

def blob(rng, radius):
    """A ragged, tilted ellipse as a mask with its centre in the middle."""
    a = radius * math.exp(rng.normal(0, 0.25))
    b = radius * radius / a
    t = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    r = 1 + sum(rng.normal(0, 0.16 / k) * np.cos(k * t + rng.uniform(0, 7)) for k in (2, 3, 4, 5))
    tilt = rng.uniform(0, math.pi)
    x, y = a * r * np.cos(t), b * r * np.sin(t)
    points = np.stack([x * math.cos(tilt) - y * math.sin(tilt), x * math.sin(tilt) + y * math.cos(tilt)], 1)
    half = int(np.abs(points).max()) + 2
    mask = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
    cv2.fillPoly(mask, [np.round((points + half) * 16).astype(np.int32)], 1, shift=4)
    return mask, half


def stroke(rng):
    """One to three thin lines that wander from the middle, as a pen draws them: arcs that cut a corner off, scratches, scribbles."""
    half = 72
    mask = np.zeros((2 * half + 1, 2 * half + 1), np.uint8)
    x, y, turn = float(half), float(half), rng.uniform(-0.25, 0.25)
    wild = rng.random() < 0.35
    for _ in range(1 if rng.random() < 0.6 else int(rng.integers(2, 4))):
        heading, points = rng.uniform(0, 2 * math.pi), [(x, y)]
        for _ in range(int(rng.integers(4, 22))):
            heading += turn + rng.normal(0, 0.9 if wild else 0.12)
            x, y = x + 3 * math.cos(heading), y + 3 * math.sin(heading)
            if not (6 < x < 2 * half - 6 and 6 < y < 2 * half - 6):
                break
            points.append((x, y))
        line = np.round(np.array(points) * 16).astype(np.int32)
        cv2.polylines(mask, [line], False, 1, thickness=int(rng.integers(2, 5)), shift=4)
        x, y = points[int(rng.integers(len(points)))]
    return mask, half


def proposal(rng, wanted, inside, outside):
    """A place and a radius at which a blob may become a defect of the class. inside and outside are distances to the edge."""
    free = rng.lognormal(math.log(6.5), 0.45)
    field = inside if wanted in (0, 2, 5) else outside
    y, x = rng.integers(24, SIDE - 24, 2)
    for _ in range(40):
        d = field[y, x]
        if wanted in (0, 1) and 2 < d < 15:
            return x, y, d + rng.uniform(1, 5)
        if wanted in (2, 3) and 0 < d < free:
            return x, y, free
        if wanted in (4, 5) and d > free + 3:
            return x, y, free
        y, x = rng.integers(24, SIDE - 24, 2)
    return None


def what(before, mask, value, drawn=False):
    """The class that a change makes of it, None where it is not clear. before is the copper around, mask the change; drawn
    changes may enclose ground and lie on both sides of a conductor, as those of the set do."""
    near = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    copper_count, copper_of = cv2.connectedComponents(before, connectivity=8)
    ground_count, ground_of = cv2.connectedComponents(1 - before, connectivity=4)
    after = np.where(mask > 0, value, before).astype(np.uint8)
    copper_after = cv2.connectedComponents(after, connectivity=8)[0]
    ground_after = cv2.connectedComponents(1 - after, connectivity=4)[0]
    if value:
        touched = len(np.unique(copper_of[(near > 0) & (before > 0)]))
        if touched == 0:
            return 4
        if touched == 1:
            return 3 if drawn or ground_after == ground_count else None
        return 1
    touched = len(np.unique(ground_of[(near > 0) & (before == 0)]))
    if touched == 0:
        return 5
    if copper_after > copper_count:
        return 0
    return 2 if copper_after == copper_count and (drawn or touched == 1) else None


def scan(rng, mask):
    """The copper with edges that wander by about a pixel, as two scans of one board differ."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    noise = cv2.GaussianBlur(rng.normal(0, 1, mask.shape).astype(np.float32), (0, 0), 1.6)
    return (soft + noise * (rng.uniform(0.02, 0.14) / max(float(noise.std()), 1e-6)) > 0.5).astype(np.uint8)


def plant(job):
    template, seed = job
    rng = np.random.default_rng(seed)
    test = template.copy()
    inside = cv2.distanceTransform(template, cv2.DIST_L2, 3)
    outside = cv2.distanceTransform(1 - template, cv2.DIST_L2, 3)
    boxes = []
    for _ in range(int(rng.integers(4, 13)) if rng.random() > 0.1 else 0):
        wanted = int(rng.integers(6))
        for _ in range(25):
            place = proposal(rng, wanted, inside, outside)
            if place is None:
                break
            x, y, radius = place
            drawn = rng.random() < 0.4
            mask, half = stroke(rng) if drawn else blob(rng, radius)
            mask = np.pad(mask, 16)
            x0, y0 = x - half - 16, y - half - 16
            cut = [slice(max(0, -v), min(n, SIDE - v)) for v, n in ((y0, mask.shape[0]), (x0, mask.shape[1]))]
            if mask.sum() != mask[cut[0], cut[1]].sum():
                continue
            mask = mask[cut[0], cut[1]]
            x0, y0 = max(x0, 0), max(y0, 0)
            x1, y1 = x0 + mask.shape[1], y0 + mask.shape[0]
            before = test[y0:y1, x0:x1]
            value = 1 if wanted in (1, 3, 4) else 0
            mask = ((mask > 0) & (before != value)).astype(np.uint8)
            if mask.sum() < 30 or cv2.connectedComponents(mask)[0] > (6 if drawn else 2) or what(before, mask, value, drawn) != wanted:
                continue
            ys, xs = np.nonzero(mask)
            m = rng.integers(MARGIN - 1, MARGIN + 3, 4)
            box = [max(0, x0 + xs.min() - m[0]), max(0, y0 + ys.min() - m[1]), min(SIDE, x0 + xs.max() + 1 + m[2]), min(SIDE, y0 + ys.max() + 1 + m[3]), wanted]
            if any(min(b[2], box[2]) > max(b[0], box[0]) and min(b[3], box[3]) > max(b[1], box[1]) for b in boxes):
                continue
            test[y0:y1, x0:x1][mask > 0] = value
            boxes.append(box)
            break
    return np.packbits(scan(rng, test)), boxes


# ---- the data, and what is made of it for a step -----------------------------------------------------------------------

class Data(torch.utils.data.Dataset):
    """Step k's batch: bytes [n,2,SIDE,SIDE], 0 copper and 255 ground, boxes [n,MOST,5] in px, and which pictures are annotated [n];
    class -1 is none, -2 is not asked for. The same seed and k give the same batch in any process."""

    def __init__(self, args):
        z = np.load(args.pack)
        kinds, groups = z["kinds"], z["groups"]
        held = set(args.hold_out.split(",")) if args.hold_out else set()
        used = (kinds == REAL) | ((kinds == VAL) if args.all else False)
        real, drawn = np.nonzero(used & ~np.isin(groups, list(held)))[0], np.nonzero(kinds == DRAWN)[0]
        self.seed, self.size = args.seed, args.batch
        self.tests, self.templates = z["tests"], z["templates"]
        boxes = [[] for _ in kinds]
        for i, *b in z["boxes"]:
            boxes[i].append(b)
        began = time.time()
        jobs = [(unpack(self.templates[i]), args.seed * 1_000_003 + 7 * int(i) + k) for i in real for k in range(args.planted)]
        with multiprocessing.Pool(min(args.workers, max(1, len(jobs)))) as pool:
            planted = pool.map(plant, jobs, chunksize=16)
        print(f"{len(real)} real pairs, {len(drawn)} drawn, {len(planted)} planted with {sum(len(b) for _, b in planted)} defects in {time.time() - began:.0f} s", flush=True)
        self.template_of = [*range(len(kinds)), *(int(i) for i in real for _ in range(args.planted))]
        if planted:
            self.tests = np.concatenate([self.tests, np.array([p for p, _ in planted])])
            boxes += [b for _, b in planted]
        self.truth = boxes
        self.boxes = np.full((len(boxes), MOST, 5), -1, np.float32)
        for i, b in enumerate(boxes):
            self.boxes[i, :min(len(b), MOST)] = np.array(b[:MOST], np.float32).reshape(-1, 5)
        self.pools = [real, np.arange(len(kinds), len(boxes)), drawn]
        shares = np.array([s if len(p) else 0 for s, p in zip((0.55, 0.25, 0.2), self.pools)])
        self.counts = [0, *np.rint(self.size * shares / shares.sum())[1:].astype(int)]
        self.counts[0] = self.size - sum(self.counts)
        self.judged = {"val": np.nonzero(kinds == VAL)[0], "drawn": np.nonzero(kinds == DRAWN_TEST)[0]}
        if held:
            self.judged["held-out boards"] = np.nonzero(((kinds == REAL) | (kinds == VAL)) & np.isin(groups, list(held)))[0]
            self.judged["val"] = np.nonzero((kinds == VAL) & ~np.isin(groups, list(held)))[0]
        self.epoch = math.ceil(len(real) / self.counts[0])  # steps
        self.grain = (128 + 32 * np.random.default_rng(args.seed).normal(size=(1024, 1024))).clip(0, 255).astype(np.uint8)

    def __getitem__(self, step):
        cv2.setNumThreads(0)
        rng = np.random.default_rng([self.seed, step])
        chosen = [int(i) for pool, n in zip(self.pools, self.counts) for i in rng.choice(pool, n)]
        return tuple(torch.from_numpy(np.stack(v)) for v in zip(*(self.varied(i, rng) for i in chosen)))

    def varied(self, i, rng):
        """A pair turned, mirrored, scaled and shifted, its template a little differently, with the edges and noise of a scan."""
        # A point q of the input, in px from its centre, shows the point m @ q + t of the picture.
        zoom = math.exp(rng.uniform(-0.26, 0.26)) * np.exp(rng.uniform(-0.05, 0.05, 2)) if rng.random() < 0.7 else np.ones(2)
        angle = rng.integers(4) * (math.pi / 2) + (rng.uniform(-0.05, 0.05) if rng.random() < 0.3 else 0)
        mirror = 1 if rng.random() < 0.5 else -1
        m = np.array([[math.cos(angle) * mirror, -math.sin(angle)], [math.sin(angle) * mirror, math.cos(angle)]]) * zoom
        t = rng.uniform(-1, 1, 2) * (SIDE / 2) * (0.25 if rng.random() < 0.5 else 0.03)
        turn = np.array([[0, -1], [1, 0]]) * rng.normal() * 0.0015
        jitter = np.clip(rng.normal(size=2) * 1.3, -4, 4)
        test, template = self.tests[i], self.templates[self.template_of[i]]
        boxes, annotated = moved(self.boxes[i], m, t), np.array(rng.random() < ANNOTATED)
        frames = frames_of(boxes[boxes[:, 4] >= 0, :4], SIDE, rng) if annotated else ()
        return np.stack([self.scanned(test, m, t, rng, 0.3, frames), self.scanned(template, m + turn @ m, t + jitter, rng, 0)]), boxes, annotated

    def scanned(self, bits, m, t, rng, jpeg, frames=()):
        centre = np.full(2, (SIDE - 1) / 2)
        move = np.column_stack([m, centre + t - m @ centre])
        return self.scan(picture(bits), move, SIDE, rng, jpeg, frames)

    def scan(self, x, move, side, rng, jpeg, frames=()):
        """A square of x, in bytes, as a scanner sees it, with frames drawn into it. What is outside is ground; jpeg is how often it
        goes through that format."""
        x = cv2.warpAffine(x, move, (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderValue=255)
        if rng.random() < 0.5:
            x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.5))
        dark, light = rng.uniform(0, 0.1, 2) * (rng.random(2) < 0.5)
        top, left = rng.integers(0, len(self.grain) - side, 2)
        grain = rng.uniform(0, 0.03) * 255 / 32
        x = cv2.addWeighted(x, 1 - light - dark, self.grain[top:top + side, left:left + side], grain, dark * 255 - 128 * grain)
        if len(frames):
            annotate(x, frames, rng)
        if rng.random() < jpeg:
            x = cv2.imdecode(cv2.imencode(".jpg", x, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 96))])[1], cv2.IMREAD_GRAYSCALE)
        return x

    def plain(self, indices):
        return torch.from_numpy(np.stack([np.stack([picture(self.tests[i]), picture(self.templates[self.template_of[i]])]) for i in indices]))


def picture(bits):
    return (1 - unpack(bits)) * np.uint8(255)


def frames_of(boxes, side, rng):
    """What somebody may have framed in a picture: most of its defects, and a few places that are none, [k,4] in px."""
    found = boxes[rng.random(len(boxes)) < rng.choice([0.5, 1])] + rng.uniform(-6, 6, 4)
    others = int(rng.integers(4))
    middle, size = rng.uniform(0, side, (others, 2)), np.exp(rng.uniform(math.log(18), math.log(90), (others, 2)))
    return np.concatenate([found, np.concatenate([middle - size / 2, middle + size / 2], 1)])


def annotate(x, frames, rng):
    """Draw frames into a picture, with names above them, as people and programs do to show what they found. No answer can be read
    from them: the names are drawn by lot."""
    grey, thickness, named, scale = int(rng.integers(70, 200)), int(rng.integers(1, 4)), rng.random() < 0.8, rng.uniform(0.4, 0.65)
    corners = np.rint(frames).astype(int)
    for x0, y0, x1, y1 in corners:
        cv2.rectangle(x, (x0, y0), (x1, y1), grey, thickness)
    for x0, y0, _, _ in corners if named else ():
        name = CLASSES[int(rng.integers(len(CLASSES)))]
        (w, h), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        left, top, right, bottom = x0 - 6, y0 - h - 16, x0 + w + 6, y0 - 4
        hidden = (np.minimum(corners[:, 2], right) > np.maximum(corners[:, 0], left)) & (np.minimum(corners[:, 3], bottom) > np.maximum(corners[:, 1], top))
        if not hidden.any():
            cv2.rectangle(x, (left, top), (right, bottom), 255, -1)
            cv2.rectangle(x, (left, top), (right, bottom), 0, 1)
            cv2.putText(x, name, (x0, y0 - 10), cv2.FONT_HERSHEY_SIMPLEX, scale, 0, 1, cv2.LINE_AA)


def moved(boxes, m, t):
    """Boxes of the picture as boxes of the input. What is cut to less than 0.6 of its area is not asked for."""
    b = boxes[:, :4] - SIDE / 2
    corners = np.stack([b[:, [0, 1]], b[:, [2, 1]], b[:, [2, 3]], b[:, [0, 3]]], 1)
    q = (corners - t) @ np.linalg.inv(m).T + SIDE / 2
    low, high = q.min(1), q.max(1)
    area = (high - low).prod(-1).clip(1e-6)
    low, high = low.clip(0, SIDE), high.clip(0, SIDE)
    share = (high - low).prod(-1) / area
    kind = np.where(boxes[:, 4] < 0, -1, np.where(share >= 0.6, boxes[:, 4], np.where(share > 0.02, -2, -1)))
    return np.column_stack([low, high, kind]).astype(np.float32)


def batches(data, args, first):
    """The batches of all steps from the first on, made by other processes in time."""
    return iter(torch.utils.data.DataLoader(data, batch_size=None, sampler=Steps(first), num_workers=args.workers, prefetch_factor=4))


class Steps(torch.utils.data.Sampler):
    def __init__(self, first):
        self.first = first

    def __iter__(self):
        return itertools.count(self.first)


# ---- the network -------------------------------------------------------------------------------------------------------

def conv(i, o, k=3, s=1, p=None, relu=True):
    layers = [nn.Conv2d(i, o, k, s, k // 2 if p is None else p, bias=False), nn.BatchNorm2d(o)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a, self.b = conv(c, c), conv(c, c, relu=False)

    def forward(self, x):
        return F.relu(x + self.b(self.a(x)))


class Net(nn.Module):
    """Scores as logits [N,C,GRID,GRID] and distances to a box's sides [N,4,GRID,GRID], as logarithms of cells."""

    def __init__(self, fine=32, widths=(32, 64, 128), depths=(1, 3, 2), head=64):
        super().__init__()
        a, b, c = widths
        self.s4 = nn.Sequential(nn.Conv2d(2, fine, 4, 4), nn.ReLU(inplace=True))
        self.s8 = nn.Sequential(conv(fine, a, 4, 2, 1), *[Residual(a) for _ in range(depths[0])])
        self.s16 = nn.Sequential(conv(a, b, 3, 2), *[Residual(b) for _ in range(depths[1])])
        self.s32 = nn.Sequential(conv(b, c, 3, 2), *[Residual(c) for _ in range(depths[2])])
        self.from16, self.from32 = conv(b, head, 1, relu=False), conv(c, head, 1, relu=False)
        self.head = conv(head, head)
        self.out = nn.Conv2d(head, 4 * (len(CLASSES) + 4), 1)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[:4 * len(CLASSES)] = -4.6  # a score of 0.01

    def forward(self, x):
        y16 = self.s16(self.s8(self.s4(x)))
        y32 = self.s32(y16)
        y = F.relu(self.from16(y16) + F.interpolate(self.from32(y32), scale_factor=2.0, mode="nearest"))
        y = F.pixel_shuffle(self.out(self.head(y)), 2)
        return y[:, :len(CLASSES)], y[:, len(CLASSES):]


def whole(state, net):
    """Weights to start net from. Those of this program when it halved the pictures (up to commit 30af679) are carried over: eight
    channels of the first layer take the means of 2x2 px that the 8x8 convolution saw, the others start unheard."""
    if "s32.0.0.weight" in state:
        return state
    stages = {"s4": "s8", "s8": "s16", "s16": "s32", "from8": "from16", "from16": "from32"}
    named = [(name.split(".", 1), value) for name, value in state.items()]
    out = {f"{stages.get(stage, stage)}.{rest}": value for (stage, rest), value in named}
    first, bias = net.s4[0].weight.detach().clone(), net.s4[0].bias.detach().clone()
    second = torch.zeros_like(net.s8[0][0].weight)
    first[:8], bias[:] = 0, 0
    for plane, y, x in itertools.product(range(2), repeat=3):
        k = 4 * plane + 2 * y + x
        first[k, plane, 2 * y:2 * y + 2, 2 * x:2 * x + 2] = 0.25
        second[:, k] = state["s4.0.0.weight"][:, plane, y::2, x::2]
    return {**out, "s4.0.weight": first, "s4.0.bias": bias, "s8.0.0.weight": second}


def turned(x, view):
    """One of the eight ways to mirror and turn a square map: bits of view are columns, rows and the diagonal."""
    dims = [d for bit, d in ((1, -1), (2, -2)) if view & bit]
    x = x.transpose(-1, -2) if view & 4 else x
    return x.flip(dims) if dims else x


def seen(net, x, view):
    """What net says of x when it is shown turned, turned back."""
    logits, distances = net(turned(x, view))
    dims = [d for bit, d in ((1, -1), (2, -2)) if view & bit]
    logits, distances = (v.flip(dims).transpose(-1, -2) if view & 4 else v.flip(dims) for v in (logits, distances))
    sides = [0, 1, 2, 3]  # left, top, right, bottom
    for bit, order in (2, [0, 3, 2, 1]), (1, [2, 1, 0, 3]), (4, [1, 0, 3, 2]):
        sides = [sides[o] for o in order] if view & bit else sides
    return logits, distances[:, sides]


def boxes_of(distances):
    """Boxes x1 y1 x2 y2 in input px, of every cell."""
    d = torch.exp(distances.clamp(max=4.0)) * STRIDE
    at = (torch.arange(GRID, device=d.device, dtype=d.dtype) + 0.5) * STRIDE
    x, y = at[None, None, :], at[None, :, None]
    return torch.stack([x - d[:, 0], y - d[:, 1], x + d[:, 2], y + d[:, 3]], 1)


def fours_of(images):
    """Bytes [N,2,SIDE,SIDE] as [N,SIDE,SIDE/4,8]: four px in a row of one plane, then of the other."""
    return images.reshape(-1, 2, SIDE, SIDE // 4, 4).permute(0, 2, 3, 1, 4).reshape(-1, SIDE, SIDE // 4, 8)


def rows_of(first):
    """A convolution of 4x4 px and stride 4 over two planes, as one over fours of px: the same sum, which int8 kernels read in
    fewer pieces."""
    rows = nn.Conv2d(8, first.out_channels, (4, 1), (4, 1)).to(first.weight.device)
    rows.weight.data = first.weight.data.permute(0, 1, 3, 2).reshape(-1, 8, 4, 1).contiguous()
    rows.bias = first.bias
    return rows


def stems(fours):
    """Fours of px as what the first layer takes."""
    return fours.permute(0, 3, 1, 2).float() * (1 / 255)


class Served(nn.Module):
    """What is exported: bytes in, peaks and boxes out. A defect is of one class: a peak beside which another class is surer
    keeps as much of its score as that one leaves."""

    def __init__(self, net):
        super().__init__()
        self.net = copy.deepcopy(net)
        self.net.s4[0] = rows_of(self.net.s4[0])

    def forward(self, images):
        return self.of(fours_of(images))

    def of(self, fours):
        logits, distances = self.net(stems(fours))
        top = F.max_pool2d(logits, 3, 1, 1)
        surest = top.amax(1, keepdim=True)
        left = torch.where(surest > logits, 1 - torch.sigmoid(surest), torch.ones_like(logits))
        return torch.sigmoid(logits) * (logits == top).float() * left, boxes_of(distances)


# ---- what is learnt ----------------------------------------------------------------------------------------------------

def loss_of(logits, distances, boxes):
    """Focal loss on Gaussian peaks, and GIoU of the nine cells around each centre."""
    n, device = boxes.shape[0], boxes.device
    kind = boxes[..., 4]
    here = kind >= 0
    size = (boxes[..., 2:4] - boxes[..., :2]).clamp(min=1)
    centre = (boxes[..., :2] + boxes[..., 2:4]) / 2 / STRIDE - 0.5
    cell = centre.round().clamp(0, GRID - 1)
    sigma = (size.prod(-1).sqrt() / STRIDE / 6).clamp(0.6, 2.5)
    at = torch.arange(GRID, device=device, dtype=torch.float32)
    gx = torch.exp(-((at[None, None] - cell[..., 0:1]) ** 2) / (2 * sigma[..., None] ** 2))
    gy = torch.exp(-((at[None, None] - cell[..., 1:2]) ** 2) / (2 * sigma[..., None] ** 2))
    hot = (gy[..., :, None] * gx[..., None, :]) * here[..., None, None]
    target = torch.stack([(hot * (kind == c)[..., None, None]).amax(1) for c in range(len(CLASSES))], 1)
    ignored = kind == -2
    inside = lambda low, high: ((at[None, None] + 0.5) * STRIDE > low[..., None]) & ((at[None, None] + 0.5) * STRIDE < high[..., None])
    hidden = (inside(boxes[..., 1], boxes[..., 3])[..., :, None] & inside(boxes[..., 0], boxes[..., 2])[..., None, :] & ignored[..., None, None]).any(1)
    logits = logits.float()
    p = torch.sigmoid(logits)
    peak = (target > 0.999).float()
    positive = -F.logsigmoid(logits) * (1 - p) ** 2 * peak
    negative = -F.logsigmoid(-logits) * p ** 2 * (1 - target) ** 4 * (1 - peak) * (~hidden)[:, None]
    count = here.sum().clamp(min=1)
    heat = (positive.sum() + negative.sum()) / count

    offsets = torch.stack(torch.meshgrid(torch.arange(-1, 2, device=device), torch.arange(-1, 2, device=device), indexing="ij"), -1).reshape(9, 2)
    cells = (cell[..., None, :] + offsets).clamp(0, GRID - 1).long()
    flat = (cells[..., 1] * GRID + cells[..., 0]).reshape(n, -1)
    guess = boxes_of(distances.float()).flatten(2).gather(2, flat[:, None].expand(-1, 4, -1)).permute(0, 2, 1).reshape(n, MOST, 9, 4)
    overlap = giou(guess, boxes[..., None, :4])
    fit = ((1 - overlap).mean(-1) * here).sum() / count
    return heat + 2 * fit, heat.detach(), fit.detach()


def likeness(logits, distances, taught):
    """How far the network is from its teacher where either sees something: divergence of the scores an object, and of the
    logarithms of its sides."""
    taught_logits, taught_distances = (v.float() for v in taught)
    p = torch.sigmoid(taught_logits)
    divergence = F.binary_cross_entropy_with_logits(logits.float(), p, reduction="none") - F.binary_cross_entropy_with_logits(taught_logits, p, reduction="none")
    heard = torch.maximum(p, torch.sigmoid(logits.detach().float())) > 0.05
    strong = p.amax(1, keepdim=True)
    strong = strong * (strong > 0.3)
    peaks = ((F.max_pool2d(p, 3, 1, 1) == p) & (p > 0.3)).sum().clamp(min=1)
    sides = ((distances.float() - taught_distances).abs().mean(1, keepdim=True) * strong).sum() / strong.sum().clamp(min=1)
    return (divergence * heard).sum() / peaks + sides


def giou(a, b):
    inter = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area = lambda v: (v[..., 2:4] - v[..., :2]).clamp(min=0).prod(-1)
    union = area(a) + area(b) - inter
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    return inter / union.clamp(min=1e-6) - (hull - union) / hull.clamp(min=1e-6)


# ---- how good it is ----------------------------------------------------------------------------------------------------

def detections(served, data, indices, floor=0.01, batch=50):
    """(picture, class, score, box in picture px) of every peak that class-wise suppression at 0.45 leaves. served is what is exported."""
    out = []
    for k in range(0, len(indices), batch):
        part = indices[k:k + batch]
        x = data.plain(part).to(next(served.parameters()).device)
        scores, boxes = (v.float().cpu().numpy() for v in served(x))
        for j, picture in enumerate(part):
            found = []
            for c, y, x_ in zip(*np.nonzero(scores[j] >= floor)):
                found.append((scores[j, c, y, x_], c, boxes[j, :, y, x_].clip(0, SIDE)))
            kept = []
            for s, c, b in sorted(found, key=lambda f: -f[0])[:300]:
                if not any(k_ == c and iou(b, o) > 0.45 for _, k_, o in kept):
                    kept.append((s, c, b))
            out += [(int(picture), int(c), float(s), b) for s, c, b in kept]
    return out


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def measure(found, truth, indices, limit=0.33):
    """AP per class, the best F-score with its threshold, and the ranked hits."""
    aps, ranked = [], []
    for c in range(len(CLASSES)):
        wanted = {int(i): [b[:4] for b in truth[i] if b[4] == c] for i in indices}
        used = {i: [False] * len(b) for i, b in wanted.items()}
        hits = []
        for picture, _, s, box in sorted((f for f in found if f[1] == c), key=lambda f: -f[2]):
            best = max(((iou(box, b), k) for k, b in enumerate(wanted[picture]) if not used[picture][k]), default=(0, -1))
            hit = best[0] > limit
            if hit:
                used[picture][best[1]] = True
            hits.append((s, hit))
        total = sum(len(b) for b in wanted.values())
        ranked += hits
        tp = np.cumsum([h for _, h in hits]) if hits else np.zeros(0)
        precision = tp / np.arange(1, len(tp) + 1) if len(tp) else np.zeros(0)
        recall = tp / max(total, 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1] if len(tp) else precision
        aps.append(float(np.sum(np.diff(np.concatenate([[0], recall])) * envelope)) * 100 if total else float("nan"))
    total = sum(len(truth[i]) for i in indices)
    best = (0.0, 0.5)
    tp = fp = 0
    for s, hit in sorted(ranked, key=lambda r: -r[0]):
        tp, fp = tp + hit, fp + (not hit)
        best = max(best, (200 * tp / (tp + fp + total), s))
    return aps, best, ranked, total


def f_at(ranked, total, threshold):
    tp = sum(h for s, h in ranked if s >= threshold)
    called = sum(s >= threshold for s, _ in ranked)
    return 200 * tp / max(called + total, 1)


def judge(served, data, report=print):
    threshold, figures = None, {}
    with torch.no_grad():
        for name, indices in data.judged.items():
            if not len(indices):
                continue
            found = detections(served, data, indices)
            aps, (f, at), ranked, total = measure(found, data.truth, indices)
            strict = np.nanmean(measure(found, data.truth, indices, 0.5)[0])
            threshold = at if threshold is None else threshold
            figures[name] = dict(map=float(np.nanmean(aps)), aps=aps, map50=float(strict), f=f_at(ranked, total, threshold), best_f=f, at=at)
            report(f"  {name}: {len(indices)} pictures, mAP {np.nanmean(aps):.2f} ({' '.join(f'{a:.1f}' for a in aps)}), @0.5 {strict:.2f}, F {f_at(ranked, total, threshold):.2f} at {threshold:.3f} (best {f:.2f} at {at:.3f})")
    return figures


# ---- the run -----------------------------------------------------------------------------------------------------------

def train(args):
    device = torch.device(args.device)
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    if device.type == "cpu":
        torch.set_num_threads(args.threads)
        torch.set_flush_denormal(True)
        bfloat16 = has_bfloat16()
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = bfloat16 = True
    started = time.time()
    data = Data(args)
    widths = tuple(int(v) for v in args.widths.split(","))
    depths = tuple(int(v) for v in args.depths.split(","))
    net = Net(args.fine, widths, depths, args.head).to(device, memory_format=torch.channels_last)
    if args.start and args.start.suffix == ".onnx":
        load(args.start, net, "net", device)
        normalise(net, floats(data.plain(data.pools[0][:50]), device))
    elif args.start:
        net.load_state_dict(whole(torch.load(args.start, map_location=device), net))
    ema = copy.deepcopy(net).eval()
    teacher = None
    if args.teacher:
        teacher = Net(args.fine, widths, depths, args.head).to(device, memory_format=torch.channels_last).eval()
        load(args.teacher, teacher, "net", device)
    plain = [p for p in net.parameters() if p.ndim < 2]
    heavy = [p for p in net.parameters() if p.ndim >= 2]
    opt = torch.optim.AdamW([{"params": heavy, "weight_decay": args.decay}, {"params": plain, "weight_decay": 0.0}], lr=args.rate)
    steps = data.epoch * args.epochs
    step, spent, saved, shown = 0, 0.0, time.time(), time.time()
    args.out.mkdir(parents=True, exist_ok=True)
    checkpoint = args.out / "checkpoint.pt"
    parts = {"net": net, "ema": ema, "opt": opt}
    if checkpoint.exists():
        step, spent = restore(checkpoint, parts, device)

    made = batches(data, args, step)
    began = time.time()
    shadow, live = list(ema.parameters()), list(net.parameters())
    while True:
        done = (spent + time.time() - began + (began - started if not spent else 0)) / (60 * args.minutes) if args.minutes else step / steps
        if done >= 1:
            break
        rate = args.rate * min(1, done / 0.03 + 0.01) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        for g in opt.param_groups:
            g["lr"] = rate
        x, boxes, annotated = next(made)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
            images = floats(x, device)
            logits, distances = net(images)
            if teacher:
                with torch.no_grad():
                    views = np.random.default_rng([args.seed, step, 1]).choice(8, args.views, replace=False)
                    taught = [sum(v) / args.views for v in zip(*(seen(teacher, images, int(v)) for v in views))]
        loss, heat, fit = loss_of(logits, distances, boxes.to(device))
        if teacher:
            clear = ~annotated.to(device)  # the teacher may know nothing of frames
            alike = likeness(logits[clear], distances[clear], [v[clear] for v in taught])
            loss = loss + args.lesson * alike
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(live, 5.0)
        opt.step()
        step += 1
        with torch.no_grad():
            kept = min(args.ema, (1 + step) / (10 + step))
            torch._foreach_mul_(shadow, kept)
            torch._foreach_add_(shadow, live, alpha=1 - kept)
        if step % 200 == 0:
            for a, b in zip(ema.buffers(), net.buffers()):
                a.copy_(b)
        if time.time() - shown > args.report:
            print(f"step {step}, {done:.1%}, {step * args.batch / (spent + time.time() - began):.0f} pictures/s, rate {rate:.5f}, loss {loss.item():.3f} (heat {heat.item():.3f}, fit {fit.item():.3f}{f', teacher {alike.item():.3f}' if teacher else ''})", flush=True)
            shown = time.time()
        if time.time() - saved > 600:
            spent, began = spent + time.time() - began, time.time()
            keep(checkpoint, parts, step, spent)
            saved = time.time()
    spent += time.time() - began
    settle(ema, made, max(20, 3000 // args.batch), device)
    keep(checkpoint, parts, step, spent)
    print(f"{step} steps of {args.batch} in {spent:.0f} s", flush=True)
    served = Served(ema).eval()
    figures = judge(served, data, lambda line: print(line, flush=True))
    (args.out / "figures.json").write_text(json.dumps({"figures": figures, "steps": step, "seconds": spent, "arguments": {k: str(v) for k, v in vars(args).items()}}, indent=1))
    torch.save(ema.state_dict(), args.out / "weights.pt")
    if not args.no_export:
        export(served, args.out / "1" / "model.onnx")


def keep(checkpoint, parts, step, spent):
    """Write a checkpoint: the states of parts, a dictionary of networks and optimiser, and how far the run is."""
    torch.save({**{name: part.state_dict() for name, part in parts.items()}, "step": step, "spent": spent}, checkpoint.with_suffix(".tmp"))
    os.replace(checkpoint.with_suffix(".tmp"), checkpoint)


def restore(checkpoint, parts, device):
    """Bring parts to where a checkpoint was written; returns the step and the seconds spent."""
    held = torch.load(checkpoint, map_location=device)
    for name, part in parts.items():
        part.load_state_dict(held[name])
    print(f"goes on at step {held['step']}, after {held['spent']:.0f} s", flush=True)
    return held["step"], held["spent"]


def floats(x, device):
    return (x.to(device).float() / 255).contiguous(memory_format=torch.channels_last)


def settle(ema, made, batches, device):
    """Batch normalisation's means for the averaged weights, from what they are trained on."""
    norms = [m for m in ema.modules() if isinstance(m, nn.BatchNorm2d)]
    for m in norms:
        m.reset_running_stats()
        m.momentum = None
        m.train()
    with torch.no_grad():
        for _ in range(batches):
            ema(floats(next(made)[0], device))
    ema.eval()


def export(served, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    served = served.cpu().float().eval()
    images = torch.randint(0, 256, (1, 2, SIDE, SIDE), dtype=torch.uint8)
    axes = {name: {0: "batch"} for name in ("images", "scores", "boxes")}
    extra = {"dynamo": False} if int(torch.__version__.split(".")[0]) >= 2 else {}
    torch.onnx.export(served, images, str(path), opset_version=17, input_names=["images"], output_names=["scores", "boxes"], dynamic_axes=axes, **extra)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data/deeppcb"), help="folder of DeepPCB")
    p.add_argument("--boards", type=pathlib.Path, default=pathlib.Path("build/boards"), help="folder with training/ and test/ as `assay render` writes them")
    p.add_argument("--pack", type=pathlib.Path, default=pathlib.Path("build/boards/pack.npz"), help="all pictures in one file; made where it is missing")
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/pcb-pair"), help="folder for checkpoint, figures and model")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--threads", type=int, default=2, help="threads on a CPU")
    p.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that plant defects and make batches")
    p.add_argument("--epochs", type=int, default=120, help="passes over the real pairs")
    p.add_argument("--minutes", type=float, default=0, help="bound the run by time instead of epochs")
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    p.add_argument("--decay", type=float, default=0.02, help="weight decay")
    p.add_argument("--ema", type=float, default=0.9995, help="share that the averaged weights keep at each step")
    p.add_argument("--planted", type=int, default=3, help="pictures with planted defects for each template")
    p.add_argument("--widths", default="32,64,128")
    p.add_argument("--depths", default="1,3,2")
    p.add_argument("--head", type=int, default=64)
    p.add_argument("--fine", type=int, default=32, help="channels of the first layer")
    p.add_argument("--start", type=pathlib.Path, help="weights.pt of another run, or a model.onnx that train_look.py wrote, to go on from (with a lower --rate)")
    p.add_argument("--teacher", type=pathlib.Path, help="weights.pt of a trained network, or such a model.onnx: learn also what it says on the mean of --views turned pictures")
    p.add_argument("--views", type=int, default=2, help="views of a picture that the teacher sees at each step, of the eight that there are")
    p.add_argument("--lesson", type=float, default=2, help="weight of the teacher's part in the loss")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--hold-out", default="", help="groups of boards to leave out and measure on, such as group92000,group44000")
    p.add_argument("--all", action="store_true", help="train on the validation part too: for the model that ships, once the recipe stands")
    p.add_argument("--report", type=float, default=30, help="seconds between lines")
    p.add_argument("--no-export", action="store_true")
    args = p.parse_args()
    if not args.pack.exists():
        pack(args)
    train(args)


if __name__ == "__main__":
    main()
