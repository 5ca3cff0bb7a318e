"""What zosam::analysis measures, measured otherwise.

    python tests/golden/make_analysis.py

Writes analysis.json beside this script, for tests/golden/analysis.rs. Everything is in float64.

- The Hessian of a small network on its live weights, by double backward in PyTorch, and its eigenvalues by a dense
  solver. Weights are in burn's layout `[inputs, outputs]`, and dead ones are zero.
- Linear CKA by the definition of arXiv 1905.00414, HSIC of two linear kernels with explicit centring matrices, and a
  class activation map, in NumPy.
"""

import json
from pathlib import Path

import numpy as np
import torch

INPUTS, HIDDEN, CLASSES, SAMPLES = 6, 8, 4, 32


def loss(live, flat, places, data, labels):
    """Mean cross-entropy of a perceptron with one hidden layer, from its live weights alone."""
    flat = flat.clone().index_put((places,), live)
    first, last = INPUTS * HIDDEN, HIDDEN * CLASSES
    weight, rest = flat[:first].view(INPUTS, HIDDEN), flat[first:]
    bias, rest = rest[:HIDDEN], rest[HIDDEN:]
    hidden = torch.nn.functional.gelu(data @ weight + bias)
    logits = hidden @ rest[:last].view(HIDDEN, CLASSES) + rest[last:]
    return torch.nn.functional.cross_entropy(logits, labels)


def hessian():
    torch.manual_seed(1)
    sizes = [INPUTS * HIDDEN, HIDDEN, HIDDEN * CLASSES, CLASSES]
    parts = [torch.randn(size, dtype=torch.float32) * 0.7 for size in sizes]
    for weight in (parts[0], parts[2]):
        weight[torch.randperm(len(weight))[: len(weight) // 2]] = 0
    flat = torch.cat(parts).double()
    places = flat.nonzero().flatten()
    data = torch.randn(SAMPLES, INPUTS, dtype=torch.float32).double()
    labels = torch.randint(CLASSES, (SAMPLES,))
    of_live = lambda live: loss(live, flat, places, data, labels)
    hessian = torch.autograd.functional.hessian(of_live, flat[places])
    assert torch.allclose(hessian, hessian.T, atol=1e-12)
    return {
        "parts": [part.tolist() for part in parts],
        "data": data.flatten().tolist(),
        "labels": labels.tolist(),
        "loss": of_live(flat[places]).item(),
        "eigenvalues": torch.linalg.eigvalsh(hessian).tolist(),
    }


def alignment(random):
    x, y = random.normal(size=(9, 5)).astype(np.float32), random.normal(size=(9, 7)).astype(np.float32)
    centre = np.eye(9) - 1 / 9

    def hsic(a, b):
        return np.trace(a @ centre @ b @ centre)

    k, l = (m.astype(np.float64) @ m.T.astype(np.float64) for m in (x, y))
    return {
        "x": x.flatten().tolist(),
        "y": y.flatten().tolist(),
        "value": hsic(k, l) / np.sqrt(hsic(k, k) * hsic(l, l)),
    }


def activation_map(random):
    activations = random.normal(size=(3, 4, 2)).astype(np.float32)
    weights = random.normal(size=3).astype(np.float32)
    value = np.maximum(0, np.einsum("chw,c->hw", activations.astype(np.float64), weights.astype(np.float64)))
    return {
        "activations": activations.flatten().tolist(),
        "weights": weights.tolist(),
        "value": value.flatten().tolist(),
    }


def main():
    random = np.random.default_rng(2)
    found = {"hessian": hessian(), "alignment": alignment(random), "activation_map": activation_map(random)}
    path = Path(__file__).with_name("analysis.json")
    path.write_text(json.dumps(found) + "\n")
    values = found["hessian"]["eigenvalues"]
    print(path, len(values), "live weights; eigenvalues", values[0], "to", values[-1])


main()
