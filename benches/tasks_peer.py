"""PyTorch's dense training steps of a language model, a U-Net and a net of sequences beside ours, taking turns.

    cargo bench --bench training --no-run
    RAYON_NUM_THREADS=1 OMP_NUM_THREADS=1 python benches/tasks_peer.py target/release/deps/training-HASH [rounds]

AdamW (PyTorch's fused one), batches that are there already; pictures in PyTorch channels-last.
"""

import statistics
import subprocess
import sys
import time

import torch

from peers.tasks import Gpt, Sequence, Unet

# A request, and what PyTorch has instead: the network, its batch.
TASKS = {
    "gpt 4 64 64 16": (lambda: Gpt(4, 64, 64), lambda: torch.randint(256, (16, 65))),
    "gpt 6 192 128 8": (lambda: Gpt(6, 192, 128), lambda: torch.randint(256, (8, 129))),
    "gpt 6 256 256 4": (lambda: Gpt(6, 256, 256), lambda: torch.randint(256, (4, 257))),
    "unet 8 10": (lambda: Unet(8), lambda: (torch.rand(10, 1, 64, 64), torch.randint(11, (10, 64, 64)))),
    "unet 16 10": (lambda: Unet(16), lambda: (torch.rand(10, 1, 64, 64), torch.randint(11, (10, 64, 64)))),
    "sequence 64 100": (lambda: Sequence(64), lambda: (torch.rand(100, 40), torch.randint(10, (100,)))),
}
# Execution, density.
VARIANTS = ["dense 1", "auto 0.5", "auto 0.2", "auto 0.1"]


def peer(network, batch):
    torch.manual_seed(0)
    net, batch = network(), batch()
    if isinstance(net, Unet):
        net, batch = net.to(memory_format=torch.channels_last), (batch[0].to(memory_format=torch.channels_last), batch[1])
    optim = torch.optim.AdamW(net.parameters(), fused=True)

    def step():
        start = time.perf_counter()
        optim.zero_grad(set_to_none=True)
        loss = net.loss(batch)
        loss.backward()
        optim.step()
        loss.item()
        return time.perf_counter() - start

    step()
    # As many steps as a turn of ours has.
    return lambda: statistics.median(step() for _ in range(3))


def main():
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ours = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(line):
        ours.stdin.write(line + "\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; medians of {rounds} rounds; ratios are medians over rounds, least and largest")
    for task, of in TASKS.items():
        step, theirs, mine = peer(*of), [], {variant: [] for variant in VARIANTS}
        for _ in range(rounds):
            theirs.append(step())
            for variant, times in mine.items():
                times.append(ask(f"{task} {variant}"))
        print(f"{task}: PyTorch {1e3 * statistics.median(theirs):.1f} ms", flush=True)
        for variant, times in mine.items():
            ratios = [base / own for base, own in zip(theirs, times)]
            print(f"  {variant:10} {1e3 * statistics.median(times):7.1f} ms  {statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
    ours.stdin.close()


if __name__ == "__main__":
    main()
