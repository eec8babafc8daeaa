#!/usr/bin/env python3
"""Train an anomaly model with a heatmap from normal pictures alone, and export it as one ONNX graph.

    models/training/train_tile.py --tiles ../shared/data/magnetic_tile --steel ../shared/data/x_sdd --out build/tile
    models/training/train_tile.py --data rendered --out build/texture
    models/training/train_tile.py --evaluate build/tile/model.onnx --tiles ../shared/data/magnetic_tile

The network learns to find simulated defects on normal pictures (tile_defects.py), and a density is fitted to its features
of normal ones. No picture with a real defect and no weights from elsewhere take part. It writes into --out:
    model.onnx, model.yaml   a model version, to be copied to a repository as NAME/1
    weights.npz              the network's weights, for --weights and --start
    validation.json          figures on normal pictures that were held out and defects simulated on them
    checkpoint.pt            every ten minutes and at the end; the same command goes on from there

Needs PyTorch 1.13 or newer, OpenCV and NumPy; --evaluate needs onnxruntime besides. The tiles have no licence
file: their pictures, and weights trained on them, are for research and stay out of the project.
"""
import argparse
import copy
import json
import pathlib
import sys
import time

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from processor import has_bfloat16
from tile_data import Rendered, Tiles, letterbox, pack
from tile_defects import AREA, Draw, harmless, spoil, take
from tile_metrics import auroc, best_boundary, best_f1
from tile_net import WIDTHS, Both, Density, Net, Several, Views, double, export, framed

SIDES = {"tiles": 320, "rendered": 256}  # px of the input
SIZES = {"tiles": "tile", "rendered": "small"}
CHECKPOINT_EVERY = 600  # s
RESERVE = 0.1  # the part of --minutes that is kept for validation and export
WARM_UP, DECAY = 0.03, 0.998  # part of the run; of the averaged weights, per step
PARTS_EACH, PARTS_FOR = 2, 0.75  # with --parts: how many of each picture, and the part of the run that learns from them

MANIFEST = """\
# Written by models/training/train_tile.py.
task: anomaly
description: "{description}"
license: "{license}"

inputs:
  - name: input
    layout: NCHW
    width: {side}
    height: {side}
    color: gray
    resize: letterbox
    anchor: center
    interpolation: area
    scale: 0.00392156862745098 # 1/255

output:
  decoder: anomaly
  tensors: {{score: pred_score, label: pred_label, map: anomaly_map, mask: pred_mask}}
  score_floor: 0.001

labels: [anomaly]

batch_sizes: [1, 2, 4]
"""
ABOUT = {
    "tiles": ("Magnetic tiles, whatever differs from normal ones", "the training data has no licence: research only"),
    "rendered": ("Rendered textures, whatever differs from normal ones: a demonstration", "as the project's"),
}


def read_net(path: pathlib.Path) -> Net:
    """The network of a run's weights.npz, whatever its size."""
    state = {k: torch.from_numpy(v) for k, v in np.load(path).items()}
    for size in WIDTHS:
        net = Net(size)
        if {k: v.shape for k, v in net.state_dict().items()} == {k: v.shape for k, v in state.items()}:
            net.load_state_dict(state)
            return net.eval()
    sys.exit(f"{path}: not the weights of a network of {', '.join(WIDTHS)}: name a weights.npz that this program wrote")


def batch(source, n: int, draw: Draw):
    """n pictures of which up to half carry a simulated defect: pictures, masks [n,1,S,S] and labels [n]."""
    x, rect = source.sample(n, draw)
    x = harmless(x, rect, draw)
    pictures, masks, labels = [], [], []
    half = n // 2
    kinds = deal([*source.deck], draw)
    for part, kind in zip(torch.arange(half).tensor_split(len(kinds)), kinds):
        if len(part):
            chosen = slice(int(part[0]), int(part[-1]) + 1)
            for values, more in zip((pictures, masks, labels), spoil(x[chosen], rect[chosen], kind, draw, source)):
                values.append(more)
    pictures = torch.cat([*pictures, x[half:]])
    masks = torch.cat([*masks, torch.zeros_like(x[half:])])
    labels = torch.cat([*labels, torch.zeros(n - half, device=x.device)])
    return take(pictures, rect, draw), masks, labels


