"""The sparse kernels against PyTorch's dense ones, layer by layer, taking turns.

    cargo bench --bench kernels --no-run
    RAYON_NUM_THREADS=1 python benches/kernels_peer.py target/release/deps/kernels-HASH [rounds [linear]]

RAYON_NUM_THREADS sets the threads of both sides. PyTorch runs convolutions channels-last and linear layers as a GEMM (oneDNN or
MKL, its choice), forward and then both gradients apart. A last word selects the layers that start with it. Printed: PyTorch's dense GFLOP/s, our dense-equivalent ones, and the median
over rounds of PyTorch's time over ours in the same round; last, the density below which forward plus both gradients are
faster than PyTorch's, by interpolation between the measured ones.
"""

import os
import statistics
import subprocess
import sys
import time

import torch

LAYERS = [
    "conv 64 3 32 3 1 32", "conv 64 32 32 3 1 32", "conv 64 32 64 3 2 32", "conv 64 64 64 3 1 16",
    "conv 64 64 128 3 2 16", "conv 64 128 128 3 1 8", "conv 1 32 32 3 1 32", "conv 1 128 128 3 1 8",
    "linear 3152 384 1152", "linear 3152 384 1536", "linear 3152 1536 384",
    # The language model's of width 256 at 1,024 positions, and of width 128.
    "linear 1024 256 768", "linear 1024 256 1024", "linear 1024 1024 256", "linear 1024 128 512",
]
DENSITIES = [1.0, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02]
NAMES = ["forward", "input gradient", "weight gradient"]


def dense(layer):
    """The three calls of a layer and its multiply-adds times two."""
    kind, *sizes = layer.split()
    sizes = [int(size) for size in sizes]
    if kind == "linear":
        n, i, o = sizes
        x, w, g = torch.randn(n, i), torch.randn(o, i), torch.randn(n, o)
        calls = [lambda: x @ w.T, lambda: g @ w, lambda: g.T @ x]
        return calls, 2 * n * i * o
    n, c, o, k, s, size = sizes
    last = torch.channels_last
    x, w = torch.randn(n, c, size, size).to(memory_format=last), torch.randn(o, c, k, k).to(memory_format=last)
    y = torch.nn.functional.conv2d(x, w, None, s, k // 2)
    g = torch.randn_like(y)

    def backward(mask):
        return torch.ops.aten.convolution_backward(g, x, w, None, [s, s], [k // 2] * 2, [1, 1], False, [0, 0], 1, mask)

    calls = [
        lambda: torch.nn.functional.conv2d(x, w, None, s, k // 2),
        lambda: backward([True, False, False]),
        lambda: backward([False, True, False]),
    ]
    return calls, 2 * w.numel() * y.shape[0] * y.shape[2] * y.shape[3]


def best(call):
    call()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def crossing(ratios):
    """The density at which the ratio of the three calls together is one; densities fall, ratios rise."""
    points = list(zip(DENSITIES, ratios))
    if points[0][1] >= 1:
        return f"> {DENSITIES[0]}"
    for (dense_side, low), (sparse_side, high) in zip(points, points[1:]):
        if high >= 1:
            return f"{dense_side + (1 - low) / (high - low) * (sparse_side - dense_side):.2f}"
    return f"< {DENSITIES[-1]}"


def main():
    threads = int(os.environ.get("RAYON_NUM_THREADS", "1"))
    torch.set_num_threads(threads)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    ours = subprocess.Popen([sys.argv[1], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"PyTorch {torch.__version__}, {threads} thread(s), {rounds} rounds")
    start = sys.argv[3] if len(sys.argv) > 3 else ""
    with torch.inference_mode():
        for layer in [layer for layer in LAYERS if layer.startswith(start)]:
            calls, flops = dense(layer)
            samples = {density: [] for density in DENSITIES}
            peers = []
            for _ in range(rounds):
                for density in DENSITIES:
                    peer = [best(call) for call in calls]
                    ours.stdin.write(f"{layer} {density}\n")
                    ours.stdin.flush()
                    times = [float(word) for word in ours.stdout.readline().split()]
                    peers.append(peer)
                    samples[density].append((peer, times))
            rates = " ".join(f"{flops / statistics.median(p[i] for p in peers) / 1e9:4.0f}" for i in range(3))
            print(f"{layer:24} PyTorch dense GFLOP/s: {rates}")
            together = []
            for density in DENSITIES:
                pairs = samples[density]
                median = lambda values: statistics.median(list(values))
                rates = [flops / median(t[i] for _, t in pairs) / 1e9 for i in range(3)]
                ratios = [median(p[i] / t[i] for p, t in pairs) for i in range(3)]
                together.append(median(sum(p) / sum(t) for p, t in pairs))
                rates = " ".join(f"{rate:5.0f}" for rate in rates)
                ratios = " ".join(f"{ratio:5.2f}" for ratio in ratios)
                print(f"{'':24} density {density:4}: {rates} | times PyTorch {ratios} | together {together[-1]:5.2f}", flush=True)
            print(f"{'':24} faster below a density of {crossing(together)}", flush=True)


if __name__ == "__main__":
    main()
