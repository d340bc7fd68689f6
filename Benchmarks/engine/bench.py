# SPDX-License-Identifier: Apache-2.0
"""bench.py MODELS [--threads 1,2] [--only E1,…] [--rounds 5] [--seconds 2]: see run."""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

# name, what, file, batch, sequence, Martlet's precision, {peer: bar}, what is compared
ROWS = [
    ("E1", "MiniLM 1×128", "minilm", 1, 128, "f32", {"ort": 1.15}, "run"),
    ("E2", "MiniLM 1×16", "minilm", 1, 16, "f32", {"ort": 1.6}, "run"),
    ("E3", "MiniLM 32×128", "minilm", 32, 128, "f32", {"ort": 1.25, "openvino": 1.05}, "run"),
    ("E4", "BERT-base 1×512", "bertbase", 1, 512, "f32", {"ort": 1.05, "openvino": 1.0}, "run"),
    ("E5a", "MiniLM 1×16 bf16", "minilm", 1, 16, "bf16", {"ort": 2.0, "openvino-bf16": 1.05}, "run"),
    ("E5b", "MiniLM 1×128 bf16", "minilm", 1, 128, "bf16", {"ort": 2.0, "openvino-bf16": 1.05}, "run"),
    ("E5c", "BERT-base 1×512 bf16", "bertbase", 1, 512, "bf16", {"ort": 2.0, "openvino-bf16": 1.05}, "run"),
    ("E7a", "MiniLM 1×16 int8", "minilm", 1, 16, "int8", {"ort-int8": 1.6}, "run"),
    ("E7b", "MiniLM 1×128 int8", "minilm", 1, 128, "int8", {"ort-int8": 1.6}, "run"),
    ("E7c", "BERT-base 1×512 int8", "bertbase", 1, 512, "int8", {"ort-int8": 1.4}, "run"),
    ("E8a", "ResNet-50 ×1", "resnet50_b1", 1, 0, "f32", {"ort": 1.10}, "run"),
    ("E8b", "ResNet-50 ×8", "resnet50_b8", 8, 0, "f32", {"ort": 1.10}, "run"),
    ("E9", "VGG-19 ×1", "vgg19_b1", 1, 0, "f32", {"ort": 1.5}, "run"),
    ("E10a", "DenseNet-121 ×1", "densenet121_b1", 1, 0, "f32", {"ort": 1.35, "openvino": 1.1}, "run"),
    ("E10b", "DenseNet-121 ×8", "densenet121_b8", 8, 0, "f32", {"ort": 1.35, "openvino": 1.1}, "run"),
    ("E11", "ShuffleNet ×1", "shufflenet_b1", 1, 0, "f32", {"ort": 1.5}, "run"),
    ("E12", "ResNet-50 ×1 bf16", "resnet50_b1", 1, 0, "bf16", {"ort": 1.7, "openvino-bf16": 0.95}, "run"),
    ("E13a", "stored load MiniLM", "minilm", 1, 16, "f32", {"ort": 10}, "stored"),
    ("E13b", "stored load BERT-base", "bertbase", 1, 16, "f32", {"ort": 10}, "stored"),
    ("E14a", "load MiniLM", "minilm", 1, 16, "f32", {"ort": 1.5}, "load"),
    ("E14b", "load BERT-base", "bertbase", 1, 16, "f32", {"ort": 1.5}, "load"),
    ("E15a", "peak memory MiniLM", "minilm", 1, 128, "f32", {"ort": 2.0}, "memory"),
    ("E15b", "peak memory BERT-base", "bertbase", 1, 128, "f32", {"ort": 2.0}, "memory"),
    ("E15c", "peak memory ResNet-50", "resnet50_b1", 1, 0, "f32", {"ort": 2.0}, "memory"),
    ("E15d", "stored peak memory MiniLM", "minilm", 1, 128, "f32", {"ort": 2.0}, "stored memory"),
    ("E15e", "stored peak memory BERT-base", "bertbase", 1, 128, "f32", {"ort": 2.0}, "stored memory"),
    ("E15f", "stored peak memory ResNet-50", "resnet50_b1", 1, 0, "f32", {"ort": 2.0}, "stored memory"),
]


