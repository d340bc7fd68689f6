# SPDX-License-Identifier: Apache-2.0
"""Writes the model repository that the suite serves: small ONNX models in Triton's layout."""

import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Protocol name -> (ONNX element type, name in config.pbtxt)
TYPES = {
    "BOOL": (TensorProto.BOOL, "TYPE_BOOL"),
    "UINT8": (TensorProto.UINT8, "TYPE_UINT8"),
    "UINT16": (TensorProto.UINT16, "TYPE_UINT16"),
    "UINT32": (TensorProto.UINT32, "TYPE_UINT32"),
    "UINT64": (TensorProto.UINT64, "TYPE_UINT64"),
    "INT8": (TensorProto.INT8, "TYPE_INT8"),
    "INT16": (TensorProto.INT16, "TYPE_INT16"),
    "INT32": (TensorProto.INT32, "TYPE_INT32"),
    "INT64": (TensorProto.INT64, "TYPE_INT64"),
    "FP16": (TensorProto.FLOAT16, "TYPE_FP16"),
    "BF16": (TensorProto.BFLOAT16, "TYPE_BF16"),
    "FP32": (TensorProto.FLOAT, "TYPE_FP32"),
    "FP64": (TensorProto.DOUBLE, "TYPE_FP64"),
    "BYTES": (TensorProto.STRING, "TYPE_STRING"),
}


def save(folder: pathlib.Path, version: int, nodes, inputs, outputs, initializers=()) -> None:
    """One version of a model; inputs and outputs are (name, element type, dimensions)."""
    def infos(tensors):
        return [helper.make_tensor_value_info(name, kind, dims) for name, kind, dims in tensors]

    graph = helper.make_graph(
        nodes, "suite", infos(inputs), infos(outputs), initializer=list(initializers))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8,
        producer_name="martlet-conformance")
    onnx.checker.check_model(model)
    (folder / str(version)).mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(folder / str(version) / "model.onnx"))


def tensor_lines(field: str, tensors) -> str:
    """Input or output entries of config.pbtxt from (name, config type, dims, more lines)."""
    return "".join(
        f'{field} [ {{ name: "{name}" data_type: {kind} dims: {list(dims)} {more} }} ]\n'
        for name, kind, dims, more in tensors)


def configure(folder: pathlib.Path, batch: int, inputs, outputs, more: str = "",
              platform: str = "onnxruntime_onnx") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.pbtxt").write_text(
        f'name: "{folder.name}"\nplatform: "{platform}"\nmax_batch_size: {batch}\n'
        + tensor_lines("input", inputs) + tensor_lines("output", outputs) + more)


def identity(repository: pathlib.Path, name: str) -> None:
    kind, config = TYPES[name]
    folder = repository / f"identity_{name.lower()}"
    save(folder, 1, [helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])],
         [("INPUT0", kind, ["batch", "items"])], [("OUTPUT0", kind, ["batch", "items"])])
    configure(folder, 8, [("INPUT0", config, [-1], "")], [("OUTPUT0", config, [-1], "")])


def plain(repository: pathlib.Path) -> None:
    """Identity without a batch dimension, of any two dimensions."""
    folder = repository / "plain"
    save(folder, 1, [helper.make_node("Identity", ["INPUT0"], ["OUTPUT0"])],
         [("INPUT0", TensorProto.FLOAT, ["rows", "columns"])],
         [("OUTPUT0", TensorProto.FLOAT, ["rows", "columns"])])
    configure(folder, 0, [("INPUT0", "TYPE_FP32", [-1, -1], "")],
              [("OUTPUT0", "TYPE_FP32", [-1, -1], "")])


def add_sub(repository: pathlib.Path) -> None:
    """Two inputs, two outputs; the first output has labels."""
    folder = repository / "add_sub"
    shape = ["batch", 16]
    save(folder, 1,
         [helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"]),
          helper.make_node("Sub", ["INPUT0", "INPUT1"], ["OUTPUT1"])],
         [("INPUT0", TensorProto.FLOAT, shape), ("INPUT1", TensorProto.FLOAT, shape)],
         [("OUTPUT0", TensorProto.FLOAT, shape), ("OUTPUT1", TensorProto.FLOAT, shape)])
    configure(folder, 8,
              [("INPUT0", "TYPE_FP32", [16], ""), ("INPUT1", "TYPE_FP32", [16], "")],
              [("OUTPUT0", "TYPE_FP32", [16], 'label_filename: "labels.txt"'),
               ("OUTPUT1", "TYPE_FP32", [16], "")],
              'dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 500 }\n'
              'instance_group [ { count: 2 kind: KIND_CPU } ]\n'
              'parameters { key: "color" value { string_value: "blue" } }\n')
    (folder / "labels.txt").write_text("".join(f"label{index}\n" for index in range(16)))


