"""Where normal pictures come from: the magnetic tiles, or textures rendered here."""
import math
import pathlib
import re
import sys

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from tile_defects import ANYWHERE, ON_TILES, Draw, grid, harmless, inside, standardise, take, turned

STEEL = 128  # px, side of a steel picture of X-SDD
HOLD_OUT = 10  # one tile in so many is kept for validation
STEELS = 150  # steel pictures that serve as foreign texture


def letterbox(gray: np.ndarray, side: int):
    """A picture on a black canvas, as a manifest's `resize: letterbox, interpolation: area` puts it there.

    Returns the canvas uint8 [side,side] and the rectangle x, y, width, height (px) of the picture in it.
    """
    h, w = gray.shape
    ratio = min(side / w, side / h)
    fit = lambda n: min(max(int(n * ratio + 0.5), 1), side)
    w, h = fit(w), fit(h)
    x, y = (side - w) // 2, (side - h) // 2
    canvas = np.zeros((side, side), np.uint8)
    canvas[y:y + h, x:x + w] = cv2.resize(gray, (w, h), interpolation=cv2.INTER_AREA)
    return canvas, (x, y, w, h)


def decode(data: np.ndarray) -> np.ndarray:
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)


def pack(data: pathlib.Path, steel: pathlib.Path, path: pathlib.Path) -> None:
    """Write the training files of both sets, as they are, into one file: what a machine without the sets needs."""
    names = (data / "train.txt").read_text().split()
    files = [data / n for n in names] + [steel / n for n in steel_names(steel)]
    contents = [np.frombuffer(f.read_bytes(), np.uint8) for f in files]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, names=np.array(names), ends=np.cumsum([len(c) for c in contents]), data=np.concatenate(contents))
    print(f"{path}: {len(names)} tiles, {len(files) - len(names)} steel textures, {path.stat().st_size / 1e6:.1f} MB")


