"""PyTorch's dense training step of ResNet-32 beside ours, taking turns: python benches/training_peer.py target/release/deps/training-HASH [rounds]

SGD with momentum 0.9, channels-last, batches that are there already. Threads: OMP_NUM_THREADS and RAYON_NUM_THREADS.
"""

import statistics
import subprocess
import sys
import time

import torch
from torch.nn import functional as F

from peers.resnet32 import ResNet32


def peer(width, batch):
    net = ResNet32(width).to(memory_format=torch.channels_last).train()
    optim = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    y = torch.arange(batch) % 10

    def step():
        start = time.perf_counter()
        optim.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optim.step()
        loss.item()
        return time.perf_counter() - start

    step()
    return step


# Layers, density, distribution, sharpness.
VARIANTS = [
    ("burn", 1.0, "uniform", "none"),
    ("ours", 1.0, "uniform", "none"),
    ("ours", 0.1, "uniform", "none"),
    ("ours", 0.1, "erk", "none"),
    ("ours", 0.02, "uniform", "none"),
    ("ours", 0.02, "erk", "none"),
    ("ours", 0.1, "uniform", "zo-sam"),
    ("ours", 0.1, "erk", "zo-sam"),
]


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    widths = [int(width) for width in sys.argv[3].split(",")] if len(sys.argv) > 3 else [16, 32]
    batches = [int(batch) for batch in sys.argv[4].split(",")] if len(sys.argv) > 4 else [64, 128]
    ours = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(line):
        ours.stdin.write(line + "\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; medians of {rounds} rounds, s/step, times faster than PyTorch")
    for width in widths:
        for batch in batches:
            step = peer(width, batch)
            theirs, mine = [], [[] for _ in VARIANTS]
            for _ in range(rounds):
                for index, (layers, density, distribution, sharpness) in enumerate(VARIANTS):
                    theirs.append(step())
                    mine[index].append(ask(f"resnet {width} {batch} {layers} {density} {distribution} {sharpness}"))
            base = statistics.median(theirs)
            print(f"width {width} batch {batch}: PyTorch dense SGD {base:.3f} s", flush=True)
            for variant, times in zip(VARIANTS, mine):
                own = statistics.median(times)
                print(f"  {variant[0]:5} density {variant[1]:<5} {variant[2]:8} {variant[3]:7} {own:7.3f} s {base / own:6.2f}x", flush=True)
    ours.stdin.close()


if __name__ == "__main__":
    main()
