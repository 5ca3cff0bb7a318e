"""A language model that writes, beside PyTorch's dense one with a cache of keys and values, in turns.

    cargo build --release --example language_model
    ours=target/release/examples/language_model
    $ours --layers 6 --width 256 --context 256 --heads 8 --steps 1 --sparsity 0.9 --out runs/sparse    # and --method dense --out runs/dense
    OMP_NUM_THREADS=1 RAYON_NUM_THREADS=1 python benches/decode_peer.py $ours runs/dense runs/sparse

Bytes per second for a text as long as the model can look back. The peer has the sizes of the first run, and weights of its own: they do not
matter to its speed. Runs may also be model files.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

ROUNDS = 5


class Peer:
    def __init__(self, layers, width, heads, context):
        linear = nn.Linear
        self.blocks = [(linear(width, 3 * width), linear(width, width), linear(width, 4 * width), linear(4 * width, width)) for _ in range(layers)]
        self.norms = [(nn.LayerNorm(width), nn.LayerNorm(width)) for _ in range(layers)]
        self.table, self.places, self.norm = torch.randn(256, width), torch.randn(context, width), nn.LayerNorm(width)
        self.heads, self.size, self.context = heads, width // heads, context
        self.past = torch.zeros(layers, 2, heads, context, self.size)

    def read(self, byte, at):
        x = (self.table[byte] + self.places[at]).unsqueeze(0)
        for (qkv, output, up, down), (first, second), past in zip(self.blocks, self.norms, self.past):
            query, key, value = qkv(first(x)).view(3, self.heads, 1, self.size)
            past[0, :, at : at + 1], past[1, :, at : at + 1] = key, value
            keys, values = past[0, :, : at + 1], past[1, :, : at + 1]
            attended = F.scaled_dot_product_attention(query[None], keys[None], values[None])
            x = x + output(attended.reshape(1, -1))
            x = x + down(F.gelu(up(second(x))))
        return self.norm(x) @ self.table.T

    @torch.inference_mode()
    def speed(self, count):
        byte, start = 32, time.perf_counter()
        for at in range(count):
            byte = int(self.read(byte, at).argmax())
        return count / (time.perf_counter() - start)


def ours(program, run, count):
    model = run / "model.safetensors" if run.is_dir() else run
    words = [program, "generate", model, "--prompt", " ", "--bytes", str(count), "--temperature", "0", "--json"]
    lines = subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()
    return json.loads(lines[0])["bytes_per_second"]


def main():
    program, runs = sys.argv[1], [Path(run) for run in sys.argv[2:]]
    sizes = json.loads((runs[0] / "config.json").read_text())["model"]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    peer = Peer(*(sizes[name] for name in ("layers", "width", "heads", "context")))
    peer.speed(8)
    count = sizes["context"] - 1
    found = {name: [] for name in ["PyTorch", *map(str, runs)]}
    for _ in range(ROUNDS):
        found["PyTorch"].append(peer.speed(count))
        for run in runs:
            found[str(run)].append(ours(program, run, count))
    for name, speeds in found.items():
        shares = [own / theirs for own, theirs in zip(speeds, found["PyTorch"])]
        print(f"{name:30} {statistics.median(speeds):8.0f} bytes/s, {statistics.median(shares):.2f} of PyTorch's ({min(shares):.2f} to {max(shares):.2f})")


main()
