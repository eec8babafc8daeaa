"""The anomaly network and the graph that is exported from it."""
import torch
import torch.nn as nn
import torch.nn.functional as F

# Channels at strides 2, 4, 8, 16, 32, and of the way back up.
WIDTHS = {"tile": ((16, 32, 64, 128, 160), 48), "small": ((16, 24, 48, 64, 96), 32)}

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
        (a, b, c, d, e), w = WIDTHS[size]
        self.stem = nn.Sequential(convolution(1, a, stride=2), convolution(a, a))
        self.down = nn.ModuleList([nn.Sequential(convolution(i, o, stride=2), Residual(o)) for i, o in ((a, b), (b, c), (c, d), (d, e))])
        self.lateral = nn.ModuleList([convolution(i, w, 1) for i in (b, c, d, e)])
        self.smooth = nn.ModuleList([convolution(w, w) for _ in range(3)])
        self.finest = nn.ModuleList([convolution(a, 16, 1), convolution(w, 16, 1)])
        self.map = nn.Sequential(convolution(16, 16), nn.Conv2d(16, 1, 1))
        self.picture = nn.Sequential(nn.Linear(2 * e, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 1))

    def forward(self, x):
        x = normalise(x)
        stem = self.stem(x)
        levels = [stem]
        for down in self.down:
            levels.append(down(levels[-1]))
        up = self.lateral[3](levels[4])
        for i in (2, 1, 0):
            up = self.smooth[i](self.lateral[i](levels[i + 1]) + double(up))
        logits = self.map(self.finest[0](stem) + double(self.finest[1](up)))
        deep = levels[4]
        pooled = torch.cat([deep.mean((2, 3)), deep.amax((2, 3))], 1)
        return logits, self.picture(pooled)[:, 0], F.avg_pool2d(logits, 3, 1).amax((1, 2, 3))


def double(x):
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def normalise(x):
    counted = (x > DARK).to(x.dtype)
    mean = (x * counted).sum((1, 2, 3), keepdim=True) / counted.sum((1, 2, 3), keepdim=True).clamp(min=1)
    return x * (LEVEL / mean.clamp(min=DARK)) - LEVEL


def score(picture, strongest):
    """The one logit by which pictures are ranked."""
    return 0.5 * (picture + strongest)


class Graph(nn.Module):
    """What is exported: the four outputs of anomalib 2, with thresholds inside, so that 0.5 is the boundary.

    A logit l becomes sigmoid((l - threshold) / spread): in the same order as the logits, and spread wide enough that
    eight bits of a heatmap still tell normal pixels apart.
    """

    def __init__(self, net: Net, calibration: dict):
        super().__init__()
        self.net, self.calibration = net, calibration

    def forward(self, x):
        c = self.calibration
        logits, picture, strongest = self.net(x)
        pred_score = torch.sigmoid((score(picture, strongest) - c["image_threshold"]) / c["image_spread"])
        anomaly_map = torch.sigmoid((double(logits) - c["pixel_threshold"]) / c["pixel_spread"])
        return pred_score, pred_score >= 0.5, anomaly_map, anomaly_map >= 0.5


OUTPUTS = ["pred_score", "pred_label", "anomaly_map", "pred_mask"]


def export(net: Net, calibration: dict, side: int, path) -> None:
    """Write the graph as ONNX, opset 17, its batch axis dynamic."""
    graph = Graph(net, calibration).cpu().eval()
    newer = {} if torch.__version__ < "2.5" else {"dynamo": False}
    torch.onnx.export(graph, torch.rand(2, 1, side, side), str(path), opset_version=17, input_names=["input"],
                      output_names=OUTPUTS, dynamic_axes={n: {0: "N"} for n in ["input", *OUTPUTS]}, **newer)
