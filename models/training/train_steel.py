#!/usr/bin/env python3
"""Train the classifier of hot-rolled steel strip (X-SDD, seven kinds of defect) and write it as a model version.

    python3 models/training/train_steel.py --data ../shared/data/x_sdd --out build/steel
    python3 models/training/train_steel.py --data ../shared/data/x_sdd --pack build/steel.npz       # the set as one small file
    python3 models/training/train_steel.py --data-pack build/steel.npz --device cuda --minutes 7 --out build/steel

writes into --out:
    1/model.onnx, 1/model.yaml   the model version
    report.json                  cross-validated figures, each fold's, the confusion matrix, the pictures that were missed

How: the training pictures are split into folds, pictures that look alike on one side. In each fold a large network, the
teacher, learns from the other folds, and a small one, the student, learns the teacher's answers; the student's answers on the fold
that neither has seen are the cross-validated figures. The student that ships learns from all pictures and the mean answer of
all folds' teachers. Each step's pictures are new: flipped, turned a little, scaled, moved, lit otherwise, with noise, blur and JPEG
blocks, some blended with another picture.

On the CPU every stage has a fixed number of steps, so that a seed gives the same network again. With --minutes each stage
has a share of that time instead. The same command goes on where an interrupted one stopped (a checkpoint every ten minutes,
in --work). PyTorch 1.13 or later and NumPy; OpenCV to read pictures from a folder.
"""
import argparse
import concurrent.futures
import json
import math
import multiprocessing
import os
import pathlib
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import onnxfile

CLASSES = ["finishing roll printing", "iron sheet ash", "oxide scale of plate system", "oxide scale of temperature system",
           "red iron", "slag inclusion", "surface scratch"]
SIZE = 128  # px, of the pictures and of the network's input
GREY, SPAN = 128.0, 32.0  # pixel values become (v - GREY) / SPAN

TEACHER = {"widths": (32, 64, 128, 192), "depths": (1, 3, 4, 2)}  # 260 MMAC
STUDENT = {"widths": (32, 64, 96, 160), "depths": (1, 2, 3, 2)}  # 138 MMAC

# Shares of --minutes: at which part of it a stage is to be over. What is left is for figures and files.
TEACHER_UNTIL, FOLDS_UNTIL, FINAL_UNTIL = 0.32, 0.60, 0.95

MANIFEST = """\
# Written by models/training/train_steel.py.
task: classify
description: Hot-rolled steel strip, seven kinds of surface defect
license: Apache-2.0

inputs:
  - name: image
    layout: NCHW
    type: uint8 # the normalisation is in the graph
    width: {size}
    height: {size}
    color: gray
    resize: stretch

output:
  decoder: classifier
  tensors: {{scores: scores}}
  activation: none # the softmax is in the graph

labels:
{labels}

batch_sizes: [1, 2, 4, 8]
"""


# The set.

