"""Reads a sparse model file of zosam: `python read_model.py FILE` prints each tensor's shape, live weights and sum."""

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

for name, tensor in sorted(read(sys.argv[1]).items()):
    print(name, list(tensor.shape), int(np.count_nonzero(tensor)), float(tensor.astype(np.float64).sum()))
