"""The anomaly network and the graph that is exported from it."""
import torch
import torch.nn as nn
import torch.nn.functional as F

# The part of the mean variance that is added to each variance, so that a direction that never varies decides nothing.
SHRINK = 0.01

# Channels at strides 2, 4, 8, 16, 32, and of the way back up; whether contrasts are shown beside the picture.
WIDTHS = {"tile": ((16, 32, 64, 128, 160), 48, True), "wide": ((32, 64, 128, 256, 320), 96, False), "small": ((16, 24, 48, 64, 96), 32, True)}

# Sides (columns, rows, px at half size) of the windows whose mean a place is held against, and that of a square at quarter size.
LINES, SQUARE = ((1, 41), (41, 1)), 9

# Mean brightness that every picture is brought to, so that the exposure tells nothing. Pixels at or below DARK, such as
# the border of a letterbox, do not count.
LEVEL, DARK = 0.4, 0.02


def convolution(i: int, o: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(i, o, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU())


class Residual(nn.Module):
    def __init__(self, c: int):
        super().__init__()
        self.first = convolution(c, c)
        self.second = nn.Sequential(nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))

    def forward(self, x):
        return F.relu(x + self.second(self.first(x)))


class Net(nn.Module):
    """Pictures [N,1,S,S], 0..1, to logits: of a map [N,1,S/2,S/2], and two of the picture, [N] each.

    The picture's logits come from the deepest features and from the map's strongest place.
    """

    def __init__(self, size: str):
        super().__init__()
        (a, b, c, d, e), w, self.contrasts = WIDTHS[size]
        self.stem = nn.Sequential(convolution(1, a, stride=2), convolution(a, a))
        if self.contrasts:
            self.beside = convolution(len(LINES) + 2, a, 1)
        self.down = nn.ModuleList([nn.Sequential(convolution(i, o, stride=2), Residual(o)) for i, o in ((a, b), (b, c), (c, d), (d, e))])
        self.lateral = nn.ModuleList([convolution(i, w, 1) for i in (b, c, d, e)])
        self.smooth = nn.ModuleList([convolution(w, w) for _ in range(3)])
        self.finest = nn.ModuleList([convolution(a, 16, 1), convolution(w, 16, 1)])
        self.map = nn.Sequential(convolution(16, 16), nn.Conv2d(16, 1, 1))
        self.picture = nn.Sequential(nn.Linear(2 * e, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))

    def forward(self, x):
        return self.parts(x)[:3]

    def parts(self, x):
        """What forward returns, and the deepest features [N,C,S/32,S/32]."""
        stem = self.stem[0](normalise(x))
        if self.contrasts:
            stem = stem + self.beside(contrasts(x))
        stem = self.stem[1](stem)
        levels = [stem]
        for down in self.down:
            levels.append(down(levels[-1]))
        up = self.lateral[3](levels[4])
        for i in (2, 1, 0):
            up = self.smooth[i](self.lateral[i](levels[i + 1]) + double(up))
        logits = self.map(self.finest[0](stem) + double(self.finest[1](up)))
        deep = levels[4]
        pooled = torch.cat([deep.mean((2, 3)), deep.amax((2, 3))], 1)
        return logits, self.picture(pooled)[:, 0], F.avg_pool2d(logits, 3, 1).amax((1, 2, 3)), deep


