"""PyTorch's training step on a GPU, for beside `step_cost --device`: python benches/gpu_peer.py [--width 32] [--batch 128] [--seconds 3]

ResNet-32, eager, TF32, channels-last, masks of 90 % on the convolutions; SGD, SAM, and ZO-SAM as two probes and a step. Images per second, and the
share of SGD's.
"""

import argparse
import time

import torch
from torch.nn import functional as F

from peers.resnet32 import ResNet32

RHO = 0.05


class Steps:
    def __init__(self, width, batch):
        self.net = ResNet32(width).cuda().to(memory_format=torch.channels_last).train()
        self.parameters = list(self.net.parameters())
        self.weights = [p for p in self.parameters if p.dim() > 1]
        self.masks = {p: (torch.rand_like(p) < 0.1).float() for p in self.weights}
        self.optim = torch.optim.SGD(self.parameters, lr=1e-3, momentum=0.9, foreach=True)
        images = torch.randn(batch, 3, 32, 32, device="cuda")
        self.images = images.to(memory_format=torch.channels_last)
        self.labels = torch.arange(batch, device="cuda") % 10

    def loss(self):
        return F.cross_entropy(self.net(self.images), self.labels)

    def gradient(self):
        self.optim.zero_grad(set_to_none=True)
        self.loss().backward()
        return [p.grad for p in self.parameters]

    def move(self, direction, factor):
        with torch.no_grad():
            torch._foreach_add_(self.parameters, direction, alpha=factor)

    def unit(self, direction):
        norm = float(torch.stack(torch._foreach_norm(direction)).norm())
        return torch._foreach_mul(direction, RHO / norm)

    def descend(self):
        masks = [self.masks[p] for p in self.weights]
        torch._foreach_mul_([p.grad for p in self.weights], masks)
        self.optim.step()
        with torch.no_grad():
            torch._foreach_mul_(self.weights, masks)

    def sgd(self):
        self.gradient()
        self.descend()

    def sam(self):
        ascent = self.unit([g.clone() for g in self.gradient()])
        self.move(ascent, 1.0)
        self.gradient()
        self.move(ascent, -1.0)
        self.descend()

    def zo_sam(self):
        draws = [torch.randn_like(p) * self.masks.get(p, 1.0) for p in self.parameters]
        ascent = self.unit(draws)
        with torch.no_grad():
            self.move(ascent, 1.0)
            up = float(self.loss())
            self.move(ascent, -2.0)
            down = float(self.loss())
        sign = 1.0 if up > down else -1.0
        self.move(ascent, 1.0 + sign)
        self.gradient()
        self.move(ascent, -sign)
        self.descend()


def images_per_second(step, batch, seconds):
    for _ in range(5):
        step()
    torch.cuda.synchronize()
    start, steps = time.time(), 0
    while time.time() - start < seconds:
        for _ in range(10):
            step()
        torch.cuda.synchronize()
        steps += 10
    return steps * batch / (time.time() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    steps = Steps(args.width, args.batch)
    base = None
    for name in ("sgd", "sam", "zo_sam"):
        speed = images_per_second(getattr(steps, name), args.batch, args.seconds)
        base = base or speed
        print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}: {name} {speed:.0f} images/s ({speed / base:.3f})", flush=True)


if __name__ == "__main__":
    main()
