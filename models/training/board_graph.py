"""The networks of a board model as it was exported, to train on from: its model.onnx (float32) holds all that they have learnt."""
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
    modules = list(net.modules())
    layers = [(m, modules[k + 1]) for k, m in enumerate(modules[:-1]) if isinstance(m, nn.Conv2d)]
    layers += [(modules[-1], None)] if isinstance(modules[-1], nn.Conv2d) else []
    if len(held) != len(layers):
        sys.exit(f"{path}: has {len(held)} convolutions of /{part}/, want {len(layers)}: name a model.onnx in float32 that train_look.py wrote, of the same widths and depths")
    with torch.no_grad():
        for k, ((layer, norm), (weight, bias)) in enumerate(zip(layers, held)):
            weight = torch.from_numpy(weight.copy())
            if k == 0:  # rows_of in train_board.py, undone
                weight = weight.reshape(-1, 2, 4, 4).permute(0, 1, 3, 2)
            if weight.shape != layer.weight.shape:
                sys.exit(f"{path}: convolution {k} of /{part}/ is {tuple(weight.shape)}, want {tuple(layer.weight.shape)}: give the widths and depths that it was trained with")
            layer.weight.copy_(weight)
            if layer.bias is None:  # the export had folded the normalisation behind it: now it only adds
                norm.running_mean.zero_(), norm.running_var.fill_(1 - norm.eps), norm.weight.fill_(1)
                layer = norm
            layer.bias.copy_(torch.from_numpy(bias.copy()))


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
