# SPDX-License-Identifier: Apache-2.0
"""What inference answers: several tensors, batches, versions, requested outputs, parameters."""

import concurrent.futures
import json
import struct
import urllib.request

import numpy as np
import pytest


def pair(door, rows: int = 1, seed: int = 1):
    generator = np.random.default_rng(seed)
    left = generator.standard_normal((rows, 16)).astype(np.float32)
    right = generator.standard_normal((rows, 16)).astype(np.float32)
    return left, right, [door.input("INPUT0", left), door.input("INPUT1", right)]


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_two_inputs_two_outputs(door, rows):
    left, right, inputs = pair(door, rows)
    result = door.infer("add_sub", inputs)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), left + right)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - right)


def test_inputs_in_any_order(door):
    left, right, inputs = pair(door)
    result = door.infer("add_sub", inputs[::-1])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - right)


def test_only_requested_outputs(door):
    left, right, inputs = pair(door)
    result = door.infer("add_sub", inputs, outputs=[door.output("OUTPUT1")])
    assert result.as_numpy("OUTPUT0") is None
    np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), left - right)


def test_outputs_in_the_order_asked(door):
    _, _, inputs = pair(door)
    result = door.infer(
        "add_sub", inputs, outputs=[door.output("OUTPUT1"), door.output("OUTPUT0")])
    names = [tensor["name"] for tensor in door.json(result.get_response())["outputs"]]
    assert names == ["OUTPUT1", "OUTPUT0"]


def test_id_and_names_come_back(door):
    _, _, inputs = pair(door)
    reply = door.json(door.infer("add_sub", inputs, request_id="my id ü").get_response())
    assert reply["id"] == "my id ü"
    assert reply["model_name"] == "add_sub"
    assert reply["model_version"] == "1"


@pytest.mark.parametrize("version, added", [("1", 1), ("3", 3), ("", 3)])
def test_versions(door, version, added):
    values = np.zeros((1, 4), np.float32)
    result = door.infer(
        "versioned", [door.input("INPUT0", values)], model_version=version)
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), values + added)
    assert door.json(result.get_response())["model_version"] == (version or "3")


def test_ensemble(door):
    left = np.arange(8, dtype=np.float32).reshape(2, 4)
    right = np.full((2, 4), 10, np.float32)
    result = door.infer("ensemble", [door.input("A", left), door.input("B", right)])
    np.testing.assert_array_equal(result.as_numpy("SUM"), left + right + 3)


def test_no_batch_dimension(door):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(door.echo("plain", values), values)


def test_zero_elements(door):
    values = np.zeros((0, 3), np.float32)
    answer = door.echo("plain", values)
    assert answer.shape == (0, 3)


def test_large_tensor(door):
    values = np.random.default_rng(3).standard_normal((1024, 3000)).astype(np.float32)
    np.testing.assert_array_equal(door.echo("plain", values), values)


def test_custom_parameters_are_accepted(door):
    values = np.ones((1, 4), np.float32)
    result = door.infer(
        "versioned", [door.input("INPUT0", values)],
        parameters={"text": "a", "flag": True, "number": 5, "real": 0.5})
    assert result.as_numpy("OUTPUT0") is not None


def test_classification(door):
    left = np.arange(16, dtype=np.float32).reshape(1, 16)
    zero = np.zeros((1, 16), np.float32)
    result = door.infer(
        "add_sub", [door.input("INPUT0", left), door.input("INPUT1", zero)],
        outputs=[door.output("OUTPUT0", class_count=3), door.output("OUTPUT1", class_count=2)])
    labelled = [entry.decode() if isinstance(entry, bytes) else entry
                for entry in result.as_numpy("OUTPUT0").flat]
    assert [entry.split(":")[1:] for entry in labelled] == [
        ["15", "label15"], ["14", "label14"], ["13", "label13"]]
    assert [float(entry.split(":")[0]) for entry in labelled] == [15, 14, 13]
    plain = [entry.decode() if isinstance(entry, bytes) else entry
             for entry in result.as_numpy("OUTPUT1").flat]
    assert [entry.split(":")[1] for entry in plain] == ["15", "14"]
    assert result.as_numpy("OUTPUT0").shape == (1, 3)


