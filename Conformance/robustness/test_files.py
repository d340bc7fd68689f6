# SPDX-License-Identifier: Apache-2.0
"""Model files and settings that cannot be right: the command ends, and says what and where."""

import json
import socket

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import ROOT, scale_model
from server import free_port


def ports():
    return ["--http-port", free_port(), "--grpc-port=-1", "--metrics-port=-1"]


def serve(refused, path, *words):
    said = refused("serve", path, *ports())
    for word in words:
        assert str(word) in said, said[-1500:]


def saved(folder, model, name="m.onnx"):
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def test_nothing_to_serve(refused):
    assert "PATH" in refused("serve", *ports())


def test_a_path_that_is_not_there(refused):
    serve(refused, "/nowhere/at/all.onnx", "/nowhere/at/all.onnx")


@pytest.mark.parametrize("content", [
    b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"hello", bytes(1000), b"\xff" * 1000, b"\x0a" * 4096],
    ids=["empty", "png", "text", "zeros", "ones", "newlines"])
def test_bytes_that_are_no_model(refused, tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    serve(refused, path, "m.onnx")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_model(refused, tmp_path, share):
    whole = (ROOT / "Examples/models/digits/1/model.onnx").read_bytes()
    path = tmp_path / "m.onnx"
    path.write_bytes(whole[:int(len(whole) * share)])
    serve(refused, path, "m")


def test_every_unsupported_operator_is_listed_with_its_node(refused, tmp_path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    nodes = [helper.make_node("Frobnicate", ["x"], ["a"], name="first"),
             helper.make_node("Transmogrify", ["a"], ["y"], name="second")]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    serve(refused, saved(tmp_path, model), "Frobnicate", "first", "Transmogrify", "second")


def test_a_cycle(refused, tmp_path):
    model = scale_model(2)
    model.graph.node[0].input[0] = "b"
    model.graph.node.append(helper.make_node("Relu", ["y"], ["b"], name="back"))
    serve(refused, saved(tmp_path, model), "cycl")


def test_an_input_that_nothing_makes(refused, tmp_path):
    model = scale_model(2)
    model.graph.node[0].input[0] = "ghost"
    serve(refused, saved(tmp_path, model), "ghost")


def test_one_name_made_twice(refused, tmp_path):
    model = scale_model(2)
    model.graph.node.append(helper.make_node("Relu", ["x"], ["y"], name="again"))
    serve(refused, saved(tmp_path, model), "y")


@pytest.mark.parametrize("dims", [[1 << 62, 1 << 62], [-1], [1 << 40]])
def test_weights_that_lie_about_their_size(refused, tmp_path, dims):
    model = scale_model(2)
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(dims)
    serve(refused, saved(tmp_path, model), "by")


@pytest.mark.parametrize("location", ["../outside", "/etc/passwd", "missing", "a/../../b"])
def test_external_data_outside_or_missing(refused, tmp_path, location):
    model = scale_model(2)
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", location
    (tmp_path / "outside").write_bytes(bytes(4))
    inner = tmp_path / "inner"
    inner.mkdir()
    serve(refused, saved(inner, model), "by")


def test_a_function_that_calls_itself(refused, tmp_path):
    model = scale_model(2)
    node = helper.make_node("Loop", ["a"], ["b"], domain="mine")
    model.functions.append(helper.make_function(
        "mine", "Loop", ["a"], ["b"], [node], [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]))
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.graph.node[0].CopyFrom(helper.make_node("Loop", ["x"], ["y"], domain="mine"))
    serve(refused, saved(tmp_path, model), "Loop")


def test_a_model_that_wants_terabytes_is_refused(refused, tmp_path):
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    shape = numpy_helper.from_array(np.array([1 << 20, 1 << 20], np.int64), "shape")
    node = helper.make_node("ConstantOfShape", ["shape"], ["y"], name="huge")
    model = helper.make_model(helper.make_graph([node], "g", [], [y], [shape]),
                              opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert "byte" in refused("bench", saved(tmp_path, model), "--seconds", "0.1")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["empty", "half", "noise", "missing"])
def test_a_damaged_folder_names_the_file(refused, embedder, name, damage):
    path = embedder / name
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": whole[:len(whole) // 2], "noise": b"\xfe" * 500}[damage])
    serve(refused, embedder, name)


def test_weights_of_another_shape_are_all_named(refused, embedder):
    config = json.loads((embedder / "config.json").read_text())
    config["intermediate_size"] = 77
    (embedder / "config.json").write_text(json.dumps(config))
    serve(refused, embedder, "intermediate.dense.weight", "output.dense.weight")


def test_a_safetensors_header_that_lies(refused, embedder):
    path = embedder / "model.safetensors"
    path.write_bytes((1 << 62).to_bytes(8, "little") + path.read_bytes()[8:])
    serve(refused, embedder, "model.safetensors")


def test_a_configuration_error_names_line_and_nearest_key(refused, tmp_path):
    (tmp_path / "martlet.yaml").write_text("server:\n  htpp_port: 1\n")
    said = refused("serve", "x", "--config", tmp_path / "martlet.yaml")
    assert "line 2" in said and "http_port" in said


def test_a_model_configuration_error_names_its_field(refused, tmp_path):
    folder = tmp_path / "repository" / "scale" / "1"
    folder.mkdir(parents=True)
    onnx.save(scale_model(2), folder / "model.onnx")
    (folder.parent / "config.pbtxt").write_text('max_batch_size: -3\ninput { name: "nope" }\n')
    serve(refused, tmp_path / "repository", "max_batch_size")


def test_a_port_in_use(refused, tmp_path):
    path = saved(tmp_path, scale_model(2))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("serve", path, "--http-port", port, "--grpc-port=-1", "--metrics-port=-1")
    assert str(port) in said


def test_a_certificate_that_is_not_there(refused, tmp_path):
    path = saved(tmp_path, scale_model(2))
    said = refused("serve", path, *ports(), "--tls-certificate", "/no/cert.pem", "--tls-key", "/no/key.pem")
    assert "/no/cert.pem" in said
