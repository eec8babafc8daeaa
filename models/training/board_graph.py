"""The networks of a board model as it was exported, to train on from: its model.onnx (float32) holds all that they have learnt."""
import copy
import sys

import torch
import torch.nn as nn

from onnxfile import convolutions


def load(path, net, part, device):
    """Bring net to the weights of a file: the state that a run wrote (weights.pt), or a graph (.onnx), of which part is "net", the
    first network, or "look", the second."""
    if path.suffix != ".onnx":
        return net.load_state_dict(torch.load(path, map_location=device))
    held = [(w, b) for name, w, b in convolutions(path) if name.startswith(f"/{part}/")]
    layers = layers_of(net)
    if len(held) != len(layers):
        sys.exit(f"{path}: has {len(held)} convolutions of /{part}/, want {len(layers)}: name a model.onnx in float32 that train_look.py wrote, of the same widths and depths")
    for k, ((layer, norm), (weight, bias)) in enumerate(zip(layers, held)):
        weight = torch.from_numpy(weight.copy())
        if k == 0:  # rows_of in train_board.py, undone
            weight = weight.reshape(-1, 2, 4, 4).permute(0, 1, 3, 2)
        if weight.shape != layer.weight.shape:
            sys.exit(f"{path}: convolution {k} of /{part}/ is {tuple(weight.shape)}, want {tuple(layer.weight.shape)}: give the widths and depths that it was trained with")
        put(layer, norm, weight, torch.from_numpy(bias.copy()))


def layers_of(net):
    """The convolutions of net in turn, each with the normalisation behind it, or None where it has a bias of its own."""
    modules = list(net.modules())
    behind = [*modules[1:], None]
    return [(m, None if m.bias is not None else norm) for m, norm in zip(modules, behind) if isinstance(m, nn.Conv2d)]


@torch.no_grad()
def put(layer, norm, weight, bias):
    """Give a convolution what it does together with the normalisation behind it, which then only adds."""
    layer.weight.copy_(weight)
    if norm is not None:
        norm.running_mean.zero_(), norm.running_var.fill_(1 - norm.eps), norm.weight.fill_(1)
    (norm or layer).bias.copy_(bias)


@torch.no_grad()
def mean_of(nets):
    """The network between nets, trained from common weights: the means of what their convolutions do together with the
    normalisations behind them."""
    mean = copy.deepcopy(nets[0])
    for (layer, norm), *held in zip(layers_of(mean), *map(layers_of, nets)):
        weights, biases = zip(*(folded(*h) for h in held))
        put(layer, norm, sum(weights) / len(nets), sum(biases) / len(nets))
    return mean


def folded(layer, norm):
    """The weight and bias of a convolution and the normalisation behind it, as one convolution."""
    if norm is None:
        return layer.weight, layer.bias
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return layer.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


@torch.no_grad()
def normalise(net, x):
    """Give the normalisations of a net that load took from a graph the statistics of a batch x, so that it says the same in training."""

    def measure(norm, inputs):
        mean, variance = inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), unbiased=False)
        norm.bias.add_(mean), norm.weight.copy_((variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean), norm.running_var.copy_(variance)

    hooks = [m.register_forward_pre_hook(measure) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    net.eval()(x)
    for h in hooks:
        h.remove()
    net.train()