def add_constant(folder: pathlib.Path, version: int, constant: float) -> None:
    save(folder, version, [helper.make_node("Add", ["INPUT0", "constant"], ["OUTPUT0"])],
         [("INPUT0", TensorProto.FLOAT, ["batch", 4])],
         [("OUTPUT0", TensorProto.FLOAT, ["batch", 4])],
         [numpy_helper.from_array(np.array([constant], np.float32), "constant")])


def versioned(repository: pathlib.Path, name: str = "versioned") -> None:
    """Version n adds n; versions 1 and 3 of the three are served."""
    folder = repository / name
    for version in (1, 2, 3):
        add_constant(folder, version, float(version))
    configure(folder, 8, [("INPUT0", "TYPE_FP32", [4], "")], [("OUTPUT0", "TYPE_FP32", [4], "")],
              "version_policy { specific { versions: [1, 3] } }\n")


def slow(repository: pathlib.Path, name: str, steps: int, more: str = "") -> None:
    """A chain of matrix products that takes a noticeable time for one number."""
    folder = repository / name
    weight = np.eye(512, dtype=np.float32)
    nodes = [helper.make_node("Add", ["weight", "INPUT0"], ["step0"])]
    for step in range(steps):
        nodes.append(helper.make_node("MatMul", [f"step{step}", "weight"], [f"step{step + 1}"]))
    nodes.append(helper.make_node("ReduceMax", [f"step{steps}"], ["OUTPUT0"], keepdims=1))
    save(folder, 1, nodes, [("INPUT0", TensorProto.FLOAT, [1])],
         [("OUTPUT0", TensorProto.FLOAT, [1, 1])],
         [numpy_helper.from_array(weight, "weight")])
    configure(folder, 0, [("INPUT0", "TYPE_FP32", [1], "")],
              [("OUTPUT0", "TYPE_FP32", [1, 1], "")],
              "instance_group [ { count: 1 kind: KIND_CPU } ]\n" + more)


def ensemble(repository: pathlib.Path) -> None:
    """(a + b) + 3, through two models."""
    folder = repository / "ensemble"
    (folder / "1").mkdir(parents=True, exist_ok=True)
    configure(folder, 8, [("A", "TYPE_FP32", [4], ""), ("B", "TYPE_FP32", [4], "")],
              [("SUM", "TYPE_FP32", [4], "")],
              """ensemble_scheduling {
  step [
    { model_name: "add4" model_version: -1
      input_map { key: "INPUT0" value: "A" } input_map { key: "INPUT1" value: "B" }
      output_map { key: "OUTPUT0" value: "half" } },
    { model_name: "versioned" model_version: 3
      input_map { key: "INPUT0" value: "half" }
      output_map { key: "OUTPUT0" value: "SUM" } }
  ]
}
""", platform="ensemble")
    add4 = repository / "add4"
    shape = ["batch", 4]
    save(add4, 1, [helper.make_node("Add", ["INPUT0", "INPUT1"], ["OUTPUT0"])],
         [("INPUT0", TensorProto.FLOAT, shape), ("INPUT1", TensorProto.FLOAT, shape)],
         [("OUTPUT0", TensorProto.FLOAT, shape)])
    configure(add4, 8, [("INPUT0", "TYPE_FP32", [4], ""), ("INPUT1", "TYPE_FP32", [4], "")],
              [("OUTPUT0", "TYPE_FP32", [4], "")])


def write_repository(repository: pathlib.Path) -> None:
    for name in TYPES:
        identity(repository, name)
    plain(repository)
    add_sub(repository)
    versioned(repository)
    ensemble(repository)
    slow(repository, "slow", 150)
    slow(repository, "narrow", 150,
         "dynamic_batching { default_queue_policy { max_queue_size: 2 "
         "allow_timeout_override: true } }\n")
    slow(repository, "prioritised", 40,
         "dynamic_batching { priority_levels: 2 default_priority_level: 2 }\n")
    add_constant(repository / "swapped", 1, 1.0)
    configure(repository / "swapped", 8, [("INPUT0", "TYPE_FP32", [4], "")],
              [("OUTPUT0", "TYPE_FP32", [4], "")])