def deal(kinds: list, draw: Draw) -> list:
    """The kinds in a random order, so that a batch smaller than their number still meets each in the long run."""
    return [kinds[i] for i in draw.order(len(kinds)).tolist()]


def parts_of(pictures, masks, labels, px: int):
    """A square part of each picture, mostly around some of its defect, otherwise anywhere on it: as batch returns them."""
    n, side = len(pictures), pictures.shape[-1]
    coarse = lambda x: F.avg_pool2d(x, 8).flatten(1)
    around = (labels * (torch.rand(n, device=labels.device) < 0.8)).view(-1, 1)
    middle = torch.multinomial(coarse(masks) * around + coarse(pictures) * (1 - around) + 1e-6, 1)[:, 0]
    middle = torch.stack([middle.div(side // 8, rounding_mode="floor"), middle % (side // 8)], 1) * 8
    corner = middle + (torch.rand(n, 2, device=labels.device) - 0.5) * px * 0.7 - px / 2
    cut = lambda x: torch.stack([v[:, y:y + px, x:x + px] for v, (y, x) in zip(x, corner.clamp(0, side - px).int().tolist())])
    pictures, masks = cut(pictures), cut(masks)
    return pictures, masks, labels * (masks.sum((1, 2, 3)) >= AREA).float()


def loss_of(outputs, masks, labels):
    logits, picture, strongest = (o.float() for o in outputs)
    target = F.avg_pool2d(masks, 2)
    weight = 1 + 4 * target
    pixel = (F.binary_cross_entropy_with_logits(logits, target, reduction="none") * weight).mean()
    p = logits.sigmoid()
    overlap = (p * target).sum((1, 2, 3)) * 2 + 1
    dice = 1 - overlap / (p.sum((1, 2, 3)) + target.sum((1, 2, 3)) + 1)
    dice = (dice * labels).sum() / labels.sum().clamp(min=1)
    image = F.binary_cross_entropy_with_logits
    return 2 * pixel + 0.5 * dice + 0.25 * (image(picture, labels) + image(strongest, labels))


class Run:
    """A training run: network, averaged network, optimiser, and how far it is."""

    stock = None  # pictures, masks and labels that were made at once, and the step they were made for

    def __init__(self, args, source, device: torch.device):
        torch.manual_seed(args.seed)
        self.args, self.source, self.device = args, source, device
        net = read_net(args.start) if args.start else Net(args.size or SIZES[args.data])
        self.net = net.to(device).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        decayed = [p for p in self.net.parameters() if p.dim() > 1]
        plain = [p for p in self.net.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0}], lr=args.rate)
        self.step, self.spent = 0, 0.0
        self.path = args.checkpoint or args.out / "checkpoint.pt"
        if self.path.exists():
            self.load()

    def load(self) -> None:
        held = torch.load(self.path, map_location=self.device)
        self.net.load_state_dict(held["net"])
        self.average.load_state_dict(held["average"])
        self.optimizer.load_state_dict(held["optimizer"])
        self.step, self.spent = held["step"], held["spent"]
        print(f"{self.path}: goes on at step {self.step}, {self.spent:.0f} s", flush=True)

    def save(self) -> None:
        fresh = self.path.with_suffix(".new")
        torch.save({"net": self.net.state_dict(), "average": self.average.state_dict(), "optimizer": self.optimizer.state_dict(),
                    "step": self.step, "spent": self.spent}, fresh)
        fresh.replace(self.path)

    def progress(self) -> float:
        if self.args.minutes:
            return self.spent / (60 * self.args.minutes * (1 - RESERVE))
        return self.step / self.args.steps

    def train(self) -> None:
        before, saved, told = self.spent, time.time(), time.time()
        mixed = torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.device.type == "cuda" or has_bfloat16())
        self.net.train()
        if self.args.start:  # statistics of small batches would shake what is already learnt
            for part in self.net.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()
        total, steps = torch.zeros((), device=self.device), 0
        while self.progress() < 1:
            total, steps = total + self.advance(mixed), steps + 1
            self.spent = before + time.time() - self.args.began
            if time.time() - told > 10:
                print(f"step {self.step}  {100 * self.progress():.1f} %  {self.spent:.0f} s  loss {total.item() / steps:.4f}", flush=True)
                total, steps, told = torch.zeros((), device=self.device), 0, time.time()
            if time.time() - saved > CHECKPOINT_EVERY:
                self.save()
                saved = time.time()
        self.save()

    def advance(self, mixed) -> torch.Tensor:
        """One step. Its random numbers follow from the seed and the step alone, so that a resumed run is the same run."""
        torch.manual_seed(self.args.seed * 1_000_003 + self.step)
        pictures, masks, labels = self.share()
        p = self.progress()
        if self.args.parts and p < PARTS_FOR:
            parts = [parts_of(pictures, masks, labels, self.args.parts) for _ in range(PARTS_EACH)]
            pictures, masks, labels = (torch.cat(v) for v in zip(*parts))
        rate = self.args.rate * min(p / WARM_UP + 0.01, 1) * (0.5 + 0.5 * np.cos(np.pi * min(p, 1)))
        for group in self.optimizer.param_groups:
            group["lr"] = float(rate)
        with mixed:
            outputs = self.net(pictures.to(memory_format=torch.channels_last))
        loss = loss_of(outputs, masks, labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
        self.optimizer.step()
        self.step += 1
        self.follow()
        return loss.detach()

    @torch.no_grad()
    def share(self) -> tuple:
        """This step's part of the pictures that are made for --made steps at once."""
        part = self.step % self.args.made
        first = self.step - part
        if self.stock is None or self.stock[0] != first:
            draw = Draw(torch.Generator(self.device).manual_seed(self.args.seed * 1_000_003 + first), self.device)
            made = batch(self.source, self.args.batch * self.args.made, draw)
            if self.args.made > 1:
                order = draw.order(len(made[0]))
                made = tuple(v[order] for v in made)
            self.stock = first, made
        mine = slice(part * self.args.batch, (part + 1) * self.args.batch)
        return tuple(v[mine] for v in self.stock[1])

    @torch.no_grad()
    def follow(self) -> None:
        """Move the averaged weights and statistics towards the present ones, faster at the start."""
        keep = min(DECAY, self.step / (self.step + 10))
        theirs, ours = self.average.state_dict(), self.net.state_dict()
        moved = [k for k in theirs if theirs[k].dtype.is_floating_point]
        torch._foreach_mul_([theirs[k] for k in moved], keep)
        torch._foreach_add_([theirs[k] for k in moved], [ours[k] for k in moved], alpha=1 - keep)


@torch.no_grad()
def fit(net: Net, source, seed: int, with_density: bool, views: bool) -> Both:
    """Fit the density to training pictures without defects, and its and the network's levels to those held out."""
    draw = Draw(torch.Generator(source.device).manual_seed(seed), source.device)
    net, density = Views(net) if views else net, None
    if with_density:
        normal = source.normals(draw).split(32)
        features = torch.cat([double(net.parts(x)[3]) for x in normal])
        density = Density(features, torch.cat([framed(x) for x in normal]))
    both = Both(net, density).eval()
    both.settle(source.validation(draw)[0].split(32))
    return both


@torch.no_grad()
def validate(both: Both, source, seed: int):
    """Figures on held-out normal pictures with each kind of defect put on them, and the calibration that follows.

    Returns both as dictionaries of plain numbers.
    """
    draw = Draw(torch.Generator(source.device).manual_seed(seed), source.device)
    x, rect = source.validation(draw)
    normal, normal_maps = answers(both, x)
    figures, found, hit, missed = {}, [], [], [normal_maps]
    for kind in source.kinds:
        changed, mask, seen = spoil(x, rect, kind, draw, source)
        kept = seen > 0
        scores, maps = answers(both, changed[kept])
        mask = F.avg_pool2d(mask[kept], 2).cpu().numpy().ravel() > 0.5
        found.append(scores)
        hit.append({n: m[mask] for n, m in maps.items()})
        missed.append({n: m[~mask] for n, m in maps.items()})
        figures[kind] = compare(normal, scores, joined([normal_maps, missed[-1]]), hit[-1])
    found, hit, missed = joined(found), joined(hit), joined(missed)
    figures["all"] = {"normal": len(x), **compare(normal, found, missed, hit)}
    normal, found, hit, missed = normal["both"], found["both"], hit["both"], missed["both"]
    calibration = {"image_threshold": best_boundary(normal, found), "pixel_threshold": best_f1(missed, hit)}
    calibration["image_spread"] = spread(np.concatenate([normal, found]), calibration["image_threshold"])
    calibration["pixel_spread"] = spread(np.concatenate([hit, missed[::20]]), calibration["pixel_threshold"])
    return figures, calibration


def joined(parts: list) -> dict:
    return {n: np.concatenate([p[n] for p in parts]) for n in parts[0]}


def compare(normal: dict, found: dict, missed: dict, hit: dict) -> dict:
    """AUROC of pictures and of pixels, of both parts together and of each alone."""
    row = {"pictures": len(found["both"])}
    for name in normal:
        row.update({f"image_auroc_{name}": auroc(normal[name], found[name]), f"pixel_auroc_{name}": auroc(missed[name], hit[name])})
    return row


def spread(values: np.ndarray, threshold: float) -> float:
    """A divisor that leaves nearly all logits within sigmoid's -4..4 of the threshold."""
    low, high = np.quantile(values, [0.001, 0.999])
    return float(max(high - threshold, threshold - low, 1e-3) / 4)


def answers(both: Both, x: torch.Tensor):
    """The scores [n] and the flat maps by part, "both" for the sum, as arrays."""
    scores, maps = [], []
    for part in x.split(32):
        p = {n: v.float().cpu().numpy() for n, v in both.parts(part).items()}
        both_map, both_score = both.sums(p)
        scores.append({"both": both_score, **{n: p[n] for n in both.PARTS if n in p}})
        maps.append({"both": both_map.ravel(), **{n: p[n + "_map"].ravel() for n in both.PARTS if n in p}})
    return joined(scores), joined(maps)


def finish(args, net: Net, source) -> None:
    """Fit the density, validate, calibrate, and write all that --out holds but the checkpoint."""
    weights = {k: v.cpu().numpy() for k, v in net.state_dict().items()}
    if not args.weights:
        np.savez(args.out / "weights.npz", **weights)
    both = fit(net, source, args.seed + 3, args.density == "on", args.views == "on")
    figures, calibration = validate(both, source, args.seed + 1)
    print(json.dumps(figures, indent=1), json.dumps(calibration), sep="\n", flush=True)
    (args.out / "validation.json").write_text(json.dumps({"figures": figures, "calibration": calibration}, indent=1) + "\n")
    description, rights = ABOUT[args.data]
    (args.out / "model.yaml").write_text(MANIFEST.format(description=description, license=rights, side=SIDES[args.data]))
    export(both, calibration, SIDES[args.data], args.out / "model.onnx")
    print(f"{args.out}: model.onnx, {sum(v.size for v in weights.values()) / 1e6:.2f} million parameters", flush=True)


def write_set(args, source: Rendered) -> None:
    """Write rendered pictures for `assay eval`: DIR/good/x.jpg, and DIR/KIND/x.jpg with its mask x.png beside it."""
    draw = Draw(torch.Generator(source.device).manual_seed(args.seed + 2), source.device)
    for kind in ["good", *source.kinds]:
        x, rect = source.sample(args.per_kind * (3 if kind == "good" else 1), draw)
        x = harmless(x, rect, draw)
        mask = torch.zeros_like(x)
        if kind != "good":
            x, mask, seen = spoil(x, rect, kind, draw, source)
            x, mask, rect = x[seen > 0], mask[seen > 0], rect[seen > 0]
        x = take(x, rect, draw)
        folder = args.write_set / kind
        folder.mkdir(parents=True, exist_ok=True)
        for i, (picture, marks) in enumerate(zip((x[:, 0].cpu().numpy() * 255).round().astype(np.uint8), mask[:, 0].cpu().numpy())):
            cv2.imwrite(str(folder / f"{i:04}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
            if kind != "good":
                cv2.imwrite(str(folder / f"{i:04}.png"), (marks * 255).astype(np.uint8))
    print(f"{args.write_set}: {', '.join(['good', *source.kinds])}, {args.per_kind} pictures of each kind at most")


def evaluate(args) -> None:
    """Image and pixel AUROC on a set, pixels at the pictures' own size, in all and for each class of defect.

    The set is --tiles: its test.txt, or where it has none every KIND/x.jpg, with masks x.png beside those of defects.
    """
    try:
        import onnxruntime
    except ImportError:
        sys.exit(f"--evaluate needs onnxruntime beside PyTorch: {sys.executable} -m venv --system-site-packages build/venv && build/venv/bin/pip install onnxruntime, "
                 "and give the command with build/venv/bin/python; or measure through a node with make eval")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(args.evaluate), options, providers=["CPUExecutionProvider"])
    split = args.tiles / "test.txt"
    names = split.read_text().split() if split.exists() else sorted(str(f.relative_to(args.tiles)) for f in args.tiles.glob("*/*.jpg"))
    if not names:
        sys.exit(f"{args.tiles}: neither test.txt nor KIND/x.jpg: name the set's folder with --tiles")
    scores, normal, anomalous, seconds = {}, {}, {}, []
    for name in names:
        kind = name.split("/")[0]
        gray = cv2.imread(str(args.tiles / name), cv2.IMREAD_GRAYSCALE)
        canvas, (x, y, w, h) = letterbox(gray, session.get_inputs()[0].shape[2])
        began = time.perf_counter()
        found = session.run(["pred_score", "anomaly_map"], {"input": canvas[None, None].astype(np.float32) / 255})
        seconds.append(time.perf_counter() - began)
        heat = cv2.resize(found[1][0, 0, y:y + h, x:x + w], gray.shape[::-1], interpolation=cv2.INTER_LINEAR)
        mask = np.zeros(gray.shape, bool)
        if kind != args.normal:
            mask = cv2.imread(str((args.tiles / name).with_suffix(".png")), cv2.IMREAD_GRAYSCALE) > 127
        scores.setdefault(kind, []).append(float(found[0][0]))
        normal.setdefault(kind, []).append(heat[~mask])
        anomalous.setdefault(kind, []).append(heat[mask])
    print(json.dumps(table(scores, normal, anomalous, args.normal), indent=1))
    print(f"one thread, median {1000 * np.median(seconds):.1f} ms a picture")


def table(scores, normal, anomalous, free: str) -> dict:
    """AUROC in percent by class: its pictures against all normal ones; its pixels against all others of both."""
    pixels = lambda parts, kinds: np.concatenate([p for k in kinds for p in parts.get(k, [])] or [np.zeros(0, np.float32)])
    good = np.array(scores[free])
    rows = {}
    for name, kinds in [*((k, [k]) for k in sorted(scores) if k != free), ("all", [k for k in sorted(scores) if k != free])]:
        bad = np.concatenate([scores[k] for k in kinds])
        rows[name] = {"pictures": len(bad), "image_auroc": 100 * auroc(good, bad), "found_at_0.5": float(np.mean(bad >= 0.5)),
                      "pixel_auroc": 100 * auroc(pixels(normal, [*kinds, free]), pixels(anomalous, kinds))}
    rows["all"].update(normal=len(good), false_at_half=float(np.mean(good >= 0.5)))
    return rows


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", choices=["tiles", "rendered"], default="tiles", help="what to train on (default: tiles)")
    p.add_argument("--tiles", type=pathlib.Path, default=pathlib.Path("../shared/data/magnetic_tile"), help="folder of the magnetic tiles")
    p.add_argument("--steel", type=pathlib.Path, default=pathlib.Path("../shared/data/x_sdd"), help="folder of X-SDD, whose training pictures serve as foreign textures")
    p.add_argument("--pack", type=pathlib.Path, help="write the training files of both sets into this file, and stop")
    p.add_argument("--pack-file", type=pathlib.Path, help="train from such a file instead of the folders")
    p.add_argument("--evaluate", type=pathlib.Path, help="measure this graph on the test split of --tiles, or on a folder that --write-set made, and stop")
    p.add_argument("--normal", default="MT_Free", help="with --evaluate: the kind that has no defects (default: MT_Free)")
    p.add_argument("--write-set", type=pathlib.Path, help="with --data rendered: write pictures and masks into this folder, and stop")
    p.add_argument("--per-kind", type=int, default=40, help="pictures of each kind that --write-set writes, three times as many good ones (default: 40)")
    p.add_argument("--weights", type=pathlib.Path, nargs="+", help="do not train: take the weights.npz of one run or more, whose networks are asked as one, fit the density, validate, calibrate and export")
    p.add_argument("--density", choices=["on", "off"], default="on", help="whether the density of normal features counts beside the detector (default: on)")
    p.add_argument("--views", choices=["on", "off"], default="off", help="whether a picture is judged with its three mirror images, at four times the cost (default: off)")
    p.add_argument("--start", type=pathlib.Path, help="train on from a run's weights.npz, its batch statistics kept")
    p.add_argument("--out", type=pathlib.Path, help="folder to write")
    p.add_argument("--checkpoint", type=pathlib.Path, help="the checkpoint's file (default: checkpoint.pt in --out)")
    p.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--threads", type=int, default=0, help="CPU threads; 0 (default): as PyTorch chooses")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, default=3000, help="length of the run (default: 3000); a run of a given length can be repeated exactly")
    p.add_argument("--minutes", type=float, default=0, help="bound the run by time instead, validation and export included")
    p.add_argument("--batch", type=int, default=32, help="pictures a step (default: 32)")
    p.add_argument("--parts", type=int, default=0, help="learn from parts of pictures for most of the run, two of each picture, of so many px, a multiple of 32: three of 160 px cost what a whole one of 256 does (default: whole pictures)")
    p.add_argument("--made", type=int, default=1, help="steps whose pictures are made at once: what keeps a GPU busy (default: 1)")
    p.add_argument("--size", choices=sorted(WIDTHS), help="the network (default: tile, small with --data rendered; with --start or --weights it is theirs)")
    p.add_argument("--rate", type=float, default=2e-3, help="highest learning rate (default: 0.002)")
    return p.parse_args()


def main() -> None:
    args = arguments()
    args.began = time.time()
    if not 0 <= args.parts <= SIDES[args.data] or args.parts % 32:
        sys.exit(f"--parts {args.parts}: give a multiple of 32 px, {SIDES[args.data]} at most, or 0 for whole pictures")
    if args.pack:
        return pack(args.tiles, args.steel, args.pack)
    if args.evaluate:
        return evaluate(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    side = SIDES[args.data]
    source = Rendered(side, device) if args.data == "rendered" else Tiles(args.tiles, args.steel, args.pack_file, side, device)
    if args.write_set:
        return write_set(args, source) if args.data == "rendered" else sys.exit("--write-set: only with --data rendered")
    if not args.out:
        sys.exit("--out: name a folder to write")
    args.out.mkdir(parents=True, exist_ok=True)
    if args.weights:
        nets = [read_net(path) for path in args.weights]
        net = (nets[0] if len(nets) == 1 else Several(nets)).to(device).eval()
    else:
        run = Run(args, source, device)
        run.train()
        net = run.average
    finish(args, net, source)


if __name__ == "__main__":
    main()
