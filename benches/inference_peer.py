"""The best dense engines beside ours, taking turns: ONNX Runtime and OpenVINO (pip install onnxruntime openvino).

    cargo build --release --example sparse_inference
    ours=target/release/examples/sparse_inference
    $ours --network resnet32 --network resnet32-wide --density 1 --batch 1 64 --runs 1 --onnx DIR
    RAYON_NUM_THREADS=1 python benches/inference_peer.py $ours DIR

They run the ONNX files of the dense networks, in f32. RAYON_NUM_THREADS is the number of threads of all. The fastest pass counts:
what else runs on a machine only ever adds.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy
import onnxruntime

try:
    import openvino
except ImportError:
    openvino = None

THREADS = int(os.environ.get("RAYON_NUM_THREADS", "1"))
# A neighbour of a virtual machine can slow all of a turn down.
TURNS = int(os.environ.get("TURNS", "3"))
DENSITIES = [float(density) for density in os.environ.get("DENSITIES", "0.1 0.05 0.02").split()]


def fastest(run):
    run()
    times, started = [], time.perf_counter()
    # As a turn of ours.
    while len(times) < 7 or time.perf_counter() - started < 0.2:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def onnx_runtime(path, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    [to] = session.get_inputs()
    images = {to.name: images.reshape(to.shape)}
    return lambda: session.run(None, images)


def open_vino(path, images):
    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": THREADS,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    model = core.compile_model(core.read_model(str(path)), "CPU", settings)
    request = model.create_infer_request()
    images = images.reshape(model.input(0).shape)
    return lambda: request.infer({0: images})


def main():
    ours = subprocess.Popen([sys.argv[1], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(line):
        ours.stdin.write(line + "\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    versions = f"ONNX Runtime {onnxruntime.__version__}, OpenVINO {openvino.__version__ if openvino else 'not installed'}"
    print(f"{versions}, {THREADS} threads; the fastest of {TURNS} turns of 0.2 seconds, 7 passes at least; in brackets times faster than the better of both")
    for path in sorted(Path(sys.argv[2]).glob("*.onnx")):
        network, batch = path.stem.rsplit("-", 1)
        images = numpy.array(json.loads(path.with_suffix(".json").read_text())["inputs"][0], numpy.float32)
        runs = {"ONNX Runtime": onnx_runtime(path, images)}
        if openvino:
            runs["OpenVINO"] = open_vino(path, images)
        lines = [f"{network} {density} {distribution} {batch}" for density in DENSITIES for distribution in ("erk", "uniform")]
        best = {name: float("inf") for name in [*runs, *lines]}
        for _ in range(TURNS):
            for name, run in runs.items():
                best[name] = min(best[name], fastest(run))
            for line in lines:
                best[line] = min(best[line], ask(line))
        dense = min(best[name] for name in runs)
        print(network, "batch", batch, *(f"{name} {1e3 * best[name]:.2f} ms" for name in runs), flush=True)
        for line in lines:
            print(f"    {line}: {1e3 * best[line]:.2f} ms ({dense / best[line]:.1f})", flush=True)
    ours.stdin.close()


if __name__ == "__main__":
    main()