def double(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def normalise(x):
    counted = (x > DARK).to(x.dtype)
    mean = (x * counted).sum((1, 2, 3), keepdim=True) / counted.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return x * (LEVEL / mean.clamp(min=DARK)) - LEVEL


def contrasts(x):
    """How each place differs from the mean of a window around it: of a column, of a row, of a square, as a part of that mean; and
    how much places of the square differ from it. Grinding marks vanish against the mean along them. [N,4,S/2,S/2]"""
    value, weight = F.avg_pool2d(x, 2), F.avg_pool2d(in_frame(x), 2)
    mean = lambda v, w, h: F.avg_pool2d(v, (h, w), 1, (h // 2, w // 2))
    level = lambda v, w, *window: mean(v, *window) / mean(w, *window).clamp(min=1e-3)
    against = lambda v, w, mean: ((v - mean * w) / mean.clamp(min=DARK) * w).clamp(-2, 2)
    half = [against(value, weight, level(value, weight, *line)) for line in LINES]
    value, weight = F.avg_pool2d(value, 2), F.avg_pool2d(weight, 2)
    apart = against(value, weight, level(value, weight, SQUARE, SQUARE))
    spread = (level(apart ** 2, weight, SQUARE, SQUARE) + 1e-6).sqrt() * weight
    return torch.cat([*half, double(torch.cat([apart, spread], 1))], 1)


class Several(nn.Module):
    """Networks that are asked as one: what they say is averaged, and their deepest features stand side by side."""

    def __init__(self, nets: list):
        super().__init__()
        self.nets = nn.ModuleList(nets)

    def parts(self, x):
        """As Net.parts."""
        *said, deep = zip(*(net.parts(x) for net in self.nets))
        return *(sum(values) / len(values) for values in said), torch.cat(deep, 1)


class Views(nn.Module):
    """What a Net says of a picture and of its three mirror images, averaged: a surface has no right way up."""

    AXES = ((), (3,), (2,), (2, 3))

    def __init__(self, net: Net):
        super().__init__()
        self.net = net

    def parts(self, x):
        """As Net.parts."""
        seen = torch.cat([x.flip(a) if a else x for a in self.AXES])
        return tuple(self.mean(values.view(len(self.AXES), -1, *values.shape[1:])) for values in self.net.parts(seen))

    def mean(self, values):
        """The mean over views [4,N,...]; a map is turned back before."""
        if values.dim() == 5:
            values = torch.stack([v.flip(a) if a else v for v, a in zip(values, self.AXES)])
        return values.mean(0)


def score(picture, strongest):
    """The one logit by which pictures are ranked."""
    return 0.5 * (picture + strongest)


class Density(nn.Module):
    """How far a picture's features lie from those of normal pictures: the log of the mean squared Mahalanobis distance.

    It learns from normal pictures alone. Features [N,C,h,w] become a map [N,1,2h,2w], zero outside the picture, and its
    highest value [N].
    """

    def __init__(self, features: torch.Tensor, inside: torch.Tensor):
        """Fit to normal features [N,C,2h,2w] where inside [N,1,2h,2w] is not zero."""
        super().__init__()
        rows = features.permute(0, 2, 3, 1)[inside[:, 0] > 0].double()
        mean = rows.mean(0)
        spread = (rows - mean).T @ (rows - mean) / len(rows)
        spread = spread + SHRINK * spread.diagonal().mean() * torch.eye(len(mean), dtype=spread.dtype, device=spread.device)
        whiten = torch.linalg.inv(torch.linalg.cholesky(spread)).float()
        self.register_buffer("whiten", whiten[:, :, None, None])
        self.register_buffer("offset", -(whiten @ mean.float()))

    def forward(self, features, inside):
        far = (F.conv2d(features, self.whiten, self.offset) ** 2).mean(1, keepdim=True).clamp(min=1e-6).log() * inside
        return far, far.amax((1, 2, 3))


def framed(x):
    """1 where half-size cells of the deepest features hold picture and not the border of a letterbox, [N,1,S/16,S/16]."""
    return (F.avg_pool2d(in_frame(x), 16) > 0.4).to(x.dtype)


def in_frame(x):
    """1 where a pixel belongs to the picture and not to the border of a letterbox, [N,1,S,S]."""
    seen = (x > DARK).to(x.dtype)
    return seen.amax(3, keepdim=True) * seen.amax(2, keepdim=True)


class Both(nn.Module):
    """The network and the density of its features as one: a map of logits [N,1,S/2,S/2] and a score [N].

    Each part, score and map alike, is brought to the mean and the deviation that its score has on normal pictures. The
    sum of both scores counts; in the map the density, which is coarse, has a quarter of a say.
    """

    PARTS = {"detector": 1, "density": 0.25}  # and their shares of the map

    def __init__(self, net: Net, density=None):
        """density: a Density, or None where the network decides alone."""
        super().__init__()
        self.net, self.density, self.levels = net, density, {}

    def parts(self, x):
        """The score and the map of each part, as detector, detector_map and so on, each at its level."""
        logits, picture, strongest, deep = self.net.parts(x)
        found = {"detector": score(picture, strongest), "detector_map": logits}
        if self.density is not None:
            inside = framed(x)
            far, farthest = self.density(double(deep), inside)
            found.update(density=farthest, density_map=F.interpolate(far, scale_factor=8, mode="bilinear", align_corners=False))
        level = lambda name: self.levels.get(name.removesuffix("_map"), (0, 1))
        return {n: (v - level(n)[0]) / level(n)[1] for n, v in found.items()}

    def forward(self, x):
        return self.sums(self.parts(x))

    def sums(self, parts):
        """The map and the score that count, of what parts returned."""
        shares = {n: w for n, w in self.PARTS.items() if n in parts}
        return sum(w * parts[n + "_map"] for n, w in shares.items()), sum(parts[n] for n in shares)

    @torch.no_grad()
    def settle(self, pictures) -> None:
        """Take the levels from batches of normal pictures that nothing was fitted to."""
        self.levels = {}
        scores = [self.parts(x) for x in pictures]
        for n in [n for n in self.PARTS if n in scores[0]]:
            values = torch.cat([s[n] for s in scores]).double()
            self.levels[n] = (float(values.mean()), float(values.std()))


class Graph(nn.Module):
    """What is exported: the four outputs of anomalib 2, with thresholds inside, so that 0.5 is the boundary.

    A value v becomes sigmoid((v - threshold) / spread): in the same order as the values, and spread wide enough that
    eight bits of a heatmap still tell normal pixels apart.
    """

    def __init__(self, both: Both, calibration: dict):
        super().__init__()
        self.both, self.calibration = both, calibration

    def forward(self, x):
        c = self.calibration
        logits, strength = self.both(x)
        pred_score = torch.sigmoid((strength - c["image_threshold"]) / c["image_spread"])
        anomaly_map = torch.sigmoid((double(logits) - c["pixel_threshold"]) / c["pixel_spread"])
        return pred_score, pred_score >= 0.5, anomaly_map, anomaly_map >= 0.5


OUTPUTS = ["pred_score", "pred_label", "anomaly_map", "pred_mask"]


def export(both: Both, calibration: dict, side: int, path) -> None:
    """Write the graph as ONNX, opset 17, its batch axis dynamic."""
    graph = Graph(both, calibration).cpu().eval()
    newer = {} if torch.__version__ < "2.5" else {"dynamo": False}
    torch.onnx.export(graph, torch.rand(2, 1, side, side), str(path), opset_version=17, input_names=["input"],
                      output_names=OUTPUTS, dynamic_axes={n: {0: "N"} for n in ["input", *OUTPUTS]}, **newer)
