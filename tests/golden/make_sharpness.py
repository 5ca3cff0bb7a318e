"""Golden numbers: ten steps of the sharpness-aware optimizers, by their authors' code.

    python tests/golden/make_sharpness.py FOLDER

writes sharpness.json beside this script. FOLDER holds clones of the repositories davda54/sam, SamsungLabs/ASAM,
juntang-zhuang/GSAM, dydjw9/Efficient_SAM and nblt/F-SAM under their second names; pytorch_optimizer is from pip (3.10
made the file; torch 2.15). Who computed what:

    sam, asam, gsam, esam, fsam     the authors' classes
    wsam, wsam_coupled              pytorch_optimizer's, by the paper's author's rule
    looksam_per_tensor              pytorch_optimizer's
    looksam, fisher_sam, s2sam, msam, mezo   written here from the papers: no code of the authors was found
                                    (looksam: projection over all weights; fisher_sam: F = 1 + g^2; msam: own momentum)

Every variant takes SGD with momentum 0.9 and weight decay 5e-4, and running statistics from the first forward pass of a
step only, whatever the code around it does. `drift` is by how much float32 is off a float64 run: LookSAM tensor by tensor
divides by the norms of tensors whose gradient is mostly rounding. ESAM's class keeps the samples strictly above the k-th largest rise, so k = 4
keeps 3; the tensors that it has chosen by chance are in the file.
"""

import importlib.util
import json
import random
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
BATCH, PIXELS, CLASSES, STEPS, LR = 8, 6, 4, 10, 0.1
MOMENTUM, DECAY = 0.9, 5e-4


def load(path, name, package=None):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Net(nn.Module):
    """The first pass of a step moves the running statistics, later ones do not."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.linear = nn.Linear(3, CLASSES)
        self.passes = 0

    def forward(self, x):
        self.norm.momentum = 0.1 if self.passes == 0 else 0.0
        self.passes += 1
        hidden = F.relu(self.norm(self.conv(x)))
        return self.linear(hidden.mean(dim=(2, 3)))


def flat(tensor):
    return [float(str(x)) for x in tensor.detach().float().numpy().reshape(-1)]


def state(model):
    entries = model.state_dict().items()
    return {name: flat(t) for name, t in entries if not name.endswith("num_batches_tracked")}


def initial(seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = Net()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            if "var" in name or name == "norm.weight":
                value = 0.5 + torch.rand(tensor.shape, generator=generator)
            else:
                value = torch.randn(tensor.shape, generator=generator) * 0.5
            tensor.copy_(torch.round(value, decimals=4))
    return model


def batches(seed=1):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(STEPS):
        images = torch.round(torch.randn(BATCH, 1, PIXELS, PIXELS, generator=generator), decimals=2)
        yield images, torch.randint(CLASSES, (BATCH,), generator=generator)


def sgd(model, lr=LR):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM, weight_decay=DECAY)


KEYS = dict(lr=LR, momentum=MOMENTUM, weight_decay=DECAY)


class Run:
    """One variant's net and what it is asked for."""

    def __init__(self, dtype):
        self.model = initial().to(dtype)
        self.dtype = dtype
        self.loss = None

    def backward(self, images, labels):
        loss = F.cross_entropy(self.model(images), labels)
        loss.backward()
        self.loss = loss.item()
        return loss

    def gradients(self, images, labels):
        self.model.zero_grad()
        self.backward(images, labels)
        return [p.grad.clone() for p in self.model.parameters()]

    def shifted(self, offset, images, labels):
        """The gradients at an offset."""
        before = [p.detach().clone() for p in self.model.parameters()]
        with torch.no_grad():
            for p, e in zip(self.model.parameters(), offset):
                p.add_(e)
        gradients = self.gradients(images, labels)
        with torch.no_grad():
            for p, old in zip(self.model.parameters(), before):
                p.copy_(old)
        return gradients

    def descend(self, optimizer, gradients):
        for p, g in zip(self.model.parameters(), gradients):
            p.grad = g
        optimizer.step()


def norm(vectors):
    return torch.sqrt(sum((v * v).sum() for v in vectors))


def dot(a, b):
    return sum((x * y).sum() for x, y in zip(a, b))