def steel_names(steel: pathlib.Path):
    if not (steel / "train.txt").exists():
        sys.exit(f"{steel / 'train.txt'} does not exist: name the folder of X-SDD with --steel, or give --pack-file")
    names = [n for n in (steel / "train.txt").read_text().splitlines() if n.strip()]
    return names[::max(1, len(names) // STEELS)][:STEELS]


class Tiles:
    """The normal tiles of train.txt and the steel textures, in memory of the device."""

    kinds = ON_TILES
    deck = (*kinds, "break", "chip", "uneven", "unground", "reground")  # what kinds are dealt from: those hardest to tell from normal tiles twice
    darkest = 0.3  # a place counts as at least so bright, as a part of its picture, when it is asked whether a defect there can be seen

    def __init__(self, data, steel, packed, side: int, device: torch.device):
        if packed:
            held = np.load(packed)
            names, contents = list(held["names"]), np.split(held["data"], held["ends"][:-1])
        else:
            if not (data / "train.txt").exists():
                sys.exit(f"{data / 'train.txt'} does not exist: name the folder of the magnetic tiles with --tiles")
            names = (data / "train.txt").read_text().split()
            contents = [np.fromfile(f, np.uint8) for f in [data / n for n in names] + [steel / n for n in steel_names(steel)]]
        boxed = [letterbox(decode(c), side) for c in contents[:len(names)]]
        held_out = np.array(tiles_of(names)) % HOLD_OUT == HOLD_OUT // 2
        self.side, self.device = side, device
        self.canvas = torch.from_numpy(np.stack([b[0] for b in boxed]))[:, None].to(device)
        self.rects = torch.tensor([b[1] for b in boxed], dtype=torch.float32, device=device)
        self.train = torch.from_numpy(np.flatnonzero(~held_out)).to(device)
        self.held_out = torch.from_numpy(np.flatnonzero(held_out)).to(device)
        steels = np.stack([decode(c)[:STEEL, :STEEL] for c in contents[len(names):]])
        self.textures = torch.from_numpy(steels)[:, None].to(device).float() / 255

    def sample(self, n: int, draw: Draw):
        """n random cuts of training tiles, flipped and scaled: pictures [n,1,S,S] and rectangles [n,4]."""
        pick = self.train[torch.randint(len(self.train), (n,), generator=draw.generator, device=self.device)]
        x, rect = cut(self.canvas[pick].float() / 255, self.rects[pick], draw)
        flip_x, flip_y = draw.chance(n, 0.5), draw.chance(n, 0.5)
        x = torch.where(flip_x > 0, x.flip(3), x)  # a cut lies in the middle: its rectangle stays
        return torch.where(flip_y > 0, x.flip(2), x), rect

    def normals(self, draw: Draw):
        """Training pictures as a camera sees them."""
        return self.canvas[self.train].float() / 255

    def validation(self, draw: Draw):
        """The tiles that training never sees, as they are."""
        return self.canvas[self.held_out].float() / 255, self.rects[self.held_out]


def tiles_of(names) -> list:
    """The number of the tile on each picture (expE_num_T.jpg), counted from 0.

    Pictures of one tile were taken one after another, at exposures E that rise: another tile begins where the exposure
    falls back and the running number T leaps. A tile that was taken twice in a row counts as one, which harms nothing.
    """
    found = [re.search(r"exp(\d+)_num_(\d+)", n) for n in names]
    keys = [(int(f[2]), int(f[1])) for f in found]
    tile, last, of = -1, (-100, 99), {}
    for number, exposure in sorted(keys):
        if exposure <= last[1] and number - last[0] > 50:
            tile += 1
        last = (number, exposure)
        of[last] = tile
    return [of[k] for k in keys]


def cut(x: torch.Tensor, rect: torch.Tensor, draw: Draw):
    """A random part of each picture, enlarged to fill most of the canvas and put in its middle."""
    n, side = len(x), x.shape[-1]
    r = rect.view(-1, 4, 1, 1)
    part_w, part_h = (1 - draw.uniform(n, 0, 0.4) * draw.chance(n, 0.5) for _ in range(2))
    w, h = r[:, 2:3] * part_w, r[:, 3:4] * part_h
    x0 = r[:, 0:1] + draw.uniform(n, 0, 1) * (r[:, 2:3] - w)
    y0 = r[:, 1:2] + draw.uniform(n, 0, 1) * (r[:, 3:4] - h)
    scale = (side / torch.maximum(w, h)).clamp(max=1.6) * draw.uniform(n, 0.85, 1)
    px, py = grid(x)
    sx, sy = x0 + w / 2 + (px - side / 2) / scale, y0 + h / 2 + (py - side / 2) / scale
    at = torch.stack([sx.expand(n, 1, side, side)[:, 0], sy.expand(n, 1, side, side)[:, 0]], 3) * (2 / side) - 1
    x = F.grid_sample(x, at, mode="bilinear", padding_mode="border", align_corners=False)
    w, h = w * scale, h * scale
    rect = torch.cat([(side - w) / 2, (side - h) / 2, w, h], 1).view(n, 4)
    return x * inside(x, rect), rect


class Rendered:
    """Textures made up here: brushed metal, castings, weave and speckle. There is no data behind them."""

    kinds = ANYWHERE  # and what deck and darkest are, see Tiles
    deck = tuple(kinds)
    darkest = 1.0

    def __init__(self, side: int, device: torch.device):
        self.side, self.device = side, device
        draw = Draw(torch.Generator(device).manual_seed(0), device)
        self.textures = self.render(160, draw)[:, :, :128, :128]

    def sample(self, n: int, draw: Draw):
        rect = torch.tensor([[0, 0, self.side, self.side]], dtype=torch.float32, device=self.device)
        return self.render(n, draw), rect.expand(n, 4)

    def normals(self, draw: Draw):
        x, rect = self.sample(480, draw)
        return take(harmless(x, rect, draw), rect, draw)

    def validation(self, draw: Draw):
        x, rect = self.sample(160, draw)
        return take(harmless(x, rect, draw), rect, draw), rect

    def render(self, n: int, draw: Draw) -> torch.Tensor:
        """n pictures, families in turn, [n,1,S,S]."""
        each = math.ceil(n / len(FAMILIES))
        made = torch.stack([f(each, self.side, draw) for f in FAMILIES], 1).flatten(0, 1)[:n]
        level, contrast = draw.uniform(n, 0.3, 0.6), draw.uniform(n, 0.04, 0.12)
        return (level + contrast * made + 0.06 * draw.fractal(n, self.side, (2, 3))).clamp(0, 1)


def lines(n: int, side: int, draw: Draw, across: torch.Tensor) -> torch.Tensor:
    """A profile of noise, laid over the pictures along a coordinate (px)."""
    index = (across + side).clamp(0, 3 * side - 1).long().view(n, -1)
    return draw.profile(n, 3 * side).gather(1, index).view(n, 1, side, side)


def brushed(n: int, side: int, draw: Draw) -> torch.Tensor:
    blank = torch.zeros(n, 1, side, side, device=draw.device)
    _, v = turned(blank, side / 2, side / 2, draw.uniform(n, 0, math.pi))
    return standardise(lines(n, side, draw, v + side / 2) + 0.5 * draw.normal(n, 1, side, side))


def cast(n: int, side: int, draw: Draw) -> torch.Tensor:
    return draw.fractal(n, side, (16, 32, 64, 128), 0.6, 1.2)


def weave(n: int, side: int, draw: Draw) -> torch.Tensor:
    blank = torch.zeros(n, 1, side, side, device=draw.device)
    u, v = turned(blank, side / 2, side / 2, draw.uniform(n, 0, math.pi))
    period = draw.uniform(n, 7, 18)
    wander = draw.uniform(n, 0, 0.4) * draw.fractal(n, side, (3, 6))
    warp, weft = torch.sin(2 * math.pi * u / period + wander), torch.sin(2 * math.pi * v / period + wander)
    return standardise(warp * weft + 0.4 * warp.abs() + 0.3 * draw.normal(n, 1, side, side))


def speckle(n: int, side: int, draw: Draw) -> torch.Tensor:
    grain = draw.fractal(n, side, (48, 96, 160), 0.7, 1.3)
    return standardise(torch.where(grain > draw.uniform(n, 0, 1), grain * 1.5, grain * 0.3))


FAMILIES = (brushed, cast, weave, speckle)