def read_folder(folder):
    """Returns names and pictures uint8 [n, SIZE, SIZE] and class numbers of train.txt, made as the service makes them."""
    import cv2
    split = folder / "train.txt"
    if not split.exists():
        sys.exit(f"{split} does not exist: name the folder of X-SDD with --data, or a pack with --data-pack")
    names = [line for line in split.read_text().splitlines() if line.strip()]
    images, classes = [], []
    for name in names:
        picture = cv2.imread(str(folder / name), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            sys.exit(f"{folder / name}: not a picture that OpenCV reads")
        kind = pathlib.PurePosixPath(name).parent.name
        if kind not in CLASSES:
            sys.exit(f"{split}: {name!r} is in no folder of {', '.join(CLASSES)}")
        if picture.shape != (SIZE, SIZE):
            picture = cv2.resize(picture, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
        images.append(picture)
        classes.append(CLASSES.index(kind))
    return names, np.stack(images), np.array(classes)


def shift_windows(n, reach):
    """Pairs of windows of an n x n thumbnail that lie on each other when one picture is moved by up to reach cells."""
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            yield ((slice(max(dy, 0), n + min(dy, 0)), slice(max(dx, 0), n + min(dx, 0))),
                   (slice(max(-dy, 0), n + min(-dy, 0)), slice(max(-dx, 0), n + min(-dx, 0))))


def standardised(windows):
    """Rows of mean 0 and length 1; a row without contrast becomes 0."""
    rows = windows.reshape(len(windows), -1)
    rows = rows - rows.mean(1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(length > 0.5 * rows.shape[1] ** 0.5, rows / np.maximum(length, 1e-6), 0).astype(np.float32)


def look_alikes(images, alike=0.92, cells=16, reach=5):
    """Returns a group number for each picture. Two are in one group if their thumbnails correlate by alike or more, one of
    them moved by up to reach cells (a third of the picture) and mirrored: the same mark cut out twice, or a roll's mark
    on its next turn."""
    step = SIZE // cells
    thumbs = images.reshape(len(images), cells, step, cells, step).mean((2, 4)).astype(np.float32)
    group = np.arange(len(images))
    for flipped in (thumbs, thumbs[:, :, ::-1], thumbs[:, ::-1], thumbs[:, ::-1, ::-1]):
        for here, there in shift_windows(cells, reach):
            close = standardised(thumbs[(slice(None), *here)]) @ standardised(flipped[(slice(None), *there)]).T >= alike
            for i, j in zip(*np.nonzero(np.triu(close, 1))):
                group[group == group[j]] = group[i]
    return np.unique(group, return_inverse=True)[1]


def load(args):
    """Returns names, images, classes and groups, from the pack if one is named."""
    if args.data_pack:
        pack = np.load(args.data_pack)
        return [str(n) for n in pack["names"]], pack["images"], pack["classes"].astype(np.int64), pack["groups"]
    names, images, classes = read_folder(args.data)
    return names, images, classes, look_alikes(images)


def split_folds(classes, groups, folds, seed):
    """Returns a fold number for each picture: groups stay whole, classes are spread evenly."""
    rng = np.random.RandomState(seed)
    members = [np.flatnonzero(groups == g) for g in rng.permutation(groups.max() + 1)]
    members.sort(key=len, reverse=True)
    counts = np.zeros((folds, len(CLASSES)))
    totals = np.bincount(classes, minlength=len(CLASSES))
    fold = np.zeros(len(classes), np.int64)
    for m in members:
        share = np.bincount(classes[m], minlength=len(CLASSES)) / totals
        best = min(range(folds), key=lambda f: (round(float((counts[f] / totals) @ (share > 0)), 9), counts[f].sum()))
        fold[m] = best
        counts[best] += np.bincount(classes[m], minlength=len(CLASSES))
    return fold


# Pictures as a camera might have seen them otherwise. All take and give float [b, 1, SIZE, SIZE], 0..255.

def uniform(n, low, high, device):
    return low + (high - low) * torch.rand(n, 1, 1, 1, device=device)


def move(x):
    """Flips, turns by up to 8 degrees, scales and moves. No quarter turns: the rolling direction tells kinds apart."""
    b, device = len(x), x.device
    turn = uniform(b, -0.14, 0.14, device).view(b)
    scale, stretch = (uniform(b, -0.22, 0.22, device).exp().view(b), uniform(b, -0.1, 0.1, device).exp().view(b))
    flips = torch.randint(0, 2, (2, b), device=device).float() * 2 - 1
    shift = torch.rand(2, b, device=device) * 0.5 - 0.25
    cos, sin = turn.cos() * scale, turn.sin() * scale
    rows = [cos * flips[0] * stretch, -sin * flips[1], shift[0], sin * flips[0], cos * flips[1] / stretch, shift[1]]
    grid = F.affine_grid(torch.stack(rows, 1).view(b, 2, 3), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def relight(x):
    """Changes contrast and brightness, as a whole and slowly across the picture."""
    b, device = len(x), x.device
    slope = F.interpolate(torch.randn(b, 1, 2, 2, device=device), size=x.shape[-2:], mode="bilinear", align_corners=True)
    contrast = uniform(b, -0.3, 0.3, device).exp()
    return (x - GREY) * contrast + GREY + slope * uniform(b, 0, 8, device) + uniform(b, -10, 10, device)


def roughen(x):
    """Blurs a third a little and adds a little noise to all."""
    b, device = len(x), x.device
    blurred = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 3, 1)
    share = uniform(b, 0, 0.8, device) * (uniform(b, 0, 1, device) < 0.33)
    return x + share * (blurred - x) + torch.randn_like(x) * uniform(b, 0, 3.5, device)


class Jpeg(nn.Module):
    """Rounds the 8x8 blocks' cosines as a JPEG file of quality 50 to 98 does. Only one class of the set has PNG files: without
    this their missing blocks would tell the class."""

    LUMINANCE = [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
                 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
                 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99]

    def __init__(self):
        super().__init__()
        k, n = torch.arange(8.0).view(8, 1), torch.arange(8.0)
        cosines = torch.cos((2 * n + 1) * k * math.pi / 16) / 2
        cosines[0] /= 2 ** 0.5
        self.register_buffer("cosines", cosines)
        self.register_buffer("table", torch.tensor(self.LUMINANCE).float().view(8, 8))

    def forward(self, x):
        b, n = len(x), SIZE // 8
        blocks = x.view(b, n, 8, n, 8).permute(0, 1, 3, 2, 4) - 128
        table = (self.table * uniform(b, 0.04, 1.0, x.device)).clamp(min=1).view(b, 1, 1, 8, 8)
        rounded = torch.round(self.cosines @ blocks @ self.cosines.t() / table) * table
        back = self.cosines.t() @ rounded @ self.cosines + 128
        return back.permute(0, 1, 3, 2, 4).reshape(b, 1, SIZE, SIZE)


def augment(x, jpeg):
    x = roughen(relight(move(x))).clamp(0, 255)
    return torch.where(uniform(len(x), 0, 1, x.device) < 0.5, jpeg(x), x).clamp(0, 255)


def blend(x, targets, share):
    """Blends a share of the pictures, and their targets, with the next picture's."""
    b = len(x)
    lam = torch.where(uniform(b, 0, 1, x.device) < share, uniform(b, 0.5, 1, x.device), torch.ones(b, 1, 1, 1, device=x.device))
    flat = lam.view(b, 1)
    return lam * x + (1 - lam) * x.roll(1, 0), flat * targets + (1 - flat) * targets.roll(1, 0)


# The networks.

class Block(nn.Module):
    """A 3x3 and a 1x1 convolution and, where shapes allow, the identity, each normalised, summed: one 3x3 convolution once it
    is trained (RepVGG)."""

    def __init__(self, wide_in, wide_out, stride):
        super().__init__()
        self.stride = stride
        self.conv3 = nn.Conv2d(wide_in, wide_out, 3, stride, 1, bias=False)
        self.conv1 = nn.Conv2d(wide_in, wide_out, 1, stride, 0, bias=False)
        self.norm3, self.norm1 = nn.BatchNorm2d(wide_out), nn.BatchNorm2d(wide_out)
        self.norm0 = nn.BatchNorm2d(wide_in) if wide_in == wide_out and stride == 1 else None

    def forward(self, x):
        y = self.norm3(self.conv3(x)) + self.norm1(self.conv1(x))
        return F.relu(y if self.norm0 is None else y + self.norm0(x))

    def merged(self):
        """Returns the weight [out, in, 3, 3] and the bias [out] of the convolution that this block is, in float64."""
        def scaled(weight, norm):
            gain = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
            return weight.double() * gain.view(-1, 1, 1, 1), norm.bias.double() - norm.running_mean.double() * gain

        parts = [scaled(self.conv3.weight, self.norm3), scaled(F.pad(self.conv1.weight, (1, 1, 1, 1)), self.norm1)]
        if self.norm0 is not None:
            wide = self.conv3.weight.shape[0]
            same = torch.eye(wide, dtype=torch.float64, device=self.conv3.weight.device).view(wide, wide, 1, 1)
            parts.append(scaled(F.pad(same, (1, 1, 1, 1)), self.norm0))
        return sum(w for w, _ in parts), sum(b for _, b in parts)


class Net(nn.Module):
    """Pictures float [b, 1, SIZE, SIZE], 0..255, to logits [b, classes]. Each stage halves the size."""

    def __init__(self, widths, depths):
        super().__init__()
        blocks, wide = [], 1
        for width, depth in zip(widths, depths):
            for i in range(depth):
                blocks.append(Block(wide, width, 2 if i == 0 else 1))
                wide = width
        self.blocks = nn.Sequential(*blocks)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(2 * wide, len(CLASSES))

    def forward(self, x):
        x = self.blocks(((x - GREY) / SPAN).contiguous(memory_format=torch.channels_last)).float()
        return self.head(self.drop(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)))


class Plain(nn.Module):
    """A trained Net with each block merged into one convolution, for answers only."""

    def __init__(self, layers, head):
        """layers: (weight, bias, stride) of each convolution; head: (weight, bias)."""
        super().__init__()
        self.layers, self.head = layers, head

    @classmethod
    def of(cls, net):
        layers = [(*(t.detach().float() for t in block.merged()), block.stride) for block in net.blocks]
        return cls(layers, (net.head.weight.detach(), net.head.bias.detach()))

    def on(self, device):
        moved = [(w.to(device).contiguous(memory_format=torch.channels_last), b.to(device), s) for w, b, s in self.layers]
        return Plain(moved, tuple(t.to(device) for t in self.head))

    def forward(self, x):
        x = ((x - GREY) / SPAN).contiguous(memory_format=torch.channels_last)
        for weight, bias, stride in self.layers:
            x = F.relu(F.conv2d(x, weight, bias, stride, 1))
        x = x.float()
        return F.linear(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1), *self.head)

    def write(self, path):
        """Writes the ONNX graph: image uint8 [N, 1, SIZE, SIZE] to scores [N, classes]."""
        g = onnxfile.Graph("steel")
        x = g.add("Cast", g.input("image", onnxfile.UINT8, ["N", 1, SIZE, SIZE]), to=onnxfile.FLOAT)
        x = g.add("Sub", x, g.const("grey", np.array(GREY)))
        for i, (weight, bias, stride) in enumerate(self.layers):
            weight = weight.cpu().numpy() / (SPAN if i == 0 else 1)
            x = g.add("Conv", x, g.const(f"w{i}", weight), g.const(f"b{i}", bias.cpu().numpy()),
                      kernel_shape=[3, 3], strides=[stride, stride], pads=[1, 1, 1, 1])
            x = g.add("Relu", x)
        pooled = g.add("Concat", g.add("GlobalAveragePool", x), g.add("GlobalMaxPool", x), axis=1)
        weight, bias = (t.cpu().numpy() for t in self.head)
        logits = g.add("Gemm", g.add("Flatten", pooled, axis=1), g.const("w_head", weight), g.const("b_head", bias), transB=1)
        g.add("Softmax", logits, out="scores", axis=1)
        g.output("scores", onnxfile.FLOAT, ["N", len(CLASSES)])
        g.write(path, "assay-train-steel")


@torch.no_grad()
def scores_of(plain, images, device):
    """Returns float32 [n, classes] for uint8 [n, SIZE, SIZE]."""
    x = torch.from_numpy(images)[:, None]
    return torch.cat([plain(part.to(device).float()).softmax(1).cpu() for part in x.split(256)]).numpy()


# Training.

class Progress:
    """How far a stage is, 0 to 1: by steps, or by the clock if until (seconds since the epoch) is given."""

    def __init__(self, steps, until):
        self.steps, self.until, self.done, self.begun = steps, until, 0, time.time()

    def __call__(self):
        if self.until is None:
            return min(1.0, self.done / self.steps)
        return min(1.0, (time.time() - self.begun) / max(self.until - self.begun, 1.0))


def rate(progress, peak):
    """A warm-up over the first twentieth, then a cosine to nothing."""
    if progress < 0.05:
        return peak * (0.02 + progress / 0.05 * 0.98)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95))


