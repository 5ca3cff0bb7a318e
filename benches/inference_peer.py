"""PyTorch's dense ResNet-32 beside ours, taking turns: python benches/inference_peer.py target/release/examples/sparse_inference

Channels-last, eval, no gradients, batch norm folded as torch.ao's fuse does it. Threads: OMP_NUM_THREADS and
RAYON_NUM_THREADS. The fastest pass counts: what else runs on a machine only ever adds.
"""

import subprocess
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Unit(nn.Module):
    def __init__(self, cin, cout, kernel, stride):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.conv(x))

    def folded(self):
        return fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.first, self.second = Unit(cin, cout, 3, stride).folded(), Unit(cout, cout, 3, 1).folded()
        self.around = Unit(cin, cout, 1, stride).folded() if cin != cout else nn.Identity()

    def forward(self, x):
        return F.relu_(self.second(F.relu_(self.first(x))) + self.around(x))


class ResNet32(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.stem = Unit(3, width, 3, 1).folded()
        sizes = [(width, width, 1)] * 5
        sizes += [(width, 2 * width, 2)] + [(2 * width, 2 * width, 1)] * 4
        sizes += [(2 * width, 4 * width, 2)] + [(4 * width, 4 * width, 1)] * 4
        self.blocks = nn.Sequential(*[Block(*size) for size in sizes])
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x):
        return self.head(self.blocks(F.relu_(self.stem(x))).mean((2, 3)))


def main():
    ours = subprocess.Popen([sys.argv[1], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; the fastest of 5 turns of 7 passes")
    print("width density batch   PyTorch   sparse   times")
    with torch.inference_mode():
        for width in (16, 32):
            net = ResNet32(width).eval().to(memory_format=torch.channels_last)
            for batch in (1, 64):
                x = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
                for density in (0.2, 0.1, 0.05, 0.02):
                    theirs, mine = [], []
                    for _ in range(5):
                        net(x)
                        times = []
                        for _ in range(7):
                            start = time.perf_counter()
                            net(x)
                            times.append(time.perf_counter() - start)
                        theirs.append(min(times))
                        ours.stdin.write(f"{width} {density} {batch}\n")
                        ours.stdin.flush()
                        mine.append(float(ours.stdout.readline()))
                    a, b = min(theirs), min(mine)
                    print(f"{width:5} {density:7} {batch:5} {1e3 * a:7.2f} ms {1e3 * b:6.2f} ms {a / b:6.2f}", flush=True)
    ours.stdin.close()


if __name__ == "__main__":
    main()
