"""Reads a sparse model file of zosam and prints of each tensor its shape, live weights, and sum of values times places (from 1).

    python tests/golden/read_model.py tests/golden/sparse.safetensors > tests/golden/sparse.txt

Needs numpy and safetensors (2.4 and 0.8). tests/golden/read_model.rs compares the printed numbers.
"""

import json
import sys

# docs/MODEL_FILES.md begins
import numpy as np
from safetensors import safe_open

def read(path):
    with safe_open(path, "numpy") as file:
        shapes = json.loads(file.metadata()["zosam"])["shapes"]
        model = {name: file.get_tensor(name) for name in file.keys() if not name.endswith((".live", ".values"))}
        for name, shape in shapes.items():
            live = np.unpackbits(file.get_tensor(name + ".live"), count=int(np.prod(shape)), bitorder="little")
            model[name] = np.zeros(shape, np.float32)
            model[name][live.reshape(shape).astype(bool)] = file.get_tensor(name + ".values")
    return model
# docs/MODEL_FILES.md ends

if __name__ == "__main__":
    for name, tensor in sorted(read(sys.argv[1]).items()):
        values = tensor.astype(np.float64).ravel()
        print(name, list(tensor.shape), int(np.count_nonzero(values)), float(values @ np.arange(1, values.size + 1)))