def along(vectors, rho):
    length = norm(vectors)
    return [rho / length * v for v in vectors]


def variants(folder):
    davda = load(folder / "sam/sam.py", "davda")
    samsung = load(folder / "ASAM/asam.py", "samsung")
    sys.path.insert(0, str(folder / "GSAM"))
    from gsam import gsam as zhuang

    esam_code = load(folder / "Efficient_SAM/utils/Esam.py", "esam_code")
    source = (folder / "F-SAM/utils.py").read_text()
    friendly = {"torch": torch}
    start = source.index("class FriendlySAM")
    end = source.find("\nclass ", start)
    exec(source[start : end if end > 0 else None], friendly)
    import pytorch_optimizer

    def two_steps(make):
        def run(r):
            optimizer = make(r)

            def step(images, labels):
                r.backward(images, labels)
                optimizer.first_step(zero_grad=True)
                r.backward(images, labels)
                optimizer.second_step(zero_grad=True)

            return step

        return run

    def sam(r):
        return davda.SAM(r.model.parameters(), torch.optim.SGD, rho=0.05, **KEYS)

    def asam(r):
        optimizer = samsung.ASAM(sgd(r.model), r.model, rho=0.5, eta=0.01)

        def step(images, labels):
            r.backward(images, labels)
            optimizer.ascent_step()
            r.backward(images, labels)
            optimizer.descent_step()

        return step

    def gsam(rhos, lrs):
        def run(r):
            base = sgd(r.model)

            class Schedule:
                taken = 0

                def step(self):
                    rho = rhos[min(self.taken, STEPS - 1)]
                    self.taken += 1
                    return rho

            optimizer = zhuang.GSAM(r.model.parameters(), base, r.model, 0.4, Schedule())
            taken = 0

            def step(images, labels):
                nonlocal taken
                base.param_groups[0]["lr"] = lrs[taken]
                taken += 1

                def closure():
                    base.zero_grad()
                    with torch.enable_grad():
                        loss = r.backward(images, labels)
                    return None, loss.detach()

                optimizer.step(closure)
                optimizer.update_rho_t()

            return step

        return run

    chosen = []

    def esam(r):
        random.seed(3)
        optimizer = esam_code.ESAM(r.model.parameters(), sgd(r.model), rho=0.05, beta=0.6, gamma=0.5)
        keep = r.dtype == torch.float32

        def losses(logits, labels):
            each = F.cross_entropy(logits, labels, reduction="none")
            r.loss = each.mean().item()
            return each

        def step(images, labels):
            if keep:
                chosen.append([n for n, p in r.model.named_parameters() if p.requires_grad])
            optimizer.paras = (images, labels, losses, r.model, lambda loss: loss.backward())
            optimizer.step()

        return step

    def fsam(r):
        return friendly["FriendlySAM"](r.model.parameters(), torch.optim.SGD, rho=0.1, sigma=1, lmbda=0.9, **KEYS)

    def wsam(decouple):
        def run(r):
            optimizer = pytorch_optimizer.WSAM(
                r.model, r.model.parameters(), torch.optim.SGD, rho=0.05, gamma=0.9, decouple=decouple, **KEYS
            )

            def step(images, labels):
                r.backward(images, labels)
                optimizer.first_step(zero_grad=True)
                r.backward(images, labels)
                optimizer.second_step(zero_grad=True)

            return step

        return run

    def looksam_per_tensor(r):
        optimizer = pytorch_optimizer.LookSAM(
            r.model.parameters(), torch.optim.SGD, rho=0.05, k=3, alpha=0.7, **KEYS
        )

        def step(images, labels):
            optimizer.zero_grad()
            r.backward(images, labels)

            def closure():
                optimizer.zero_grad()
                return r.backward(images, labels)

            optimizer.step(closure)
            optimizer.zero_grad()

        return step

    def looksam(r):
        optimizer, taken, kept = sgd(r.model), 0, None

        def step(images, labels):
            nonlocal taken, kept
            g = r.gradients(images, labels)
            if taken % 3 == 0:
                there = r.shifted(along(g, 0.05), images, labels)
                share = dot(there, g) / dot(g, g)
                kept = [t - share * x for t, x in zip(there, g)]
                r.descend(optimizer, there)
            else:
                scale = 0.7 * norm(g) / norm(kept)
                r.descend(optimizer, [x + scale * v for x, v in zip(g, kept)])
            taken += 1

        return step

    def fisher_sam(r):
        optimizer = sgd(r.model)

        def step(images, labels):
            g = r.gradients(images, labels)
            natural = [x / (1 + x * x) for x in g]
            length = torch.sqrt(dot(g, natural))
            r.descend(optimizer, r.shifted([0.1 / length * v for v in natural], images, labels))

        return step

    def earlier(momentum):
        def run(r):
            optimizer, average = sgd(r.model), None

            def step(images, labels):
                nonlocal average
                offset = [0 * p for p in r.model.parameters()] if average is None else along(average, 0.05)
                g = r.shifted([e.detach() for e in offset], images, labels)
                average = g if average is None else [momentum * a + x for a, x in zip(average, g)]
                r.descend(optimizer, [x.clone() for x in g])

            return step

        return run

    falling = [LR - 0.09 * t / (STEPS - 1) for t in range(STEPS)]
    by_rate = [0.02 + 0.08 * (lr - 0.01) / 0.09 for lr in falling]
    runs = {
        "sam": two_steps(sam),
        "asam": asam,
        "gsam": gsam([0.05] * STEPS, [LR] * STEPS),
        "gsam_by_rate": gsam(by_rate, falling),
        "esam": esam,
        "fsam": two_steps(fsam),
        "wsam": wsam(True),
        "wsam_coupled": wsam(False),
        "looksam": looksam,
        "looksam_per_tensor": looksam_per_tensor,
        "fisher_sam": fisher_sam,
        "s2sam": earlier(0.0),
        "msam": earlier(0.9),
    }
    return runs, falling, chosen


