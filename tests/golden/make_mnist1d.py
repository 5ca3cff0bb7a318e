"""Golden numbers of MNIST-1D, for tests/data/mnist1d.rs.

    pip install mnist1d scipy
    python tests/golden/make_mnist1d.py

Needs the published package (mnist1d 0.0.2.post1, numpy 2.4 and scipy 1.17 made the file). Writes mnist1d.json beside this script:

- `cases`: what the package's `transform` makes of given draws. NumPy's draws are caught and rounded to four decimals, so that the file stays small.
- `means`, `deviations`: of each class at each of the 40 positions, over the 500 sequences that the package makes of each class by default.
"""

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
from mnist1d.data import get_dataset_args, get_templates, make_dataset
from mnist1d.transform import transform

HERE = Path(__file__).parent


def case(digit, fixed, seed):
    """One sequence; the first draws of padding and shift may be fixed."""
    generator = np.random.default_rng(seed)
    uniform, normal = [], []

    def rand():
        padding = fixed.get("padding") if not uniform else None
        value = padding if padding is not None else round(float(generator.random()), 4)
        uniform.append(value)
        return value

    def randn(*shape):
        normal.append(np.round(generator.standard_normal(shape), 4))
        return normal[-1]

    shift = fixed.get("shift", int(generator.integers(48)))
    templates, arguments = get_templates(), get_dataset_args()
    with patch("numpy.random.rand", rand), patch("numpy.random.randn", randn), patch("numpy.random.choice", lambda _: shift):
        values, _ = transform(templates["x"][digit], templates["t"], arguments)
    padding, scale, shear = uniform
    correlated, independent = (noise.tolist() for noise in normal)
    low, high = arguments.padding
    return {
        "digit": digit,
        "padding": low + int(padding * (high - low + 1)),
        "scale": scale,
        "shift": shift,
        "correlated": correlated,
        "independent": independent,
        "shear": shear,
        "values": values.tolist(),
    }


def main():
    fixed = {0: {"padding": 0.0}, 1: {"padding": 0.9999}, 2: {"shift": 0}, 3: {"shift": 47}}
    cases = [case(digit, fixed.get(digit, {}), digit) for digit in range(10)]
    made = make_dataset()
    values = np.concatenate([made["x"], made["x_test"]])
    labels = np.concatenate([made["y"], made["y_test"]])
    per_class = [values[labels == digit] for digit in range(10)]
    found = {
        "cases": cases,
        "means": [np.round(of.mean(0), 5).tolist() for of in per_class],
        "deviations": [np.round(of.std(0), 5).tolist() for of in per_class],
    }
    (HERE / "mnist1d.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
