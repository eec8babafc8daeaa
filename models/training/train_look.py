#!/usr/bin/env python3
"""Train the second look of the board detector (models/pcb-pair), and export both looks as one graph.

    models/training/train_look.py --stage build/pcb-pair/weights.pt --out build/look

What train_board.py trained marks places at which a defect may be. The second network sees SEEN px around each such place, as fine as
the picture is, and says which class has its middle there, or none. In the graph both have a say (Twice).

It learns from defects of the same pack as the first, real, planted and drawn, from the places that the first marks on the
training pictures and that are none, and from places at which nothing is. One command, seeded; the same command goes on where it was
stopped (a checkpoint every ten minutes in OUT/checkpoint.pt). The graph in int8 is made from OUT/1/model.onnx by quantize_board.py.
Needs what train_board.py needs.
"""
import argparse
import copy
import json
import math
import os
import pathlib
import time

import cv2
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import train_board as board
from board_graph import load, mean_of, normalise
from processor import has_bfloat16
from train_board import CLASSES, GRID, SIDE, STRIDE

SEEN = 96  # px of a place that the second network sees, square
NONE = len(CLASSES)
FLOOR, SURE = 0.05, 0.7  # between these the first network's score is in doubt, and its place is looked at again
MOST = 40  # such places of a picture, the likeliest first
UNSEEN = 0.3  # what the scores of a place below keep: most of those that are looked at and are none lose more
TRUSTED = 0.98  # what the second network would say of a score above
TAUGHT = 0.03  # a place that the first network marks on a training picture with this score is learnt from
EDGE = (SEEN - STRIDE) // 2  # px that a place at the border needs beyond the picture: ground
WIDE = SIDE + 2 * EDGE


# ---- the network -------------------------------------------------------------------------------------------------------

