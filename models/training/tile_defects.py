"""Simulated surface defects, made in batches on the device that trains.

A picture batch is float32 [n,1,S,S], 0..1; a rectangle batch is float32 [n,4], x y width height in px, the part of the
canvas that holds a picture. Every kind of defect is a function of both that returns the changed pictures and a mask
float32 [n,1,S,S] of zeros and ones. The kinds follow the words with which the makers of surface sets describe defects (blowhole, crack, break, fray, uneven
grinding; unground and chip are other looks of uneven and break); pasted foreign texture and pasted normal surface stand for what
nobody has described. One kind, reground, was drawn after looking at real defects of magnetic tiles.
"""
import math
from functools import partial

import torch
import torch.nn.functional as F

# The least mean change inside a mask, as a part of the brightness that it is held against: below, a person would see nothing.
VISIBLE = 0.05
# The least area of a defect, px of the canvas.
AREA = 8


class Draw:
    """Random numbers of one generator, shaped to be multiplied with [n,1,S,S]."""

    def __init__(self, generator: torch.Generator, device: torch.device):
        self.generator, self.device = generator, device

    def uniform(self, n: int, low: float, high: float) -> torch.Tensor:
        return torch.rand(n, 1, 1, 1, generator=self.generator, device=self.device) * (high - low) + low

    def log_uniform(self, n: int, low: float, high: float) -> torch.Tensor:
        return self.uniform(n, math.log(low), math.log(high)).exp()

    def chance(self, n: int, p: float) -> torch.Tensor:
        """1 with probability p, else 0."""
        return (self.uniform(n, 0, 1) < p).float()

    def sign(self, n: int) -> torch.Tensor:
        return self.chance(n, 0.5) * 2 - 1

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)

    def order(self, n: int) -> torch.Tensor:
        return torch.randperm(n, generator=self.generator, device=self.device)

    def fractal(self, n: int, size: int, cells=(3, 6, 12, 24, 48, 96), low: float = 0.35, high: float = 0.9) -> torch.Tensor:
        """Noise [n,1,size,size] of zero mean and unit deviation; each octave is weaker than the last by low..high."""
        total, weight, persistence = 0, 1, self.uniform(n, low, high)
        for c in cells:
            octave = F.interpolate(self.normal(n, 1, c, c), size=(size, size), mode="bicubic", align_corners=True)
            total, weight = total + octave * weight, weight * persistence
        return standardise(total)

    def profile(self, n: int, length: int) -> torch.Tensor:
        """Noise [n,length] along a line, of zero mean and unit deviation, jagged to a varying degree."""
        total, weight, persistence = 0, 1, self.uniform(n, 0.35, 0.75)[:, :, 0]
        for c in (3, 6, 12, 24, 48, 96, 192):
            octave = F.interpolate(self.normal(n, 1, c), size=length, mode="linear", align_corners=True)
            total, weight = total + octave * weight, weight * persistence
        return standardise(total)[:, 0]


def standardise(x: torch.Tensor) -> torch.Tensor:
    axes = tuple(range(1, x.dim()))
    return (x - x.mean(axes, keepdim=True)) / (x.std(axes, keepdim=True) + 1e-6)


def grid(like: torch.Tensor):
    """The x and y of each pixel's middle, [1,1,1,S] and [1,1,S,1]."""
    at = torch.arange(like.shape[-1], device=like.device, dtype=torch.float32) + 0.5
    return at.view(1, 1, 1, -1), at.view(1, 1, -1, 1)


def inside(x: torch.Tensor, rect: torch.Tensor) -> torch.Tensor:
    """1 where a pixel belongs to the picture, [n,1,S,S]."""
    px, py = grid(x)
    r = rect.view(-1, 4, 1, 1)
    x0, y0, w, h = (r[:, i:i + 1] for i in range(4))
    return ((px >= x0) & (px <= x0 + w) & (py >= y0) & (py <= y0 + h)).float()


