# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Writes every backend case of the onnx wheel as a folder that `martlet verify` reads.

Usage: dump_cases.py FOLDER. Each case becomes FOLDER/KIND/NAME with model.onnx, tolerance and
test_data_set_N/{input,output}_M.pb; FOLDER/cases lists them with their operators. KIND is node,
simple, pytorch-converted, pytorch-operator or real.
"""
import os
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.loader import load_model_tests


def message(value, kind):
    """A value of a case as the message that its type calls for."""
    if hasattr(value, "SerializeToString"):
        return value
    which = kind.WhichOneof("value")
    if which == "optional_type":
        return numpy_helper.from_optional(
            value, None, {"tensor_type": 1, "sequence_type": 3}[
                kind.optional_type.elem_type.WhichOneof("value")] if value is not None else None)
    if which == "sequence_type" or isinstance(value, (list, tuple)):
        if len(value) == 0:
            empty = onnx.SequenceProto()
            empty.elem_type = onnx.SequenceProto.TENSOR
            return empty
        return numpy_helper.from_list(value)
    return numpy_helper.from_array(np.asarray(value))


def write(folder, model, data_sets, rtol, atol):
    os.makedirs(folder)
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    with open(os.path.join(folder, "tolerance"), "w") as file:
        file.write(f"{rtol} {atol}\n")
    for number, (inputs, outputs) in enumerate(data_sets):
        data = os.path.join(folder, f"test_data_set_{number}")
        os.makedirs(data)
        for kind, values, types in (
                ("input", inputs, model.graph.input), ("output", outputs, model.graph.output)):
            for index, value in enumerate(values):
                with open(os.path.join(data, f"{kind}_{index}.pb"), "wb") as file:
                    file.write(message(value, types[index].type).SerializeToString())


def light_case(name):
    """A light_* model with the runner's own input, arange(n) / n."""
    path = os.path.join(
        os.path.dirname(onnx.__file__), "backend", "test", "data", "light", f"light_{name}.onnx")
    model = onnx.load(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    value = next(i for i in model.graph.input if i.name not in constants)
    shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    count = int(np.prod(shape))
    array = (np.arange(count).astype(np.float32) / np.float32(count)).reshape(shape)
    expected = onnx.TensorProto()
    with open(path[: -len(".onnx")] + "_output_0.pb", "rb") as file:
        expected.ParseFromString(file.read())
    return model, [([array], [expected])]


def operators(model):
    names = sorted({node.op_type for node in model.graph.node})
    return ",".join(names)


def main():
    root = sys.argv[1]
    shutil.rmtree(root, ignore_errors=True)
    os.makedirs(root)
    lines = []
    for case in collect_testcases(None):
        write(os.path.join(root, "node", case.name), case.model, case.data_sets, case.rtol,
              case.atol)
        lines.append(f"node/{case.name}\t{operators(case.model)}")
    for kind in ("simple", "pytorch-converted", "pytorch-operator", "real"):
        for case in load_model_tests(kind=kind):
            target = os.path.join(root, kind, case.name)
            if kind == "real":
                model, sets = light_case(case.model_name)
                write(target, model, sets, case.rtol, case.atol)
            else:
                model = onnx.load(os.path.join(case.model_dir, "model.onnx"))
                shutil.copytree(case.model_dir, target)
                with open(os.path.join(target, "tolerance"), "w") as file:
                    file.write(f"{case.rtol} {case.atol}\n")
            lines.append(f"{kind}/{case.name}\t{operators(model)}")
    with open(os.path.join(root, "cases"), "w") as file:
        file.write("\n".join(sorted(lines)) + "\n")


if __name__ == "__main__":
    main()
