"""Golden numbers: ten steps of the sharpness-aware optimizers, and three of MeZO.

    python tests/golden/make_sharpness.py FOLDER

writes sharpness.json beside this script. FOLDER holds clones of the repositories davda54/sam, SamsungLabs/ASAM,
juntang-zhuang/GSAM, dydjw9/Efficient_SAM, nblt/F-SAM, MarlonBecker/MSAM and princeton-nlp/MeZO under their second names;
pytorch_optimizer is from pip (3.10.1 made the file; torch 2.15). Who computed what:

    asam, gsam, esam, fsam, msam    the authors' classes
    mezo                            the authors' methods, on this net and in float64
    sam                             davda54's class, the usual one of PyTorch (the authors' is of JAX)
    looksam                         the class of momentum-SAM's authors: projection over all weights, as in the paper
    looksam_per_tensor              pytorch_optimizer's
    wsam, wsam_coupled              pytorch_optimizer's, by the paper's author's rule
    fisher_sam, s2sam               written here after the papers: no code of the authors was found (F = 1 + g^2)

So the last line holds this crate's reading of two papers against itself, in another language; the others hold it against
somebody else's.

Every variant takes SGD with momentum 0.9 and weight decay 5e-4 (msam's class in its own momentum, at the point that it
looks at), and running statistics from the first forward pass of a step only, whatever the code around it does. `drift` is by how much float32 is off a float64 run: LookSAM tensor by tensor
divides by the norms of tensors whose gradient is mostly rounding. ESAM's class keeps the samples strictly above the k-th largest rise, so k = 4
keeps 3; the tensors that it has chosen by chance are in the file.
"""

import ast
import importlib.util
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

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
    # Their package names are common ones.
    sys.path.insert(0, str(folder / "MSAM"))
    becker = load(folder / "MSAM/optimizer/msam.py", "becker")
    becker_look = load(folder / "MSAM/optimizer/looksam.py", "becker_look")
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
        taken = 0

        def step(images, labels):
            nonlocal taken
            # It looks for a count that torch's SGD does not keep.
            optimizer.param_groups[0]["step"] = taken
            taken += 1
            optimizer.zero_grad()
            r.backward(images, labels)

            def closure():
                optimizer.zero_grad()
                return r.backward(images, labels)

            optimizer.step(closure)
            optimizer.zero_grad()

        return step

    def looksam(r):
        optimizer = becker_look.LookSAM(r.model.parameters(), rho=0.05, k=3, alpha=0.7, **KEYS)
        taken = 0

        def step(images, labels):
            nonlocal taken
            r.backward(images, labels)
            if taken % 3 == 0:
                optimizer.move_up()
                optimizer.zero_grad()
                r.backward(images, labels)
                optimizer.move_back()
            else:
                optimizer.update_gradient()
            optimizer.SGD_step()
            optimizer.zero_grad()
            taken += 1

        return step

    def msam(r):
        optimizer = becker.MSAM(r.model.parameters(), rho=0.3, **KEYS)

        def step(images, labels):
            optimizer.move_up_to_momentumAscent()
            r.backward(images, labels)
            optimizer.step()
            optimizer.zero_grad()
            optimizer.move_back_from_momentumAscent()

        return step

    def fisher_sam(r):
        optimizer = sgd(r.model)

        def step(images, labels):
            g = r.gradients(images, labels)
            natural = [x / (1 + x * x) for x in g]
            length = torch.sqrt(dot(g, natural))
            r.descend(optimizer, r.shifted([0.1 / length * v for v in natural], images, labels))

        return step

    def s2sam(r):
        optimizer, previous = sgd(r.model), None

        def step(images, labels):
            nonlocal previous
            offset = [0 * p for p in r.model.parameters()] if previous is None else along(previous, 0.05)
            previous = r.shifted([e.detach() for e in offset], images, labels)
            r.descend(optimizer, [x.clone() for x in previous])

        return step

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
        "s2sam": s2sam,
        "msam": msam,
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


def mezo(folder):
    """Three steps of MeZO by the methods of its authors' trainer, in float64; the norm looks at the batch.

    Their evaluation mode is left out, and the seed of each direction is the step's.
    """
    source = (folder / "MeZO/large_models/trainer.py").read_text()
    trainer = next(n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ClassDef) and n.name == "OurTrainer")
    wanted = ["zo_perturb_parameters", "zo_step", "zo_update"]
    trainer.body = [n for n in trainer.body if isinstance(n, ast.FunctionDef) and n.name in wanted]
    trainer.bases = []
    names = {"torch": torch, "np": SimpleNamespace(random=SimpleNamespace(randint=lambda _: SEEDS.pop(0)))}
    exec(compile(ast.Module([trainer], []), "trainer.py", "exec"), names)
    epsilon, lr = 1e-3, 0.01
    SEEDS = [11, 12, 13]
    model = initial().double()
    model.passes = 1

    class Trainer(names["OurTrainer"]):
        args = SimpleNamespace(zo_eps=epsilon, gradient_accumulation_steps=1, weight_decay=0.0)
        lr_scheduler = SimpleNamespace(step=lambda: None)

        def _get_learning_rate(self):
            return lr

        def zo_forward(self, model, batch):
            images, labels = batch
            with torch.no_grad():
                return F.cross_entropy(model(images.double()), labels)

    steps, by_them = [], Trainer()
    for batch, _ in zip(batches(), range(3)):
        by_them.zo_step(model, batch)
        by_them.zo_update(model)
        torch.manual_seed(by_them.zo_random_seed)
        drawn = [(n, torch.normal(mean=0, std=1, size=p.size(), dtype=p.dtype)) for n, p in model.named_parameters()]
        directions = {n: flat(z) for n, z in drawn}
        steps.append({"directions": directions, "projected": by_them.projected_grad, "state": state(model)})
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
        "mezo": mezo(Path(sys.argv[1])),
    }
    (HERE / "sharpness.json").write_text(json.dumps(golden))


main()