def test_classification_of_a_batch(door):
    left, right, inputs = pair(door, rows=4)
    result = door.infer("add_sub", inputs, outputs=[door.output("OUTPUT0", class_count=1)])
    answer = result.as_numpy("OUTPUT0")
    assert answer.shape == (4, 1)
    best = [int((x.decode() if isinstance(x, bytes) else x).split(":")[1]) for x in answer.flat]
    assert best == list((left + right).argmax(axis=1))


def test_classification_of_more_than_there_is(door):
    _, _, inputs = pair(door)
    result = door.infer("add_sub", inputs, outputs=[door.output("OUTPUT0", class_count=100)])
    assert result.as_numpy("OUTPUT0").shape == (1, 16)


def test_json_in_binary_out(rest):
    values = np.arange(4, dtype=np.float32).reshape(1, 4)
    result = rest.infer(
        "versioned", [rest.input("INPUT0", values, binary_data=False)],
        outputs=[rest.output("OUTPUT0", binary_data=True)])
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), values + 3)


def test_binary_in_json_out(rest):
    values = np.arange(4, dtype=np.float32).reshape(1, 4)
    result = rest.infer(
        "versioned", [rest.input("INPUT0", values)],
        outputs=[rest.output("OUTPUT0", binary_data=False)])
    assert result.get_output("OUTPUT0")["data"] == [3, 4, 5, 6]


def test_some_inputs_binary_some_json(rest):
    left, right, _ = pair(rest)
    result = rest.infer("add_sub", [
        rest.input("INPUT0", left, binary_data=False), rest.input("INPUT1", right)])
    np.testing.assert_allclose(result.as_numpy("OUTPUT0"), left + right, rtol=1e-6)


def post(url: str, body: bytes, headers: dict | None = None):
    request = urllib.request.Request(url, data=body, headers=headers or {}, method="POST")
    return urllib.request.urlopen(request, timeout=20)


def test_nested_json_data(server):
    """`data` may be nested as the shape is, or flat."""
    body = {"inputs": [{"name": "INPUT0", "shape": [2, 4], "datatype": "FP32",
                        "data": [[1, 2, 3, 4], [5, 6, 7, 8]]}]}
    with post(f"http://{server.http}/v2/models/versioned/infer", json.dumps(body).encode()) as reply:
        answer = json.load(reply)
    assert answer["outputs"][0]["shape"] == [2, 4]
    assert answer["outputs"][0]["data"] == [4, 5, 6, 7, 8, 9, 10, 11]


def test_raw_binary_request(server):
    """A header length of 0 means: no JSON, one input, the body is its data."""
    values = np.arange(4, dtype=np.float32)
    with post(f"http://{server.http}/v2/models/versioned/infer", values.tobytes(),
              {"Inference-Header-Content-Length": "0"}) as reply:
        length = int(reply.headers["Inference-Header-Content-Length"])
        body = reply.read()
    assert json.loads(body[:length])["outputs"][0]["shape"] == [1, 4]
    assert struct.unpack("<4f", body[length:]) == (3, 4, 5, 6)


def test_64_requests_at_once_with_distinct_answers(door):
    def ask(number: int):
        from clients import Door
        values = np.full((1, 16), number, np.float32)
        zero = np.zeros((1, 16), np.float32)
        result = (local := clients[number % 8]).infer(
            "add_sub", [local.input("INPUT0", values), local.input("INPUT1", zero)],
            request_id=str(number))
        assert isinstance(local, Door)
        return result.as_numpy("OUTPUT0")[0, 0], door.json(result.get_response())["id"]

    clients = [type(door)(door.name, _Address(door)) for _ in range(8)]
    try:
        with concurrent.futures.ThreadPoolExecutor(8 if door.name == "rest" else 64) as pool:
            answers = list(pool.map(ask, range(64))) if door.name == "grpc" \
                else [ask(number) for number in range(64)]
    finally:
        for client in clients:
            client.close()
    assert answers == [(float(number), str(number)) for number in range(64)]


class _Address:
    def __init__(self, door):
        self.http = self.grpc = door.url


def test_64_asynchronous_rest_requests(rest):
    """tritonclient's own concurrency: answers are told apart by value."""
    zero = np.zeros((1, 16), np.float32)
    handles = [rest.client.async_infer("add_sub", [
        rest.input("INPUT0", np.full((1, 16), number, np.float32)), rest.input("INPUT1", zero)])
        for number in range(64)]
    assert [handle.get_result().as_numpy("OUTPUT0")[0, 0] for handle in handles] == list(range(64))
