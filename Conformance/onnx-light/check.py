# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Runs the light_* models that the onnx wheel carries and compares with the wheel's outputs.

Usage: check.py COMMAND... where COMMAND runs one model: it is called with
  MODEL --input NAME=FILE.npy --output-dir DIR
and leaves one NAME.npy for each output. The rule is the wheel's own: inputs are arange(n) / n,
outputs agree within rtol 1e-3 and atol 1e-7.
"""
import glob
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
from onnx import numpy_helper

RTOL, ATOL = 1e-3, 1e-7


def expected_outputs(model_path):
    tensors = []
    for path in sorted(glob.glob(model_path[: -len(".onnx")] + "_output_*.pb")):
        proto = onnx.TensorProto()
        with open(path, "rb") as file:
            proto.ParseFromString(file.read())
        tensors.append(numpy_helper.to_array(proto))
    return tensors


def make_inputs(model, folder):
    constants = {tensor.name for tensor in model.graph.initializer}
    arguments = []
    for value in model.graph.input:
        if value.name in constants:
            continue
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        count = int(np.prod(shape))
        array = (np.arange(count) / count).reshape(shape).astype(np.float32)
        path = os.path.join(folder, f"input_{len(arguments)}.npy")
        np.save(path, array)
        arguments += ["--input", f"{value.name}={path}"]
    return arguments


def check(command, model_path):
    model = onnx.load(model_path)
    with tempfile.TemporaryDirectory() as folder:
        arguments = make_inputs(model, folder)
        run = subprocess.run(
            [*command, model_path, *arguments, "--output-dir", folder],
            capture_output=True, text=True, timeout=300)
        if run.returncode != 0:
            return f"exit status {run.returncode}: {(run.stderr + run.stdout).strip()}"
        for value, wanted in zip(model.graph.output, expected_outputs(model_path)):
            path = os.path.join(folder, value.name.replace("/", "_") + ".npy")
            if not os.path.exists(path):
                return f"no output '{value.name}'"
            got = np.load(path)
            if got.shape != wanted.shape:
                return f"'{value.name}': shape {got.shape}, expected {wanted.shape}"
            if not np.allclose(got, wanted, rtol=RTOL, atol=ATOL):
                worst = float(np.max(np.abs(got - wanted)))
                return f"'{value.name}': off by up to {worst}"
    return None


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit(__doc__)
    folder = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
    failures = 0
    models = sorted(glob.glob(os.path.join(folder, "*.onnx")))
    if len(models) < 9:
        sys.exit(f"only {len(models)} light models in {folder}")
    for path in models:
        begun = time.monotonic()
        problem = check(command, path)
        seconds = time.monotonic() - begun
        name = os.path.basename(path)[: -len(".onnx")]
        print(f"{'FAIL' if problem else 'ok':4} {name} {seconds:.1f} s{' ' + problem if problem else ''}",
              flush=True)
        failures += problem is not None
    print(f"{len(models) - failures} passed, {failures} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
