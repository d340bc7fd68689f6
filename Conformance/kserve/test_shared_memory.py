# SPDX-License-Identifier: Apache-2.0
"""System shared memory, with tritonclient's own module."""

import os

import numpy as np
import pytest
import tritonclient.utils.shared_memory as shm


@pytest.fixture
def regions(door):
    """Makes and registers regions; all are gone afterwards."""
    made = []

    def make(name, size, register=True):
        name = f"{name}_{door.name}"
        handle = shm.create_shared_memory_region(name, f"/martlet_{name}_{os.getpid()}", size)
        made.append((name, handle))
        if register:
            door.client.register_system_shared_memory(
                name, f"/martlet_{name}_{os.getpid()}", size)
        return name, handle

    yield make
    for name, handle in made:
        door.client.unregister_system_shared_memory(name)
        shm.destroy_shared_memory_region(handle)


def status(door, name=""):
    reply = door.json(door.client.get_system_shared_memory_status(name))
    if door.name == "grpc":
        return {region["name"]: region for region in reply.get("regions", {}).values()}
    return {region["name"]: region for region in reply}


def shared_input(door, name, shape, datatype, region, size, offset=0):
    tensor = door.module.InferInput(name, list(shape), datatype)
    tensor.set_shared_memory(region, size, offset)
    return tensor


def test_inputs_and_outputs(door, regions):
    region_in, handle_in = regions("in", 128)
    region_out, handle_out = regions("out", 128)
    left = np.arange(16, dtype=np.float32).reshape(1, 16)
    right = np.full((1, 16), 2, np.float32)
    shm.set_shared_memory_region(handle_in, [left, right])
    outputs = [door.output("OUTPUT0"), door.output("OUTPUT1")]
    outputs[0].set_shared_memory(region_out, 64)
    outputs[1].set_shared_memory(region_out, 64, 64)
    result = door.infer("add_sub", [
        shared_input(door, "INPUT0", (1, 16), "FP32", region_in, 64),
        shared_input(door, "INPUT1", (1, 16), "FP32", region_in, 64, 64)], outputs=outputs)
    reply = result.get_output("OUTPUT0")
    shape = reply["shape"] if door.name == "rest" else list(reply.shape)
    assert shape == [1, 16]
    np.testing.assert_array_equal(
        shm.get_contents_as_numpy(handle_out, np.float32, [1, 16]), left + right)
    np.testing.assert_array_equal(
        shm.get_contents_as_numpy(handle_out, np.float32, [1, 16], 64), left - right)


def test_one_input_shared_one_in_the_body(door, regions):
    region, handle = regions("half", 64)
    left = np.arange(16, dtype=np.float32).reshape(1, 16)
    shm.set_shared_memory_region(handle, [left])
    right = np.ones((1, 16), np.float32)
    result = door.infer("add_sub", [
        shared_input(door, "INPUT0", (1, 16), "FP32", region, 64), door.input("INPUT1", right)])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), left + right)


def test_one_output_shared_one_in_the_body(door, regions):
    region, handle = regions("back", 64)
    left = np.ones((1, 16), np.float32)
    outputs = [door.output("OUTPUT0"), door.output("OUTPUT1")]
    outputs[0].set_shared_memory(region, 64)
    result = door.infer(
        "add_sub", [door.input("INPUT0", left), door.input("INPUT1", left)], outputs=outputs)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - left)
    np.testing.assert_array_equal(
        shm.get_contents_as_numpy(handle, np.float32, [1, 16]), left + left)


def test_strings(door, regions):
    from tritonclient.utils import serialize_byte_tensor
    values = np.array([[b"one", b"", b"three"]], np.object_)
    data = serialize_byte_tensor(values)
    region, handle = regions("text", len(data.item()))
    shm.set_shared_memory_region(handle, [data])
    result = door.infer("identity_bytes", [
        shared_input(door, "INPUT0", (1, 3), "BYTES", region, len(data.item()))])
    assert list(result.as_numpy("OUTPUT0").flat) == [b"one", b"", b"three"]


def test_status(door, regions):
    name, _ = regions("seen", 256)
    region = status(door)[name]
    assert int(region["byte_size"]) == 256
    assert int(region["offset"]) == 0
    assert region["key"].startswith("/martlet_seen")
    assert set(status(door, name)) == {name}
    door.client.unregister_system_shared_memory(name)
    assert name not in status(door)


def test_registered_twice(door, regions):
    name, _ = regions("twice", 64)
    with door.refuses("exists", name):
        door.client.register_system_shared_memory(name, f"/martlet_{name}_{os.getpid()}", 64)


def test_unknown_key(door):
    with door.refuses("invalid", "/martlet_nothing"):
        door.client.register_system_shared_memory("lost", "/martlet_nothing", 64)


def test_key_that_leaves_the_folder(door):
    with door.refuses("invalid"):
        door.client.register_system_shared_memory("escape", "/../../etc/passwd", 64)


def test_larger_than_the_file(door, regions):
    name, _ = regions("small", 64, register=False)
    with door.refuses("invalid"):
        door.client.register_system_shared_memory(name, f"/martlet_{name}_{os.getpid()}", 1 << 20)


def test_unknown_region(door):
    with door.refuses("not found", "nowhere"):
        door.infer("plain", [shared_input(door, "INPUT0", (1, 4), "FP32", "nowhere", 16)])


def test_outside_the_region(door, regions):
    name, _ = regions("edge", 64)
    with door.refuses("invalid", name):
        door.infer("plain", [shared_input(door, "INPUT0", (1, 4), "FP32", name, 16, 60)])


def test_size_that_is_not_the_shapes(door, regions):
    name, _ = regions("wrong", 64)
    with door.refuses("invalid", "INPUT0"):
        door.infer("plain", [shared_input(door, "INPUT0", (1, 4), "FP32", name, 12)])


def test_output_that_does_not_fit(door, regions):
    name, _ = regions("tiny", 8)
    output = door.output("OUTPUT0")
    output.set_shared_memory(name, 8)
    with door.refuses("invalid", "OUTPUT0"):
        door.infer("plain", [door.input("INPUT0", np.ones((1, 4), np.float32))], outputs=[output])


def test_unregister_all(door, regions):
    regions("a", 64)
    regions("b", 64)
    door.client.unregister_system_shared_memory()
    assert status(door) == {}


def test_cuda_is_empty_and_refused(door):
    reply = door.json(door.client.get_cuda_shared_memory_status())
    assert (reply.get("regions", {}) if door.name == "grpc" else reply) in ({}, [])
    with door.refuses("unsupported"):
        door.client.register_cuda_shared_memory("gpu", b"AAAA", 0, 64)
