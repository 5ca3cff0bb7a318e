"""Golden numbers: what PyTorch computes where zosam must compute the same.

    python tests/golden/make.py

Writes the *.json files beside this script, for tests/golden/*.rs. Needs torch (2.15 made them) and numpy. Float32 on
one CPU thread with fixed seeds. The networks and rules are written here from their publications; they
share no code with the crate. Tensors are flat, under PyTorch's names and in PyTorch's layout.
"""

import json
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
WIDTH, CLASSES, BATCH, PIXELS = 4, 10, 8, 16
SNIP_SPARSITY = 0.9


def conv(cin, cout, kernel, stride):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """He et al.'s basic block."""

    def __init__(self, cin, cout, stride, variant):
        super().__init__()
        self.conv1 = conv(cin, cout, 3, stride)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = conv(cout, cout, 3, 1)
        self.bn2 = nn.BatchNorm2d(cout)
        self.new = cout - cin
        self.shortcut = None
        if self.new and variant == "grasp":  # option B
            layers = [("conv", conv(cin, cout, 1, stride)), ("bn", nn.BatchNorm2d(cout))]
            self.shortcut = nn.Sequential(OrderedDict(layers))

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.new:  # option A
            half = self.new // 2
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        return F.relu(y + x)


class ResNet8(nn.Module):
    """The CIFAR ResNet with one block a stage."""

    def __init__(self, variant):
        super().__init__()
        self.conv1 = conv(3, WIDTH, 3, 1)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        self.layer1 = nn.Sequential(Block(WIDTH, WIDTH, 1, variant))
        self.layer2 = nn.Sequential(Block(WIDTH, 2 * WIDTH, 2, variant))
        self.layer3 = nn.Sequential(Block(2 * WIDTH, 4 * WIDTH, 2, variant))
        self.linear = nn.Linear(4 * WIDTH, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean(dim=(2, 3)))


def randomise(model, generator):
    """Everything away from its initial value, so that no tensor is tested by zeros or ones.

    Rounded, which keeps the files short; the rounded values are the ones computed with.
    """

    def normal(tensor, std):
        value = torch.randn(tensor.shape, generator=generator) * std
        tensor.copy_(torch.round(value, decimals=4))

    def uniform(tensor):
        value = 0.5 + torch.rand(tensor.shape, generator=generator)
        tensor.copy_(torch.round(value, decimals=4))

    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                uniform(module.weight)
                normal(module.bias, 0.3)
                normal(module.running_mean, 0.5)
                uniform(module.running_var)
            elif isinstance(module, nn.Conv2d):
                normal(module.weight, (2 / module.weight[0].numel()) ** 0.5)
            elif isinstance(module, nn.Linear):
                normal(module.weight, 0.5)
                normal(module.bias, 0.3)


def draw_batch(generator):
    images = torch.randn(BATCH, 3, PIXELS, PIXELS, generator=generator)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    return torch.round(images, decimals=3), labels


def flat(tensor):
    """The shortest decimals that read back as the same float32."""
    return [float(str(x)) for x in tensor.detach().numpy().reshape(-1)]


def state(model):
    entries = model.state_dict().items()
    return {name: flat(t) for name, t in entries if not name.endswith("num_batches_tracked")}


def batch_json(images, labels):
    return {"images": flat(images), "labels": labels.tolist()}