def blur(x: torch.Tensor, size: int) -> torch.Tensor:
    """The mean of a square of size px, size odd; the border repeats. By running sums, so that a large square costs no more."""
    x = F.pad(x, [size // 2] * 4, mode="replicate")
    for axis, front in ((2, (0, 0, 1, 0)), (3, (1, 0))):
        total = F.pad(x.double().cumsum(axis), front)
        n = total.shape[axis] - size
        x = ((total.narrow(axis, size, n) - total.narrow(axis, 0, n)) / size).float()
    return x


def place(rect: torch.Tensor, draw: Draw, at_edge: float):
    """A point in each rectangle, on its border with probability at_edge: x and y, [n,1,1,1] px."""
    n = len(rect)
    fx, fy = draw.uniform(n, 0, 1), draw.uniform(n, 0, 1)
    edge, horizontal = draw.chance(n, at_edge), draw.chance(n, 0.5)
    snap_x, snap_y = edge * horizontal, edge * (1 - horizontal)
    fx, fy = fx * (1 - snap_x) + fx.round() * snap_x, fy * (1 - snap_y) + fy.round() * snap_y
    r = rect.view(-1, 4, 1, 1)
    return r[:, 0:1] + fx * r[:, 2:3], r[:, 1:2] + fy * r[:, 3:4]


def turned(x: torch.Tensor, cx, cy, angle):
    """Coordinates of each pixel along and across a direction, from a centre, px."""
    px, py = grid(x)
    dx, dy = px - cx, py - cy
    return dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()


def blob(x, cx, cy, along, across, angle, wobble, edge, draw: Draw) -> torch.Tensor:
    """A soft spot 0..1 of radii along and across (px), its outline disturbed by wobble, its rim edge px wide."""
    u, v = turned(x, cx, cy, angle)
    distance = ((u / along) ** 2 + (v / across) ** 2 + 1e-6).sqrt()
    distance = distance + wobble * draw.fractal(len(x), x.shape[-1])
    return torch.sigmoid((1 - distance) * torch.minimum(along, across) / edge * 2)


def emboss(soft: torch.Tensor, draw: Draw) -> torch.Tensor:
    """Light from one side on the outline of a soft spot: about -1..1, zero away from the outline."""
    angle = draw.uniform(len(soft), 0, 2 * math.pi)
    across = F.pad(soft[..., :, 2:] - soft[..., :, :-2], (1, 1, 0, 0))
    down = F.pad(soft[..., 2:, :] - soft[..., :-2, :], (0, 0, 1, 1))
    return across * angle.cos() + down * angle.sin()


def hard(soft: torch.Tensor) -> torch.Tensor:
    return (soft > 0.4).float()


def blowhole(x, rect, draw: Draw, textures, at_edge: float = 0.05):
    """One to three pits: dark spots of a few pixels, lit on one side of the rim; so many of them at an edge."""
    n, out, mask = len(x), x, torch.zeros_like(x)
    for p in (1.0, 0.3, 0.15):
        cx, cy = place(rect, draw, at_edge)
        radius, edge = draw.log_uniform(n, 1.3, 9), draw.uniform(n, 0.6, 1.6)
        spot = blob(x, cx, cy, radius * draw.uniform(n, 1, 1.9), radius, draw.uniform(n, 0, math.pi),
                    draw.uniform(n, 0, 0.25), edge, draw) * draw.chance(n, p)
        depth, rim = draw.uniform(n, 0.3, 0.95), draw.uniform(n, 0, 0.5) * draw.chance(n, 0.6)
        out = out * (1 - spot * depth) + emboss(spot, draw) * rim * x
        mask = torch.maximum(mask, hard(spot))
    return out, mask


def stroke(x, rect, draw: Draw, width):
    """A jagged line of some length through each picture: its cover 0..1 and its mask."""
    n, size = len(x), x.shape[-1]
    cx, cy = place(rect, draw, 0.15)
    u, v = turned(x, cx, cy, draw.uniform(n, 0, math.pi))
    length = draw.log_uniform(n, 0.1, 1.1) * size
    steps = 512
    path = draw.profile(n, steps) * (draw.log_uniform(n, 0.015, 0.2) * length)[:, :, 0, 0]
    slope = F.pad(path[:, 1:] - path[:, :-1], (0, 1))
    step = 1.5 * size / steps
    index = (u / step + steps / 2).clamp(0, steps - 1).long().view(n, -1)
    at = lambda values: values.gather(1, index).view(n, 1, size, size)
    distance = (v - at(path)).abs() / (1 + (at(slope) / step) ** 2).sqrt()
    within = (u.abs() < length / 2).float()
    taper = (1 - (2 * u / length).abs()).clamp(0, 1) ** 0.3
    local = width * taper * at(1 + 0.3 * draw.profile(n, steps)).clamp(0.4, 2)
    return ((local / 2 - distance) + 0.5).clamp(0, 1) * within, (distance < local / 2 + 0.8).float() * within


def crack(x, rect, draw: Draw, textures):
    """A jagged line, often with a branch; mostly dark, of uneven strength."""
    n = len(x)
    width = draw.log_uniform(n, 0.9, 4.5)
    cover, mask = stroke(x, rect, draw, width)
    branch, branch_mask = stroke(x, rect, draw, width * 0.8)
    second = draw.chance(n, 0.3)
    cover, mask = torch.maximum(cover, branch * second), torch.maximum(mask, branch_mask * second)
    strength = draw.uniform(n, 0.3, 0.9) * torch.sigmoid(draw.fractal(n, x.shape[-1]) * 1.5 + 2)
    bright = draw.chance(n, 0.12)
    return x * (1 - cover * strength * (1 - 1.6 * bright)), mask


def rough(x, draw: Draw, contrast) -> torch.Tensor:
    """A broken surface at the brightness around it: no grinding marks, grain in all directions."""
    n, size = len(x), x.shape[-1]
    grain = draw.fractal(n, size, (12, 24, 48, 96, 160), 0.5, 1.1)
    return blur(x, 31) * (1 + contrast * grain).clamp(0.05, 3)


def broken(x, rect, draw: Draw, textures):
    """A piece broken out, mostly at an edge: a sharp outline, a rough and mostly dark ground."""
    n = len(x)
    cx, cy = place(rect, draw, 0.6)
    radius = draw.log_uniform(n, 8, 75)
    spot = blob(x, cx, cy, radius * draw.uniform(n, 1, 2.5), radius, draw.uniform(n, 0, math.pi),
                draw.uniform(n, 0.1, 0.5), draw.uniform(n, 0.6, 2.5), draw)
    level = draw.uniform(n, 0.15, 1.0)
    ground = rough(x, draw, draw.uniform(n, 0.08, 0.45)) * level
    shade = 1 + draw.uniform(n, 0, 0.5) * draw.fractal(n, x.shape[-1], (3, 6))
    out = x * (1 - spot) + ground * shade.clamp(0.3, 2) * spot
    return out + emboss(spot, draw) * draw.uniform(n, 0, 0.7) * blur(x, 31), hard(spot)


def fray(x, rect, draw: Draw, textures):
    """A ragged strip along an edge, mottled and partly see-through."""
    n, size = len(x), x.shape[-1]
    px, py = grid(x)
    r = rect.view(-1, 4, 1, 1)
    upright, far = draw.chance(n, 0.6), draw.chance(n, 0.5)
    along = py * upright + px * (1 - upright)
    start = r[:, 0:1] * upright + r[:, 1:2] * (1 - upright)
    span = r[:, 2:3] * upright + r[:, 3:4] * (1 - upright)
    across = px * upright + py * (1 - upright) - start
    across = across * (1 - far) + (span - across) * far - draw.uniform(n, -2, 30) * draw.chance(n, 0.7)
    depth = draw.log_uniform(n, 4, 50)
    index = along.expand(n, 1, size, size).long().clamp(0, size - 1).view(n, -1)
    ragged = depth * (1 + 0.6 * draw.profile(n, size)[:, None, :].gather(2, index[:, None]).view(n, 1, size, size))
    middle = draw.uniform(n, 0, size)
    ragged = ragged * (1 - ((along - middle) / (draw.log_uniform(n, 0.12, 1.2) * size / 2)) ** 2).clamp(-1, 1)
    rim = draw.uniform(n, 0.8, 3) + depth * 0.15 * draw.chance(n, 0.5)
    spot = torch.sigmoid((ragged + depth * 0.25 * draw.fractal(n, size) - across) / rim * 2) * torch.sigmoid(across + 2)
    ground = rough(x, draw, draw.uniform(n, 0.1, 0.5)) * draw.uniform(n, 0.25, 1.5)
    opacity = spot * draw.uniform(n, 0.5, 1)
    return x * (1 - opacity) + ground * opacity, hard(spot)


def uneven(x, rect, draw: Draw, textures):
    """A large area ground differently: smeared, brighter or darker, or with the marks of another part."""
    n, size = len(x), x.shape[-1]
    cx, cy = place(rect, draw, 0.5)
    across = draw.log_uniform(n, 18, 120)
    angle = draw.chance(n, 0.5) * draw.uniform(n, 0, math.pi) + math.pi / 2
    spot = blob(x, cx, cy, across * draw.log_uniform(n, 1, 5), across, angle,
                draw.uniform(n, 0.05, 0.45), draw.log_uniform(n, 1, 14), draw)
    gain = (draw.sign(n) * draw.uniform(n, 0.05, 0.5)).exp()
    smooth = draw.chance(n, 0.6)
    fine, coarse = blur(x, 7), blur(x, 19)
    smear = torch.where(draw.chance(n, 0.5) > 0, fine, coarse) * (1 + draw.uniform(n, 0, 0.12) * draw.fractal(n, size, (12, 24, 48, 96, 160), 0.7, 1.2))
    other = x.roll(1, 0).flip(2)
    around = blur(other, 31)
    other = torch.where(around > 0.05, other * (blur(x, 31) / (around + 0.05)).clamp(0, 4), x)  # not the border around the other picture
    ground = torch.where(smooth > 0, smear, torch.where(draw.chance(n, 0.4) > 0, other, x))
    opacity = spot * draw.uniform(n, 0.7, 1)
    return x * (1 - opacity) + ground * gain * opacity, hard(spot)


def foreign(x, rect, draw: Draw, textures):
    """Patches of another material's texture, at its own or at the picture's brightness."""
    n, size = len(x), x.shape[-1]
    pick = textures[draw.order(len(textures))[torch.arange(n, device=x.device) % len(textures)]]
    if draw.chance(1, 0.5).item() > 0:
        pick = pick.transpose(2, 3)
    pick = F.interpolate(pick, size=(size, size), mode="bilinear", align_corners=False)
    noise = draw.fractal(n, size)
    cx, cy = place(rect, draw, 0.2)
    radius = draw.log_uniform(n, 10, 110)
    window = blob(x, cx, cy, radius, radius * draw.uniform(n, 0.4, 1), draw.uniform(n, 0, math.pi), draw.uniform(n, 0, 0.3), draw.uniform(n, 1, 4), draw)
    spot = window * torch.sigmoid((noise - draw.uniform(n, -1.5, 0.8)) * 8)
    here = blur(x, 31)
    matched = pick / (pick.mean((2, 3), keepdim=True) + 0.05) * here
    pick = torch.where(draw.chance(n, 0.7) > 0, matched, pick)
    opacity = spot * draw.uniform(n, 0.35, 1)
    return x * (1 - opacity) + pick * opacity, hard(spot)


def transplant(x, rect, draw: Draw, textures):
    """A piece of a normal surface where it does not belong: turned, or from another part."""
    n = len(x)
    other = x.roll(1, 0) if draw.chance(1, 0.5).item() > 0 else x
    other = other.transpose(2, 3) if draw.chance(1, 0.6).item() > 0 else other.flip(2).roll(37, 3)
    cx, cy = place(rect, draw, 0.2)
    radius = draw.log_uniform(n, 4, 60)
    spot = blob(x, cx, cy, radius * draw.uniform(n, 1, 4), radius, draw.uniform(n, 0, math.pi),
                draw.uniform(n, 0, 0.4), draw.uniform(n, 0.6, 2), draw)
    around = blur(other, 31)
    spot = spot * (around > 0.05)  # not the border around the other picture
    matched = other * (blur(x, 31) / (around + 0.05)).clamp(0, 4)
    other = torch.where(draw.chance(n, 0.6) > 0, matched * (draw.sign(n) * draw.uniform(n, 0, 0.4)).exp(), other)
    return x * (1 - spot) + other * spot, hard(spot)


def unground(x, rect, draw: Draw, textures):
    """A band, a side or a large spot that the grinding left out: other grain, other contrast, or other gloss."""
    n, size = len(x), x.shape[-1]
    cx, cy = place(rect, draw, 0.5)
    angle = draw.chance(n, 0.4) * draw.uniform(n, 0, math.pi) + draw.chance(n, 0.5) * math.pi / 2
    u, v = turned(x, cx, cy, angle)
    reach = draw.uniform(n, 25, 90)
    wander = draw.fractal(n, size, (2, 4, 8)) * draw.uniform(n, 2, 12)
    band = torch.sigmoid((reach - (v + wander).abs()) / draw.log_uniform(n, 0.7, 10))
    spot = blob(x, cx, cy, 1.3 * reach, reach, angle, draw.uniform(n, 0.05, 0.25), draw.log_uniform(n, 1, 12), draw)
    spot = torch.where(draw.chance(n, 0.5) > 0, band, spot)
    level = blur(x, 25)
    contrast = (blur((x - level) ** 2, 25) + 1e-8).sqrt() * draw.uniform(n, 0.2, 0.9)
    grain = level + contrast * draw.fractal(n, size, (24, 48, 96, 160), 0.6, 1.2)
    near = blur(x, 9)
    scaled = near + (x - near) * draw.log_uniform(n, 0.3, 2.5)
    along = F.avg_pool2d(F.pad(x, (0, 0, 10, 10), mode="replicate"), (21, 1), stride=1)
    which = draw.uniform(n, 0, 4)
    ground = torch.where(which < 1, grain, torch.where(which < 2, scaled, torch.where(which < 2.6, along, x)))
    gain = (draw.sign(n) * draw.uniform(n, 0.1, 0.6) * torch.maximum((which >= 2.6).float(), draw.chance(n, 0.5))).exp()
    return x * (1 - spot) + ground * gain * spot, hard(spot)


def chip(x, rect, draw: Draw, textures, least: float = 10, slender: float = 0):
    """A piece split off at an edge along straight faces: its ground is smooth, at any brightness.

    Its radius is least px or more; four in ten are drawn out along one side, by up to exp(slender).
    """
    n, size = len(x), x.shape[-1]
    cx, cy = place(rect, draw, 0.9)
    px, py = grid(x)
    start, radius = draw.uniform(n, 0, 2 * math.pi), draw.log_uniform(n, least, 70)
    dx, dy = px - cx, py - cy
    if slender:
        thin, upright = draw.chance(n, 0.4) * draw.uniform(n, 0, slender), draw.chance(n, 0.5)
        dx, dy = dx * (thin * (1 - upright)).exp(), dy * (thin * upright).exp()
    outside = torch.full_like(x, -1e9)
    for i in range(5):
        angle = start + 2 * math.pi * i / 5 + draw.uniform(n, -0.5, 0.5)
        outside = torch.maximum(outside, dx * angle.cos() + dy * angle.sin() - radius * draw.uniform(n, 0.5, 1))
    spot = torch.sigmoid((4 * draw.uniform(n, 0, 1) * draw.fractal(n, size) * draw.chance(n, 0.5) - outside) / draw.uniform(n, 0.6, 2))
    slope = dx / radius * draw.uniform(n, -0.3, 0.3) + dy / radius * draw.uniform(n, -0.3, 0.3)
    ground = blur(x, 41) * (draw.uniform(n, 0.25, 1.2) + slope + draw.uniform(n, 0, 0.12) * draw.fractal(n, size, (24, 96)))
    return x * (1 - spot) + ground.clamp(0.01, 1) * spot, hard(spot)


def reground(x, rect, draw: Draw, textures):
    """An end, a band or a field that was ground anew or too little: it stops at a straight line across the grinding marks,
    which run along the picture's height, and within it they are stronger, or others."""
    n, size = len(x), x.shape[-1]
    px, py = grid(x)
    x0, y0, w, h = (rect.view(-1, 4, 1, 1)[:, i:i + 1] for i in range(4))
    slope = draw.uniform(n, -0.08, 0.08) + draw.chance(n, 0.25) * draw.uniform(n, -0.9, 0.9)
    bend = draw.chance(n, 0.3) * draw.uniform(n, 0, 6) * draw.fractal(n, size, (2, 4))
    down = torch.where(draw.chance(n, 0.5) > 0, py - y0, y0 + h - py) - slope * (px - x0 - w / 2) + bend  # px from the upper or the lower end
    depth = draw.log_uniform(n, 0.08, 0.55) * h
    start = draw.chance(n, 0.35) * draw.uniform(n, 0, 0.6) * h
    rim = draw.log_uniform(n, 0.4, 6)
    spot = torch.sigmoid((start + depth - down) / rim) * torch.where(start > 0, torch.sigmoid((down - start) / rim), torch.ones_like(down))
    left, part = draw.uniform(n, -0.1, 0.7) * w, draw.uniform(n, 0.3, 1) * w
    side = draw.log_uniform(n, 0.6, 14)
    field = torch.sigmoid((px - x0 - left) / side) * torch.sigmoid((x0 + left + part - px) / side)
    spot = spot * torch.where(draw.chance(n, 0.5) > 0, field, torch.ones_like(field))

    level = blur(x, 25)
    along = F.avg_pool2d(F.pad(x, (0, 0, 20, 20), mode="replicate"), (41, 1), stride=1)
    own = (along / blur(along, 25).clamp(min=0.01) - 1) * draw.log_uniform(n, 0.7, 5)
    fine = standardise(F.avg_pool1d(draw.normal(n, 1, size), 3, stride=1, padding=1))[:, 0]
    jagged = draw.uniform(n, 0, 1)[:, :, 0, 0]
    marks = standardise(jagged * draw.profile(n, size) + (1 - jagged) * fine)[:, None, None]
    marks = torch.where(draw.chance(n, 0.5) > 0, marks, 1.5 * F.relu(marks - 0.3))  # some shine
    marks = marks * draw.log_uniform(n, 0.04, 0.35) * (1 + draw.uniform(n, 0, 0.5) * draw.fractal(n, size, (3, 6)))
    marks = torch.where(draw.chance(n, 0.4) > 0, own, marks)
    kept = torch.where(draw.chance(n, 0.5) > 0, x, level * (1 + draw.uniform(n, 0, 0.08) * draw.fractal(n, size, (48, 96, 160), 0.7, 1.2)))
    gain = (draw.chance(n, 0.6) * draw.sign(n) * draw.uniform(n, 0, 0.3)).exp()
    ground = kept * (1 + marks).clamp(0.2, 3) * gain
    return x * (1 - spot) + ground * spot, hard(spot)


# Kinds of defect on any surface, and on magnetic tiles, which are ground and have a dark rim.
ANYWHERE = {"blowhole": blowhole, "crack": crack, "break": broken, "fray": fray, "uneven": uneven, "foreign": foreign, "transplant": transplant,
            "unground": unground, "chip": chip}
ON_TILES = {**ANYWHERE, "blowhole": partial(blowhole, at_edge=0.1), "chip": partial(chip, least=6, slender=2), "reground": reground}


def spoil(x, rect, kind: str, draw: Draw, source):
    """Put a defect of one of the source's kinds into each picture.

    Returns the pictures, the masks, and a flag float32 [n]: 0 where the defect came out too small or too faint to be
    called one; that picture comes back as it was, with an empty mask.
    """
    where = inside(x, rect)
    out, mask = source.kinds[kind](x, rect, draw, source.textures)
    out = (out * where + x * (1 - where)).clamp(0, 1)
    mask = mask * where
    area = mask.sum((1, 2, 3), keepdim=True)
    within = lambda values, part: (values * part).sum((1, 2, 3), keepdim=True) / part.sum((1, 2, 3), keepdim=True).clamp(min=1)
    whole = within(x, where)
    brightness = torch.minimum(whole, torch.maximum(within(x, mask), source.darkest * whole))
    seen = ((area >= AREA) & (within((out - x).abs(), mask) >= VISIBLE * brightness)).float()
    return out * seen + x * (1 - seen), mask * seen, seen.view(-1)


def harmless(x, rect, draw: Draw):
    """What varies between good parts and exposures: light, gamma, shading, glare along the grinding marks."""
    n, size = len(x), x.shape[-1]
    shading = draw.uniform(n, 0, 0.15) * draw.fractal(n, size, (2, 3), 0.3, 0.6)
    stripes = F.avg_pool1d(draw.normal(n, 1, size), 5, stride=1, padding=2)[:, :, None]
    glare = draw.uniform(n, 0, 0.12) * draw.chance(n, 0.5) * stripes
    x = x.clamp(min=1e-4) ** draw.log_uniform(n, 0.75, 1.35)
    x = x * (1 + shading + glare) * draw.log_uniform(n, 0.65, 1.5)
    return x.clamp(0, 1) * inside(x, rect)


def take(x, rect, draw: Draw):
    """What a camera adds to good and bad surfaces alike: some blur, some noise."""
    n = len(x)
    amount = draw.uniform(n, 0, 1) * draw.chance(n, 0.3)
    x = x * (1 - amount) + blur(x, 3) * amount
    x = x + draw.normal(*x.shape) * draw.uniform(n, 0, 0.02) * draw.chance(n, 0.6)
    return x.clamp(0, 1) * inside(x, rect)