def inputs(values, batch, sequence):
    """Seeded inputs for (name, type) pairs, by name."""
    import numpy as np

    generator = np.random.default_rng(0)
    made = {}
    for name, kind in values:
        if sequence:
            shape = (batch, sequence)
            made[name] = {
                "input_ids": lambda: generator.integers(0, 30000, shape),
                "attention_mask": lambda: np.ones(shape, np.int64),
                "token_type_ids": lambda: np.zeros(shape, np.int64),
            }[name]()
        else:
            made[name] = generator.standard_normal((batch, 3, 224, 224)).astype(np.float32)
    return made


def status(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(field))


def peer(engine, path, batch, sequence, threads, seconds):
    """Loads and runs a model on a peer, in this process: ms to load, ms a run, MiB more at the peak."""
    if engine.startswith("ort"):
        import onnxruntime

        before, began = status("VmHWM"), time.perf_counter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        if engine == "ort-int8":
            path = path[:-5] + "_int8.onnx"
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = inputs([(i.name, i.type) for i in session.get_inputs()], batch, sequence)
        run = lambda: session.run(None, feeds)
    else:
        import openvino

        before, began = status("VmHWM"), time.perf_counter()
        core = openvino.Core()
        model = core.read_model(path)
        if sequence:
            model.reshape({i.any_name: [batch, sequence] for i in model.inputs})
        compiled = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if engine == "openvino-bf16" else "f32"})
        request = compiled.create_infer_request()
        feeds = inputs([(i.any_name, None) for i in compiled.inputs], batch, sequence)
        for index, value in enumerate(compiled.inputs):
            request.set_input_tensor(index, openvino.Tensor(feeds[value.any_name]))
        run = request.infer
    run()
    loaded = (time.perf_counter() - began) * 1000
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1000)
    return {"load": loaded, "run": statistics.median(times), "memory": status("VmHWM") - before}


def martlet(path, batch, sequence, threads, seconds, precision, cache=None):
    arguments = [os.environ["MARTLET_BIN"], "bench", path, "--batch", str(batch), "--threads",
                 str(threads), "--seconds", str(seconds), "--precision", precision]
    if sequence:
        arguments += ["--sequence", str(sequence)]
    if cache:
        arguments += ["--plan-cache", cache]
    text = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    number = lambda label: float(re.search(label + r"\s+([0-9.]+)", text).group(1))
    return {"load": number("load") + number("first run"), "run": number("latency +p50"),
            "memory": number("peak memory")}


def measure(engine, row, folder, options, threads):
    _, _, file, batch, sequence, precision, _, kind = row
    path = f"{folder}/{file}.onnx"
    if engine == "martlet":
        if not kind.startswith("stored"):
            return martlet(path, batch, sequence, threads, options.seconds, precision)
        with tempfile.TemporaryDirectory() as cache:
            # The first process stores the plan, the second one is measured.
            for _ in range(2):
                found = martlet(path, batch, sequence, threads, options.seconds, precision, cache)
            return found
    call = json.dumps([engine, path, batch, sequence, threads, options.seconds])
    done = subprocess.run(
        [sys.executable, __file__, "--peer", call], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    chosen = [r for r in ROWS if not options.only or any(
        r[0] == o or r[0].rstrip("abc") == o for o in options.only.split(","))]
    print("| row | threads | martlet | peer | ratio (rounds' spread) | bar |\n| --- | --- | --- | --- | --- | --- |")
    for threads in map(int, options.threads.split(",")):
        for row in chosen:
            name, what, _, _, _, _, bars, kind = row
            figure = {"stored": "load", "stored memory": "memory"}.get(kind, kind)
            rounds = []
            for _ in range(options.rounds):
                rounds.append({e: measure(e, row, options.models, options, threads)[figure]
                               for e in ["martlet", *bars]})
            own = statistics.median(r["martlet"] for r in rounds)
            unit = "MiB" if figure == "memory" else "ms"
            for other, bar in bars.items():
                ratios = sorted(r[other] / r["martlet"] for r in rounds)
                ratio = statistics.median(ratios)
                theirs = statistics.median(r[other] for r in rounds)
                print(f"| {name} {what} | {threads} | {own:.2f} {unit} | {other} {theirs:.2f} | "
                      f"{ratio:.2f} × ({ratios[0]:.2f}–{ratios[-1]:.2f}) | "
                      f"{bar:.2f}: {'met' if ratio >= bar else '**missed**'} |", flush=True)


if len(sys.argv) > 2 and sys.argv[1] == "--peer":
    print(json.dumps(peer(*json.loads(sys.argv[2]))), flush=True)
    os._exit(0)
main()
