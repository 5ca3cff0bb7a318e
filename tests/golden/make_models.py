"""Golden numbers of VGG, wide ResNets and torchvision's ResNets.

    python tests/golden/make_models.py

Writes vgg.json, wide_resnet.json, imagenet_basic.json, imagenet_bottleneck.json and torchvision.json beside this script,
for tests/golden/models.rs. Needs torch (2.15 made them) and torchvision (0.29). VGG and the wide ResNet are
written here from their publications; the ImageNet ResNets are torchvision's blocks, stages and forward pass
at a fraction of the width. Float32 on one CPU thread with fixed seeds.
"""

import json

import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from make import conv, flat, randomise, state, write

CLASSES, BATCH = 10, 8


class ConvNorm(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.conv = conv(cin, cout, 3, 1)
        self.bn = nn.BatchNorm2d(cout)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class VGG(nn.Module):
    """Simonyan and Zisserman's stages with GraSP's head: an average over what is left, one linear layer."""

    def __init__(self, layers, width, classes=CLASSES):
        super().__init__()
        self.stages, cin = nn.ModuleList(), 3
        for count, factor in zip(layers, [1, 2, 4, 8, 8]):
            stage = []
            for _ in range(count):
                stage.append(ConvNorm(cin, factor * width))
                cin = factor * width
            self.stages.append(nn.Sequential(*stage))
        self.classifier = nn.Linear(cin, classes)

    def forward(self, x):
        for number, stage in enumerate(self.stages):
            x = stage(x if number == 0 else F.max_pool2d(x, 2))
        return self.classifier(F.adaptive_avg_pool2d(x, 1).flatten(1))


class WideBlock(nn.Module):
    """B(3, 3) of Zagoruyko and Komodakis."""

    def __init__(self, cin, cout, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(cin)
        self.conv1 = conv(cin, cout, 3, stride)
        self.bn2 = nn.BatchNorm2d(cout)
        self.conv2 = conv(cout, cout, 3, 1)
        self.shortcut = conv(cin, cout, 1, stride) if cin != cout else None

    def forward(self, x):
        a = F.relu(self.bn1(x))
        r = self.conv2(F.relu(self.bn2(self.conv1(a))))
        return r + (x if self.shortcut is None else self.shortcut(a))


class WideResNet(nn.Module):
    def __init__(self, depth, factor, base=16, classes=CLASSES):
        super().__init__()
        widths = [base, base * factor, 2 * base * factor, 4 * base * factor]

        def group(number):
            cin, cout = widths[number - 1 : number + 1]
            blocks = [WideBlock(cin, cout, 1 if number == 1 else 2)]
            blocks += [WideBlock(cout, cout, 1) for _ in range((depth - 4) // 6 - 1)]
            return nn.Sequential(*blocks)

        self.conv1 = conv(3, base, 3, 1)
        self.block1, self.block2, self.block3 = group(1), group(2), group(3)
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3], classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(F.relu(self.bn1(x)).mean(dim=(2, 3)))


class NarrowResNet(ResNet):
    """torchvision's ResNet with `width` channels instead of 64: its stages and forward pass, unchanged."""

    def __init__(self, block, layers, width):
        nn.Module.__init__(self)
        self._norm_layer = nn.BatchNorm2d
        self.inplanes, self.dilation, self.groups, self.base_width = width, 1, 1, 64
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, width, layers[0])
        self.layer2 = self._make_layer(block, 2 * width, layers[1], 2)
        self.layer3 = self._make_layer(block, 4 * width, layers[2], 2)
        self.layer4 = self._make_layer(block, 8 * width, layers[3], 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width * block.expansion, CLASSES)


def images(pixels):
    """A formula that the test repeats, because images of this size would make the files long."""
    i = torch.arange(BATCH * 3 * pixels * pixels)
    numbers = (i * i * 7919) % 100_003
    return (numbers.double() / 50_000 - 1).float().reshape(BATCH, 3, pixels, pixels)


def settle(model, x):
    """Running statistics of the batch, rounded: with random ones inference logits run into the hundreds."""
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1
    with torch.no_grad():
        model.train()(x)
        for norm in norms:
            norm.momentum = 0.1
            norm.running_mean.copy_(torch.round(norm.running_mean, decimals=4))
            norm.running_var.copy_(torch.round(norm.running_var, decimals=4))


def count_per_channel(model):
    """By the name of each norm, the numbers that a channel's statistics are over; filled by the next forward pass."""
    counts = {}
    for name, norm in model.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            def hook(module, inputs, output, name=name):
                counts[name] = inputs[0].numel() // inputs[0].shape[1]
            norm.register_forward_hook(hook)
    return counts


def biased(after, before, counts):
    """Running statistics as burn keeps them: its variance is divided by n, PyTorch's by n - 1."""
    statistics = {}
    for name, values in after.items():
        norm, _, kind = name.rpartition(".")
        if not kind.startswith("running"):
            continue
        n = counts[norm]
        factor = (n - 1) / n if kind == "running_var" else 1
        pairs = zip(values, before[name])
        statistics[name] = [round(0.9 * old + (new - 0.9 * old) * factor, 7) for new, old in pairs]
    return statistics


def passes(model, pixels, seed):
    """All golden numbers of a network: inference, then one training pass forward and backward."""
    randomise(model, torch.Generator().manual_seed(seed))
    x, labels = images(pixels), torch.arange(BATCH) % CLASSES
    settle(model, x)
    golden = {"pixels": pixels, "state": state(model)}
    model.eval()
    golden["eval_logits"] = flat(model(x))
    model.train()
    before = state(model)
    counts = count_per_channel(model)
    logits = model(x)
    golden["statistics"] = biased(state(model), before, counts)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    golden["logits"] = flat(logits)
    golden["loss"] = loss.item()
    # Seven decimals, for the files' length.
    gradients = model.named_parameters()
    golden["gradients"] = {name: [round(g, 7) for g in flat(p.grad)] for name, p in gradients}
    return golden


def torchvision_shapes():
    """Keys and shapes of the state dicts."""
    networks = {}
    for name in ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]:
        with torch.device("meta"):
            entries = getattr(torchvision.models, name)().state_dict().items()
        shapes = {k: list(v.shape) for k, v in entries if not k.endswith("num_batches_tracked")}
        networks[name] = shapes
    return networks


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    write("vgg", passes(VGG([2, 2, 2, 2, 2], width=2), 32, seed=1))
    write("wide_resnet", passes(WideResNet(16, 2, base=2), 16, seed=2))
    write("imagenet_basic", passes(NarrowResNet(BasicBlock, [1, 2, 1, 1], width=2), 64, seed=3))
    write("imagenet_bottleneck", passes(NarrowResNet(Bottleneck, [2, 1, 1, 1], width=2), 64, seed=6))
    write("torchvision", torchvision_shapes())



if __name__ == "__main__":
    main()
