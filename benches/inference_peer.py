"""PyTorch's dense ResNet-32 beside ours, taking turns: python benches/inference_peer.py target/release/examples/sparse_inference

Channels-last, eval, no gradients, batch norm folded as torch.ao's fuse does it. Threads: OMP_NUM_THREADS and
RAYON_NUM_THREADS. The fastest pass counts: what else runs on a machine only ever adds.
"""

import subprocess
import sys
import time

import torch

from peers.resnet32 import ResNet32, folded


VARIANTS = [(density, distribution) for density in (0.2, 0.1, 0.05, 0.02) for distribution in ("erk", "uniform")]


def main():
    ours = subprocess.Popen([sys.argv[1], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; the fastest of 5 turns of 7 passes")
    print("width batch density distribution   PyTorch   sparse   times")
    with torch.inference_mode():
        for width in (16, 32):
            net = folded(ResNet32(width)).to(memory_format=torch.channels_last)
            for batch in (1, 64):
                x = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
                for density, distribution in VARIANTS:
                    theirs, mine = [], []
                    for _ in range(5):
                        net(x)
                        times = []
                        for _ in range(7):
                            start = time.perf_counter()
                            net(x)
                            times.append(time.perf_counter() - start)
                        theirs.append(min(times))
                        ours.stdin.write(f"{width} {density} {distribution} {batch}\n")
                        ours.stdin.flush()
                        mine.append(float(ours.stdout.readline()))
                    a, b = min(theirs), min(mine)
                    times = f"{1e3 * a:7.2f} ms {1e3 * b:6.2f} ms {a / b:6.2f}"
                    print(f"{width:5} {batch:5} {density:7} {distribution:12} {times}", flush=True)
    ours.stdin.close()


if __name__ == "__main__":
    main()
