# SPDX-License-Identifier: Apache-2.0
"""Index, load and unload, in explicit mode."""

import base64
import json

import numpy as np
import time

import pytest

import models

ZERO = np.zeros((1, 4), np.float32)


def index(door):
    reply = door.json(door.client.get_model_repository_index())
    return reply["models"] if door.name == "grpc" else reply


def state(door, name):
    return {(entry.get("version", ""), entry.get("state", "")) for entry in index(door)
            if entry["name"] == name}


def test_index(door):
    names = {entry["name"] for entry in index(door)}
    assert {"add_sub", "versioned", "ensemble", "identity_fp32"} <= names
    assert ("1", "READY") in state(door, "add_sub")
    assert {("1", "READY"), ("3", "READY")} <= state(door, "versioned")


def test_unload_and_load(door):
    door.client.unload_model("swapped")
    try:
        assert not door.client.is_model_ready("swapped")
        # As Triton's, an unload answers while the last requests may still hold the version.
        deadline = time.monotonic() + 5
        while any(state == "UNLOADING" for _, state in state_of(door, "swapped")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert all(state == "UNAVAILABLE" for _, state in state_of(door, "swapped"))
        with pytest.raises(Exception) as caught:
            door.echo("swapped", ZERO)
        assert caught.value.status() in ("400", "404", "503", "StatusCode.UNAVAILABLE",
                                         "StatusCode.NOT_FOUND")
    finally:
        door.client.load_model("swapped")
    assert door.client.is_model_ready("swapped")
    assert door.echo("swapped", ZERO) is not None


def state_of(door, name):
    return state(door, name)


def test_reload_takes_a_new_version(door, server):
    latest = 10 if door.name == "rest" else 20
    models.add_constant(server.repository / "swapped", latest, float(latest))
    door.client.load_model("swapped")
    np.testing.assert_array_equal(door.echo("swapped", ZERO), ZERO + latest)


def test_load_of_a_model_that_came_later(door, server):
    name = f"later_{door.name}"
    models.add_constant(server.repository / name, 1, 5.0)
    models.configure(server.repository / name, 8, [("INPUT0", "TYPE_FP32", [4], "")],
                     [("OUTPUT0", "TYPE_FP32", [4], "")])
    assert not door.client.is_model_ready(name)
    door.client.load_model(name)
    np.testing.assert_array_equal(door.echo(name, ZERO), ZERO + 5)


def test_load_of_an_unknown_model(door):
    with pytest.raises(Exception) as caught:
        door.client.load_model("nothing")
    assert "nothing" in caught.value.message()


def test_unload_of_an_unknown_model(door):
    """As in Triton, which has nothing to do then; an error that names it is as good."""
    try:
        door.client.unload_model("nothing")
    except Exception as error:  # noqa: BLE001 - either answer is right
        assert "nothing" in error.message()


def test_load_with_another_configuration(door):
    config = {"name": "swapped", "platform": "onnxruntime_onnx", "max_batch_size": 2,
              "input": [{"name": "INPUT0", "data_type": "TYPE_FP32", "dims": [4]}],
              "output": [{"name": "OUTPUT0", "data_type": "TYPE_FP32", "dims": [4]}]}
    try:
        door.client.load_model("swapped", config=json.dumps(config))
        reply = door.json(door.client.get_model_config("swapped"))
        shown = reply["config"] if door.name == "grpc" else reply
        assert shown["max_batch_size"] == 2
        with door.refuses("invalid", "2"):
            door.echo("swapped", np.zeros((3, 4), np.float32))
    finally:
        door.client.load_model("swapped")


def test_load_with_files(door, tmp_path):
    models.add_constant(tmp_path / "m", 1, 42.0)
    content = (tmp_path / "m" / "1" / "model.onnx").read_bytes()
    name = f"given_{door.name}"
    config = {"name": name, "platform": "onnxruntime_onnx", "max_batch_size": 8}
    if door.name == "rest":
        content = base64.b64encode(content).decode() if isinstance(content, str) else content
    door.client.load_model(name, config=json.dumps(config), files={"file:1/model.onnx": content})
    np.testing.assert_array_equal(door.echo(name, ZERO), ZERO + 42)
    door.client.unload_model(name)


def test_load_with_an_impossible_configuration(door):
    with pytest.raises(Exception) as caught:
        door.client.load_model("swapped", config='{"name": "swapped", "max_batch_size": -5}')
    assert caught.value.message()
    assert door.client.is_model_ready("swapped"), "the model that served must go on serving"


def test_broken_model_is_refused_and_named_in_the_index(door, server):
    name = f"broken_{door.name}"
    models.add_constant(server.repository / name, 1, 1.0)
    (server.repository / name / "1" / "model.onnx").write_bytes(b"this is not a model")
    with pytest.raises(Exception) as caught:
        door.client.load_model(name)
    assert name in caught.value.message()
    entries = [entry for entry in index(door) if entry["name"] == name]
    assert any(entry.get("reason") for entry in entries)
    assert door.client.is_model_ready("add_sub")
    door.client.unload_model(name)
    assert door.client.is_server_ready(), "a model that was given up must not count"


def test_failing_version_leaves_the_old_one_serving(door, server):
    name = f"survivor_{door.name}"
    folder = server.repository / name
    models.add_constant(folder, 1, 1.0)
    models.configure(folder, 8, [("INPUT0", "TYPE_FP32", [4], "")],
                     [("OUTPUT0", "TYPE_FP32", [4], "")])
    door.client.load_model(name)
    (folder / "2").mkdir()
    (folder / "2" / "model.onnx").write_bytes(b"\x08\x07garbage")
    with pytest.raises(Exception):
        door.client.load_model(name)
    np.testing.assert_array_equal(door.echo(name, ZERO), ZERO + 1)
    assert door.client.is_server_ready(), "the old version serves: the server is ready"