def trace(make, dtype):
    run = Run(dtype)
    step = make(run)
    losses, states = [], []
    for taken, (images, labels) in enumerate(batches()):
        run.model.passes = 0
        step(images.to(dtype), labels)
        losses.append(run.loss)
        if taken in (0, STEPS - 1):
            states.append(state(run.model))
    return losses, states


def mezo():
    """Three steps of MeZO's SGD on given directions; the norm looks at the batch."""
    model, generator = initial(), torch.Generator().manual_seed(5)
    epsilon, lr = 1e-3, 0.01
    model.passes = 1
    steps = []
    for (images, labels), _ in zip(batches(), range(3)):
        z = [torch.round(torch.randn(p.shape, generator=generator), decimals=3) for p in model.parameters()]

        def at(scale):
            wide = [p.double() + scale * v for p, v in zip(model.parameters(), z)]
            moved = {n: w.float() for (n, _), w in zip(model.named_parameters(), wide)}
            with torch.no_grad():
                return torch.func.functional_call(model, moved, images)

        difference = F.cross_entropy(at(epsilon), labels) - F.cross_entropy(at(-epsilon), labels)
        projected = (difference / (2 * epsilon)).item()
        with torch.no_grad():
            for p, v in zip(model.parameters(), z):
                p.sub_(lr * projected * v)
        directions = {n: flat(v) for (n, _), v in zip(model.named_parameters(), z)}
        steps.append({"directions": directions, "projected": projected, "state": state(model)})
    return {"epsilon": epsilon, "lr": lr, "steps": steps}


def main():
    torch.set_num_threads(1)
    runs, falling, chosen = variants(Path(sys.argv[1]))
    out = {}
    for name, make in runs.items():
        losses, states = trace(make, torch.float32)
        wide, wide_states = trace(make, torch.float64)
        drift = max(np.abs(np.subtract(states[1][k], wide_states[1][k])).max() for k in states[1])
        print(f"{name:20} loss {losses[0]:.4f} -> {losses[-1]:.4f}, float32 is off float64 by {drift:.1e}")
        assert drift < 3e-5, name
        out[name] = {"losses": losses, "first": states[0], "last": states[1], "drift": float(drift)}
    data = [{"images": flat(images), "labels": labels.tolist()} for images, labels in batches()]
    golden = {
        "state": state(initial()),
        "batches": data,
        "rates": falling,
        "esam_tensors": chosen,
        "variants": out,
        "mezo": mezo(),
    }
    (HERE / "sharpness.json").write_text(json.dumps(golden))


main()