def rng_state(device):
    return torch.get_rng_state(), torch.cuda.get_rng_state() if device == "cuda" else None


def save(path, state):
    """Writes a whole file or none."""
    torch.save(state, f"{path}.part")
    os.replace(f"{path}.part", path)


class Stage:
    """Trains one network on some of the pictures. Its file in --work is a checkpoint until it is done, then the merged network."""

    def __init__(self, args, name, spec, indices, seed):
        self.args, self.name, self.spec, self.indices, self.seed = args, name, spec, indices, seed
        self.path = args.work / f"{name}.pt"
        self.saved = torch.load(self.path, map_location="cpu") if self.path.exists() else None

    def plain(self):
        return Plain(*self.saved["plain"]).on(self.args.device)

    def run(self, data, progress, teachers):
        """data: images uint8 [n, 1, SIZE, SIZE] and class numbers [n], on the device. teachers: networks whose mean answer makes half of
        the target; none: the classes alone, smoothed. Returns the merged network."""
        if self.saved and "plain" in self.saved:
            return self.plain()
        torch.manual_seed(self.seed)
        device, args = self.args.device, self.args
        net = Net(**self.spec).to(device).to(memory_format=torch.channels_last).train()
        decayed = [p for p in net.parameters() if p.dim() > 1]
        others = [p for p in net.parameters() if p.dim() <= 1]
        optimiser = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}], lr=args.rate)
        jpeg = Jpeg().to(device)
        if self.saved:
            self.resume(net, optimiser, progress)
        images, classes = data[0][self.indices], data[1][self.indices]
        picked = torch.bincount(classes, minlength=len(CLASSES)).float().clamp(min=1).pow(-args.balance)[classes]
        last, mean = time.time(), None
        while (at := progress()) < 1:
            for group in optimiser.param_groups:
                group["lr"] = rate(at, args.rate)
            batch = torch.multinomial(picked, args.batch, replacement=True)
            loss = self.step(net, optimiser, images[batch], classes[batch], teachers, jpeg)
            progress.done += 1
            if progress.done % 50 == 0:  # reading the loss waits for the device, so that the clock means something
                value = loss.item()
                mean = value if mean is None else 0.8 * mean + 0.2 * value
                end_if_alone()
            if progress.done % 500 == 0:
                print(f"{self.name}: step {progress.done}, {100 * at:.0f} %, loss {mean:.3f}", flush=True)
            if time.time() - last > args.checkpoint:
                self.checkpoint(net, optimiser, progress)
                last = time.time()
        return self.finish(net.eval(), progress, mean)

    def step(self, net, optimiser, images, classes, teachers, jpeg):
        x = augment(images.float(), jpeg)
        targets = F.one_hot(classes, len(CLASSES)).float()
        x, targets = blend(x, targets, 0.5 if teachers else 0.3)
        with torch.autocast(self.args.device, dtype=torch.bfloat16, enabled=self.args.device == "cuda"):
            if teachers:
                with torch.no_grad():
                    targets = 0.5 * targets + 0.5 * torch.stack([t(x).float().softmax(1) for t in teachers]).mean(0)
            else:
                targets = 0.95 * targets + 0.05 / len(CLASSES)
            logits = net(x)
        loss = -(targets * logits.float().log_softmax(1)).sum(1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return loss

    def resume(self, net, optimiser, progress):
        net.load_state_dict(self.saved["net"])
        optimiser.load_state_dict(self.saved["optimiser"])
        progress.done = self.saved["done"]
        progress.begun -= self.saved["seconds"]
        host, card = self.saved["rng"]
        torch.set_rng_state(host)
        if card is not None and self.args.device == "cuda":
            torch.cuda.set_rng_state(card)
        print(f"{self.name}: goes on at step {progress.done}", flush=True)

    def checkpoint(self, net, optimiser, progress):
        save(self.path, {"net": net.state_dict(), "optimiser": optimiser.state_dict(), "done": progress.done,
                         "seconds": time.time() - progress.begun, "rng": rng_state(self.args.device)})

    def finish(self, net, progress, loss):
        plain = Plain.of(net).on("cpu")
        seconds = time.time() - progress.begun
        self.saved = {"plain": (plain.layers, plain.head), "done": progress.done, "seconds": seconds}
        save(self.path, self.saved)
        print(f"{self.name}: done, {progress.done} steps in {seconds:.0f} s, loss {loss if loss is not None else math.nan:.3f}", flush=True)
        return self.plain()


def prepare(args):
    """Settles what PyTorch does the same way in every process."""
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False  # what is not trained in bfloat16 is to be exact


def end_if_alone():
    """Ends this fold's process if the one that started it was killed: its successor trains the same stage."""
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def on_device(args, images, classes):
    return torch.from_numpy(images)[:, None].to(args.device), torch.from_numpy(classes).to(args.device)


def until(args, share):
    return None if args.minutes is None else args.begun + 60 * args.minutes * share


def run_fold(args, fold, images, classes, folds):
    """Trains the fold's teacher and student on the other folds. Returns the fold's number and what both say of its own pictures."""
    prepare(args)
    rest, own = torch.from_numpy(np.flatnonzero(folds != fold)).to(args.device), folds == fold
    data = on_device(args, images, classes)
    teacher = Stage(args, f"teacher{fold}", TEACHER, rest, args.seed + 100 + fold).run(data, Progress(args.teacher_steps, until(args, TEACHER_UNTIL)), [])
    student = Stage(args, f"student{fold}", STUDENT, rest, args.seed + 200 + fold).run(data, Progress(args.student_steps, until(args, FOLDS_UNTIL)), [teacher])
    return fold, scores_of(teacher, images[own], args.device), scores_of(student, images[own], args.device)


def run_folds(args, images, classes, folds):
    """Returns what the folds' teachers and students say of all pictures that they have not seen: two of float [n, classes]."""
    by_teacher, by_student = np.zeros((2, len(classes), len(CLASSES)), np.float32)
    for fold, teacher, student in answers_by_fold(args, images, classes, folds):
        own = folds == fold
        by_teacher[own], by_student[own] = teacher, student
        print(f"fold {fold}: teacher {figures(teacher, classes[own])}, student {figures(student, classes[own])}", flush=True)
    return by_teacher, by_student


def answers_by_fold(args, images, classes, folds):
    """Yields what run_fold returns, for each fold. With --jobs in processes of their own: one process alone leaves a GPU idle
    while it prepares the next small step."""
    if args.jobs == 1:
        for fold in range(args.folds):
            yield run_fold(args, fold, images, classes, folds)
        return
    with concurrent.futures.ProcessPoolExecutor(args.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for job in [pool.submit(run_fold, args, fold, images, classes, folds) for fold in range(args.folds)]:
            yield job.result()


# Figures.

def confusion(scores, classes):
    """Returns counts [class, answer]."""
    matrix = np.zeros((len(CLASSES), len(CLASSES)), int)
    np.add.at(matrix, (classes, scores.argmax(1)), 1)
    return matrix


def class_f1(matrix):
    right = np.diag(matrix)
    return 200 * right / np.maximum(matrix.sum(0) + matrix.sum(1), 1)


def figures(scores, classes):
    matrix = confusion(scores, classes)
    return {"accuracy": round(100 * float(np.trace(matrix) / matrix.sum()), 2), "macro_f1": round(float(class_f1(matrix).mean()), 2)}


def spread(scores, classes, folds):
    """Figures over all pictures, and each fold's with mean and standard deviation."""
    each = [figures(scores[folds == f], classes[folds == f]) for f in range(folds.max() + 1)]
    across = {k: {"mean": round(float(np.mean([e[k] for e in each])), 2), "sd": round(float(np.std([e[k] for e in each], ddof=1)), 2)}
              for k in ("accuracy", "macro_f1")}
    return {**figures(scores, classes), "across_folds": across, "folds": each}


def resampled(scores, classes, rounds=2000):
    """The middle 95 % of both figures when the pictures are drawn again with replacement."""
    rng, drawn = np.random.RandomState(0), []
    for _ in range(rounds):
        i = rng.randint(0, len(classes), len(classes))
        drawn.append(list(figures(scores[i], classes[i]).values()))
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {"accuracy": [round(low[0], 2), round(high[0], 2)], "macro_f1": [round(low[1], 2), round(high[1], 2)]}


def report(args, names, classes, groups, folds, by_teacher, by_student, steps):
    matrix, answers = confusion(by_student, classes), by_student.argmax(1)
    sure = by_student.max(1) >= 0.9
    return {
        "pictures": len(names), "groups_of_look_alikes": int((np.bincount(groups) > 1).sum()), "in_them": int(np.isin(groups, np.flatnonzero(np.bincount(groups) > 1)).sum()),
        "seed": args.seed, "device": args.device, "torch": torch.__version__, "minutes": round((time.time() - args.begun) / 60, 1), "steps": steps,
        "student": spread(by_student, classes, folds), "student_interval_95": resampled(by_student, classes),
        "teacher": spread(by_teacher, classes, folds),
        "class_f1": dict(zip(CLASSES, np.round(class_f1(matrix), 2).tolist())),
        "confusion": {"rows_are_classes": matrix.tolist(), "labels": CLASSES},
        "score_0.9_or_more": {"share": round(100 * float(sure.mean()), 2), "accuracy": round(100 * float((answers == classes)[sure].mean()), 2) if sure.any() else None},
        "missed": [{"picture": names[i], "answer": CLASSES[answers[i]], "score": round(float(by_student[i].max()), 3)} for i in np.flatnonzero(answers != classes)],
    }


def show(r):
    for who in ("teacher", "student"):
        f, across = r[who], r[who]["across_folds"]
        print(f"{who}, cross-validated over {r['pictures']} pictures: accuracy {f['accuracy']} % (folds {across['accuracy']['mean']} +- {across['accuracy']['sd']}), "
              f"macro-F1 {f['macro_f1']} (folds {across['macro_f1']['mean']} +- {across['macro_f1']['sd']})")
    low = r["student_interval_95"]
    print(f"the shipped model's held-out estimate is its folds' students': accuracy {r['student']['accuracy']} % (95 %: {low['accuracy'][0]} to {low['accuracy'][1]}), "
          f"macro-F1 {r['student']['macro_f1']} (95 %: {low['macro_f1'][0]} to {low['macro_f1'][1]}); it has learnt from all pictures and {len(r['student']['folds'])} teachers, they from {len(r['student']['folds']) - 1} folds and one teacher")
    for name, row, f1 in zip(CLASSES, r["confusion"]["rows_are_classes"], r["class_f1"].values()):
        print(f"  {name:36s} F1 {f1:6.2f}  " + " ".join(f"{n:4d}" for n in row))


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=pathlib.Path, default=pathlib.Path("../shared/data/x_sdd"), help="folder of the set")
    p.add_argument("--data-pack", type=pathlib.Path, help="the set as --pack wrote it, instead of --data")
    p.add_argument("--pack", type=pathlib.Path, help="only write the set into this file (.npz), then stop")
    p.add_argument("--out", type=pathlib.Path, help="folder of the model to write")
    p.add_argument("--work", type=pathlib.Path, help="folder of checkpoints (default: build/steel-work)", default=pathlib.Path("build/steel-work"))
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--minutes", type=float, help="time for all of it (default: as long as the steps take)")
    p.add_argument("--teacher-steps", type=int, default=1200, help="without --minutes (default: 1200)")
    p.add_argument("--student-steps", type=int, default=2000, help="without --minutes, of each fold's (default: 2000)")
    p.add_argument("--final-steps", type=int, default=3000, help="without --minutes, of the student that ships (default: 3000)")
    p.add_argument("--folds", type=int, default=5)
    p.add_argument("--batch", type=int, help="pictures a step (default: 64, cuda: 128)")
    p.add_argument("--rate", type=float, default=0.002, help="highest learning rate (default: 0.002)")
    p.add_argument("--balance", type=float, default=0.5, help="0: pictures are drawn evenly; 1: classes are (default: 0.5)")
    p.add_argument("--jobs", type=int, help="folds trained at once (default: 1, cuda: all)")
    p.add_argument("--threads", type=int, help="CPU threads of a process (default: all cores, cuda: 2)")
    p.add_argument("--checkpoint", type=float, default=600, help="seconds from one checkpoint to the next (default: 600)")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    if not args.out and not args.pack:
        p.error("name the folder to write with --out, or a file with --pack")
    cuda = args.device == "cuda"
    args.batch = args.batch or (128 if cuda else 64)
    args.jobs = args.jobs or (args.folds if cuda else 1)
    args.threads = args.threads or (2 if cuda else os.cpu_count())
    args.begun = time.time()
    return args


def main():
    args = arguments()
    names, images, classes, groups = load(args)
    if args.pack:
        args.pack.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(args.pack, names=np.array(names), images=images, classes=classes.astype(np.uint8), groups=groups.astype(np.int32))
        print(f"{args.pack}: {len(names)} pictures, {args.pack.stat().st_size / 1e6:.1f} MB")
        return
    (args.out / "1").mkdir(parents=True, exist_ok=True)
    args.work.mkdir(parents=True, exist_ok=True)
    prepare(args)
    folds = split_folds(classes, groups, args.folds, args.seed)
    by_teacher, by_student = run_folds(args, images, classes, folds)

    teachers = [Stage(args, f"teacher{f}", TEACHER, None, 0).plain() for f in range(args.folds)]
    everything = torch.arange(len(classes), device=args.device)
    final = Stage(args, "final", STUDENT, everything, args.seed + 300)
    plain = final.run(on_device(args, images, classes), Progress(args.final_steps, until(args, FINAL_UNTIL)), teachers).on("cpu")

    plain.write(args.out / "1" / "model.onnx")
    (args.out / "1" / "model.yaml").write_text(MANIFEST.format(size=SIZE, labels="\n".join(f"  - {c}" for c in CLASSES)))
    steps = {name: Stage(args, name, None, None, 0).saved["done"] for name in ("teacher0", "student0", "final")}
    r = report(args, names, classes, groups, folds, by_teacher, by_student, steps)
    r["check_scores"] = scores_of(plain, images[:16], "cpu").tolist()
    r["final_on_its_own_training_pictures"] = figures(scores_of(plain, images, "cpu"), classes)
    (args.out / "report.json").write_text(json.dumps(r, indent=1))
    show(r)
    print(f"{args.out}: model version and report.json, {r['minutes']} minutes")


if __name__ == "__main__":
    main()