class Look(nn.Module):
    """Places [M,2,SEEN,SEEN], 0 copper and 1 ground, tested and template, to logits [M,7]: the classes, and none."""

    def __init__(self, widths=(32, 64, 128), depths=(2, 2, 2), drop=0.2):
        super().__init__()
        a, b, c = widths
        self.s4 = nn.Sequential(nn.Conv2d(2, a, 4, 4), nn.ReLU(inplace=True), *[board.Residual(a) for _ in range(depths[0])])
        self.s8 = nn.Sequential(board.conv(a, b, 3, 2), *[board.Residual(b) for _ in range(depths[1])])
        self.s16 = nn.Sequential(board.conv(b, c, 3, 2), *[board.Residual(c) for _ in range(depths[2])])
        self.drop = nn.Dropout(drop)
        self.out = nn.Conv2d(c, NONE + 1, SEEN // 16)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        return self.out(self.drop(self.s16(self.s8(self.s4(x))))).flatten(1)


class Twice(nn.Module):
    """What is exported: board.Served, whose doubtful peaks are looked at again. The log odds of such a peak become the mean of what
    both networks give its class; a peak that is sure counts as if the second were, too."""

    def __init__(self, first, look):
        super().__init__()
        self.first, self.look = board.Served(first), copy.deepcopy(look).to(memory_format=torch.contiguous_format)  # else no place at all fails it
        self.look.s4[0] = board.rows_of(look.s4[0])
        self.register_buffer("window", torch.arange(SEEN)[:, None] * (WIDE // 4) + torch.arange(SEEN // 4))

    def forward(self, images):
        fours = board.fours_of(images)
        scores, boxes = self.first.of(fours)
        surest = scores.amax(1)
        doubt = surest * ((surest > FLOOR) & (surest < SURE)).float()
        least = doubt.flatten(1).topk(MOST)[0][:, -1].clamp(min=FLOOR)
        n, y, x = torch.nonzero(doubt >= least[:, None, None]).unbind(1)
        padded = F.pad(fours, (0, 0, EDGE // 4, EDGE // 4, EDGE, EDGE), value=255).reshape(-1, 8)
        corner = (n * WIDE + y * STRIDE) * (WIDE // 4) + x * (STRIDE // 4)
        logits = self.look(board.stems(padded[corner[:, None, None] + self.window]))
        keep = UNSEEN + (1 - UNSEEN) * (surest > FLOOR).float()
        rested = torch.where(scores < SURE, scores * keep[:, None], agreed(scores, torch.full_like(scores, TRUSTED)))
        at = ((n * (NONE * GRID) + y) * GRID + x)[:, None] + torch.arange(NONE) * GRID ** 2  # of a place's scores, in all of them
        both = agreed(scores.flatten()[at], torch.softmax(logits, 1)[:, :NONE])
        return rested.flatten().index_put((at.flatten(),), both.flatten()).reshape(scores.shape), boxes


def agreed(p, q):
    """The probability whose log odds are the mean of those of p and q."""
    yes, no = torch.sqrt(p * q), torch.sqrt((1 - p) * (1 - q))
    return yes / (yes + no)


# ---- the data ----------------------------------------------------------------------------------------------------------

ANYWHERE = -1  # as a class: somewhere in the picture where nothing is


class Places(torch.utils.data.Dataset):
    """Step k's batch: bytes [n,2,SEEN,SEEN] and classes [n]. The same seed and k give the same batch in any process."""

    def __init__(self, data, first, seed, size):
        self.data, self.seed = data, seed
        real, planted, drawn = data.pools
        defects = [[(i, (b[0] + b[2]) / 2, (b[1] + b[3]) / 2, b[2] - b[0], b[3] - b[1], b[4]) for i in pool for b in data.truth[int(i)]] for pool in data.pools]
        false = []
        for found, pool in zip(defects, (real, planted)):
            for i, box, x, y in marked(first, data, pool):
                overlap, kind = max(((board.iou(box, b[:4]), b[4]) for b in data.truth[i]), default=(0, NONE))
                if overlap > 0.33:
                    found.append((i, x, y, 0, 0, kind))
                elif overlap <= 0.2:
                    false.append((i, x, y, 0, 0, NONE))
        anywhere = [(i, 0, 0, 0, 0, ANYWHERE) for i in np.concatenate([real, real, planted, drawn])]
        shares = [0.4, 0.15, 0.1, 0.15]
        counts = [int(size * s) for s in shares]
        pools = [np.array(p, np.float32).reshape(-1, 6) for p in (*defects, false, anywhere)]
        self.pools = [(p, n) for p, n in zip(pools, [*counts, size - sum(counts)]) if len(p)]
        print(f"places: defects {[len(p) for p in pools[:3]]} (real, planted, drawn), {len(false)} that are none", flush=True)

    def __getitem__(self, step):
        cv2.setNumThreads(0)
        rng = np.random.default_rng([self.seed, step, 77])
        seen, kinds = [], []
        for pool, count in self.pools:
            for k in rng.integers(0, len(pool), count):
                i, x, y, w, h, kind = pool[k]
                if kind == ANYWHERE:
                    x, y, kind = *self.anywhere(int(i), rng), NONE
                else:
                    x, y = np.array([x, y]) + np.clip(rng.normal(size=2), -2, 2) * (0.05 * np.array([w, h]) + 3)
                seen.append(self.varied(int(i), x, y, kind == NONE, rng))
                kinds.append(int(kind))
        return torch.from_numpy(np.stack(seen)), torch.tensor(kinds)

    def anywhere(self, i, rng):
        """A place at which nothing is, where the copper ends mostly."""
        boxes = self.data.boxes[i]
        boxes = boxes[boxes[:, 4] >= 0]
        for _ in range(30):
            x, y = rng.uniform(8, SIDE - 8, 2)
            if ((x > boxes[:, 0] - 14) & (x < boxes[:, 2] + 14) & (y > boxes[:, 1] - 14) & (y < boxes[:, 3] + 14)).any():
                continue
            if rng.random() < 0.85:
                near = cut(self.data.templates[self.data.template_of[i]], int(x) - 10, int(y) - 10, 20)
                if near.min() == near.max():
                    continue
            break
        return x, y

    def varied(self, i, x, y, none, rng):
        """A place turned, mirrored, scaled, its template a little differently, with the edges and noise of a scan: as Data.varied does."""
        zoom = math.exp(rng.uniform(-0.26, 0.26)) * np.exp(rng.uniform(-0.05, 0.05, 2)) if rng.random() < 0.7 else np.ones(2)
        angle = rng.integers(4) * (math.pi / 2) + (rng.uniform(-0.08, 0.08) if rng.random() < 0.4 else 0)
        mirror = 1 if rng.random() < 0.5 else -1
        m = np.array([[math.cos(angle) * mirror, -math.sin(angle)], [math.sin(angle) * mirror, math.cos(angle)]]) * zoom
        turn = np.array([[0, -1], [1, 0]]) * rng.normal() * 0.0015
        t = np.array([x, y], float)
        jitter = np.clip(rng.normal(size=2) * 1.3, -4, 4) + turn @ (t - SIDE / 2)
        frames = ()
        if rng.random() < board.ANNOTATED:
            half, middle = np.exp(rng.uniform(math.log(10), math.log(40), 2)), np.full(2, SEEN / 2)
            if none and rng.random() < 0.5:  # the name is what hides the copper here
                middle += half + [rng.uniform(-60, 0), rng.uniform(10, 24)]
            frames = board.frames_of(np.array([[*(middle - half), *(middle + half)]]), SEEN, rng)
        test, template = self.data.tests[i], self.data.templates[self.data.template_of[i]]
        return np.stack([self.scanned(test, m, t, rng, 0.3, frames), self.scanned(template, m + turn @ m, t + jitter, rng, 0)])

    def scanned(self, bits, m, t, rng, jpeg, frames=()):
        reach = int(np.abs(m).sum(1).max() * SEEN / 2) + 6
        left, top = int(t[0]) - reach, int(t[1]) - reach
        centre = np.full(2, (SEEN - 1) / 2)
        move = np.column_stack([m, t - [left, top] - m @ centre])
        return self.data.scan(cut(bits, left, top, 2 * reach + 1), move, SEEN, rng, jpeg, frames)


def cut(bits, left, top, side):
    """A square of a picture in bytes, 0 copper and 255 ground; what is outside of the picture is ground."""
    right, bottom = min(left + side, SIDE), min(top + side, SIDE)
    out = np.full((side, side), 255, np.uint8)
    x, y = max(left, 0), max(top, 0)
    if x < right and y < bottom:
        part = bits.reshape(SIDE, SIDE // 8)[y:bottom, x // 8:(right + 7) // 8]
        out[y - top:bottom - top, x - left:right - left] = ((1 - np.unpackbits(part, axis=1)) * np.uint8(255))[:, x % 8:x % 8 + right - x]
    return out


def marked(first, data, indices, batch=50):
    """(picture, box, x, y) of every peak of TAUGHT and more, x and y being the middle of its cell in px."""
    served = board.Served(first)
    for k in range(0, len(indices), batch):
        part = indices[k:k + batch]
        scores, boxes = (v.float().cpu().numpy() for v in served(data.plain(part).to(next(first.parameters()).device)))
        for j, picture in enumerate(part):
            for _, y, x in zip(*np.nonzero(scores[j] >= TAUGHT)):
                yield int(picture), boxes[j, :, y, x].clip(0, SIDE), x * STRIDE + STRIDE // 2, y * STRIDE + STRIDE // 2


# ---- the run -----------------------------------------------------------------------------------------------------------

def train(args):
    device = torch.device(args.device)
    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    torch.backends.cudnn.benchmark = True
    if args.weights:
        args.planted = 0
    data = board.Data(args)
    first = board.Net().to(device)
    load(args.stage, first, "net", device)
    first.eval()
    if args.weights:
        looks = [Look().to(device) for _ in args.weights]
        for path, look in zip(args.weights, looks):
            load(path, look, "look", device)
        return finish(args, first, mean_of(looks).eval(), data, {})
    with torch.no_grad():
        places = Places(data, first, args.seed, args.batch)
    net = Look().to(device, memory_format=torch.channels_last)
    if args.start:
        load(args.start, net, "look", device)
        if args.start.suffix == ".onnx":
            normalise(net, board.floats(places[0][0], device))
    ema = copy.deepcopy(net).eval()
    heavy, plain = ([p for p in net.parameters() if (p.ndim >= 2) == h] for h in (True, False))
    opt = torch.optim.AdamW([{"params": heavy, "weight_decay": args.decay}, {"params": plain, "weight_decay": 0.0}], lr=args.rate)
    step, spent, checkpoint = 0, 0.0, args.out / "checkpoint.pt"
    args.out.mkdir(parents=True, exist_ok=True)
    parts = {"net": net, "ema": ema, "opt": opt}
    if checkpoint.exists():
        step, spent = board.restore(checkpoint, parts, device)
    made = board.batches(places, args, step)
    began = saved = shown = time.time()
    shadow, live, right = list(ema.parameters()), list(net.parameters()), []
    while True:
        done = (spent + time.time() - began) / (60 * args.minutes) if args.minutes else step / args.steps
        if done >= 1:
            break
        for g in opt.param_groups:
            g["lr"] = args.rate * min(1, done / 0.03 + 0.01) * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        x, kinds = next(made)
        kinds = kinds.to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda" or has_bfloat16()):
            logits = net(board.floats(x, device))
        loss = F.cross_entropy(logits.float(), kinds, label_smoothing=args.smooth)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(live, 5.0)
        opt.step()
        step += 1
        right.append((logits.argmax(1) == kinds).float().mean().item())
        with torch.no_grad():
            kept = min(args.ema, step / (9 + step))
            torch._foreach_mul_(shadow, kept)
            torch._foreach_add_(shadow, live, alpha=1 - kept)
        if time.time() - shown > args.report:
            print(f"step {step}, {done:.1%}, {spent + time.time() - began:.0f} s, loss {loss.item():.3f}, right {np.mean(right[-100:]):.2%}", flush=True)
            shown = time.time()
        if time.time() - saved > 600:
            spent, began = spent + time.time() - began, time.time()
            board.keep(checkpoint, parts, step, spent)
            saved = time.time()
    spent += time.time() - began
    board.settle(ema, made, 40, device)
    board.keep(checkpoint, parts, step, spent)
    print(f"{step} steps of {args.batch} in {spent:.0f} s", flush=True)
    torch.save(ema.state_dict(), args.out / "weights.pt")
    finish(args, first, ema, data, {"steps": step, "seconds": spent})


def finish(args, first, look, data, spent):
    """Measure both networks as one, and export them."""
    served = Twice(first, look).to(args.device).eval()
    args.out.mkdir(parents=True, exist_ok=True)
    figures = board.judge(served, data, lambda line: print(line, flush=True))
    (args.out / "figures.json").write_text(json.dumps({"figures": figures, **spent, "arguments": {k: str(v) for k, v in vars(args).items()}}, indent=1))
    board.export(served, args.out / "1" / "model.onnx")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--stage", type=pathlib.Path, required=True, help="weights.pt of the first network, as train_board.py wrote it, or a model.onnx of both in float32")
    p.add_argument("--pack", type=pathlib.Path, default=pathlib.Path("build/boards/pack.npz"), help="all pictures in one file, as train_board.py makes it")
    p.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/look"), help="folder for checkpoint, figures and model")
    p.add_argument("--start", type=pathlib.Path, help="weights.pt of another run, or a model.onnx that this program wrote, to go on from (with a lower --rate)")
    p.add_argument("--weights", type=pathlib.Path, nargs="+", help="do not train: measure and export this run's weights.pt, or a model.onnx, with the network of --stage; of several, one trained from the other, the mean")
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--workers", type=int, default=os.cpu_count(), help="processes that plant defects and make batches")
    p.add_argument("--steps", type=int, default=5000)
    p.add_argument("--minutes", type=float, default=0, help="bound the run by time instead of steps")
    p.add_argument("--batch", type=int, default=256, help="places a step")
    p.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    p.add_argument("--decay", type=float, default=0.05, help="weight decay")
    p.add_argument("--smooth", type=float, default=0.02, help="share of a label that goes to all classes")
    p.add_argument("--ema", type=float, default=0.999, help="share that the averaged weights keep at each step")
    p.add_argument("--planted", type=int, default=3, help="pictures with planted defects for each template")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--hold-out", default="", help="groups of boards to leave out and measure on, such as group92000,group44000")
    p.add_argument("--all", action="store_true", help="train on the validation part too: for the model that ships, once the recipe stands")
    p.add_argument("--report", type=float, default=30, help="seconds between lines")
    args = p.parse_args()
    if not args.pack.exists():
        p.error(f"--pack: {args.pack} is missing: train_board.py makes it")
    train(args)


if __name__ == "__main__":
    main()
