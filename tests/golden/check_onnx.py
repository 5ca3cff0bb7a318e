"""Checks ONNX files of sparse networks: by ONNX's own checker, and that ONNX Runtime computes what the network computed.

    cargo run --release --example sparse_inference -- --density 0.1 --batch 1 --runs 1 --onnx DIR   # all bundled networks
    cargo run --release --example deploy -- --keep DIR                                              # one that is not bundled
    pip install onnx onnxruntime
    python tests/golden/check_onnx.py DIR

NAME.onnx is accompanied by NAME.json: inputs of one image, and the outputs.
"""

import json
import sys
from pathlib import Path

import numpy
import onnx
import onnxruntime

# Relative to the largest output: sums of thousands of products in another order.
TOLERANCE = 1e-5


def check(path: Path) -> float:
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    case = json.loads(path.with_suffix(".json").read_text())
    types = {"tensor(float)": numpy.float32, "tensor(int32)": numpy.int32, "tensor(int64)": numpy.int64}
    inputs = {
        to.name: numpy.array(numbers, types[to.type]).reshape(to.shape)
        for to, numbers in zip(session.get_inputs(), case["inputs"], strict=True)
    }
    apart = 0.0
    for found, expected in zip(session.run(None, inputs), case["outputs"], strict=True):
        expected = numpy.array(expected)
        apart = max(apart, numpy.abs(found.ravel() - expected).max() / numpy.abs(expected).max())
    return apart


def main() -> None:
    paths = sorted(Path(sys.argv[1]).glob("*.onnx"))
    assert paths, "no ONNX files"
    for path in paths:
        apart = check(path)
        print(f"{path.stem:16} {path.stat().st_size / 1e6:8.2f} MB  {apart:.1e}")
        assert apart < TOLERANCE, path


if __name__ == "__main__":
    main()