def resnet(variant, seed):
    """One training pass, forward and backward; and the inference logits before it."""
    generator = torch.Generator().manual_seed(seed)
    model = ResNet8(variant)
    randomise(model, generator)
    images, labels = draw_batch(generator)
    golden = {"state": state(model), "batch": batch_json(images, labels)}

    model.eval()
    golden["eval_logits"] = flat(model(images))
    model.train()
    logits = model(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()
    golden["logits"] = flat(logits)
    golden["loss"] = loss.item()
    golden["gradients"] = {name: flat(p.grad) for name, p in model.named_parameters()}
    golden["state_after"] = state(model)
    return model, golden


def snip(model):
    """Global SNIP from the gradients that `model` holds; live positions of each weight."""
    weights = [(n, p) for n, p in model.named_parameters() if p.dim() > 1]
    scores = np.concatenate([(p * p.grad).detach().abs().numpy().reshape(-1) for _, p in weights])
    keep = round((1 - SNIP_SPARSITY) * len(scores))
    order = np.argsort(-scores, kind="stable")  # equal scores: the lower position first
    # Otherwise rounding could decide the set, and the comparison would be one of rounding errors.
    last, first_out = scores[order[keep - 1]], scores[order[keep]]
    assert last - first_out > 1e-3 * last, f"{last} and {first_out} are too close: change the seed"
    live = np.zeros(len(scores), bool)
    live[order[:keep]] = True
    golden, start = {}, 0
    for name, parameter in weights:
        layer = live[start : start + parameter.numel()]
        golden[name] = np.flatnonzero(layer).tolist()
        start += parameter.numel()
    return {"sparsity": SNIP_SPARSITY, "live": golden}


def restored(state):
    """The network of a golden state, in float64."""
    model = ResNet8("grasp").double()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in state:
                tensor.copy_(torch.tensor(state[name], dtype=torch.float64).reshape(tensor.shape))
    return model


def live_positions(weights, scores, keep, live=None):
    """The `keep` best of the live positions over all weights, by position for each, and the set."""
    scores = np.where(live, scores, -np.inf) if live is not None else scores
    order = np.argsort(-scores, kind="stable")
    last, first_out = scores[order[keep - 1]], scores[order[keep]]
    spread = abs(scores[order[0]])
    # f32 carries the products that are ranked to about 1e-7 of each.
    assert last - first_out > 1e-6 * abs(last) and spread > 0, f"{last} and {first_out} are too close"
    chosen = np.zeros(len(scores), bool)
    chosen[order[:keep]] = True
    golden, start = {}, 0
    for name, parameter in weights:
        layer = chosen[start : start + parameter.numel()]
        golden[name] = np.flatnonzero(layer).tolist()
        start += parameter.numel()
    return golden, chosen


def grasp(golden, temperature=200.0, sparsity=0.9):
    """GraSP with two half batches, by double backward in float64, training-mode batch norm."""
    model = restored(golden["state"])
    weights = [(n, p) for n, p in model.named_parameters() if p.dim() > 1]
    parameters = [p for _, p in weights]
    images = torch.tensor(golden["batch"]["images"], dtype=torch.float64).reshape(BATCH, 3, PIXELS, PIXELS)
    labels = torch.tensor(golden["batch"]["labels"])
    halves = [(images[:4], labels[:4]), (images[4:], labels[4:])]

    def loss(half):
        return F.cross_entropy(model(half[0]) / temperature, half[1])

    first = [torch.autograd.grad(loss(half), parameters) for half in halves]
    gradient = [sum(parts) for parts in zip(*first)]
    product = [torch.zeros_like(p) for p in parameters]
    for half in halves:
        slopes = torch.autograd.grad(loss(half), parameters, create_graph=True)
        along = sum((g * s).sum() for g, s in zip(gradient, slopes))
        for total, part in zip(product, torch.autograd.grad(along, parameters)):
            total += part
    scores = np.concatenate([(p * h).detach().numpy().reshape(-1) for p, h in zip(parameters, product)])
    keep = round((1 - sparsity) * len(scores))
    live, _ = live_positions(weights, scores, keep)
    product = {name: flat(h.float()) for (name, _), h in zip(weights, product)}
    return {"sparsity": sparsity, "product": product, "live": live}


def synflow(golden, sparsity=0.9, rounds=100):
    """SynFlow in float64: absolute parameters and buffers, inference mode, an input of ones."""
    model = restored(golden["state"]).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.abs_()
    weights = [(n, p) for n, p in model.named_parameters() if p.dim() > 1]
    total = sum(p.numel() for _, p in weights)
    live = np.ones(total, bool)
    for number in range(1, rounds + 1):
        output = model(torch.ones(1, 3, PIXELS, PIXELS, dtype=torch.float64)).sum()
        slopes = torch.autograd.grad(output, [p for _, p in weights])
        scores = np.concatenate([(p * s).detach().numpy().reshape(-1) for (_, p), s in zip(weights, slopes)])
        keep = round((1 - sparsity) ** (number / rounds) * total)
        positions, live = live_positions(weights, scores, keep, live)
        with torch.no_grad():
            start = 0
            for _, parameter in weights:
                layer = torch.tensor(live[start : start + parameter.numel()])
                parameter.mul_(layer.reshape(parameter.shape))
                start += parameter.numel()
    return {"sparsity": sparsity, "rounds": rounds, "live": positions}


def sam(seed, steps=3, rho=0.05):
    """The step of the published PyTorch implementation (davda54/sam) around SGD.

    Running statistics advance in the first pass only: as in that repository's helper, batch norm has
    momentum 0 in the second.
    """
    generator = torch.Generator().manual_seed(seed)
    model = ResNet8("grasp").train()
    randomise(model, generator)
    golden = {"rho": rho, "state": state(model), "steps": []}
    base = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for _ in range(steps):
        images, labels = draw_batch(generator)

        base.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        with torch.no_grad():
            old = [p.clone() for p in model.parameters()]
            norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
            for p in model.parameters():
                p.add_(p.grad * (rho / (norm + 1e-12)))

        base.zero_grad()
        for module in norms:
            module.momentum = 0
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        for module in norms:
            module.momentum = 0.1
        with torch.no_grad():
            for p, value in zip(model.parameters(), old):
                p.copy_(value)
        base.step()

        step = {"batch": batch_json(images, labels), "loss": loss.item(), "state": state(model)}
        golden["steps"].append(step)
    return golden


def rigl_update(weight, mask, gradient, fraction):
    """One layer's update of the published code (google-research/rigl), without its noise.

    There, noise breaks ties in the drop score and lets a dead weight outrank a live one near zero;
    here dead weights are never kept and ties go to the lower position.
    """
    ones = int(mask.sum())
    prune = int(ones * fraction)

    def top(score, k):
        chosen = np.zeros(len(score), bool)
        chosen[np.argsort(-score, kind="stable")[:k]] = True
        return chosen

    mask1 = top(np.where(mask, np.abs(weight), -1.0), ones - prune)
    grow = np.abs(gradient)
    mask2 = top(np.where(mask1, grow.min() - 1, grow), prune)
    return mask1 | mask2


def bits(mask):
    return "".join("01"[int(live)] for live in mask)


def rigl(seed):
    rng = np.random.default_rng(seed)
    layers = []
    # (shape, density, decimals): one decimal makes many ties, live weights of zero among them.
    for shape, density, decimals in [
        ((8, 4, 3, 3), 0.1, 4),
        ((32, 16), 0.3, 4),
        ((7, 10), 0.9, 4),
        ((6, 5, 3, 3), 0.4, 1),
        ((5, 4), 1.0, 4),
    ]:
        size = int(np.prod(shape))
        mask = np.zeros(size, bool)
        mask[rng.permutation(size)[: round(density * size)]] = True
        weight = np.round(rng.normal(0, 0.2, size), decimals).astype(np.float32)
        weight[~mask] = 0
        gradient = np.round(rng.normal(0, 0.2, size), decimals).astype(np.float32)
        updates = []
        for fraction in [0.0, 0.05, 0.256066, 0.3, 0.5, 0.999, 1.0]:
            new = rigl_update(weight, mask, gradient, fraction)
            assert new.sum() == mask.sum()
            updates.append({"fraction": fraction, "live": bits(new)})
        layers.append(
            {
                "shape": shape,
                "weights": [float(str(w)) for w in weight],
                "gradients": [float(str(g)) for g in gradient],
                "live": bits(mask),
                "updates": updates,
            }
        )
    return layers


def write(name, value):
    text = json.dumps(value, separators=(",", ":"))
    (HERE / f"{name}.json").write_text(text + "\n")


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    _, he = resnet("he", seed=1)
    write("resnet_he", he)
    grasp_model, grasp_golden = resnet("grasp", seed=6)
    write("resnet_grasp", grasp_golden)
    write("snip", snip(grasp_model))
    write("grasp", grasp(grasp_golden))
    write("synflow", synflow(grasp_golden))
    write("sam", sam(seed=3))
    write("rigl", rigl(seed=4))


if __name__ == "__main__":
    main()
