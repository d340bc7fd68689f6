# SPDX-License-Identifier: Apache-2.0
"""Requests that cannot be right: the status, the words, and a server that goes on."""

import http.client
import json
import socket

import numpy as np
import pytest
import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

FOUR = np.ones((1, 4), np.float32)


def test_unknown_model(door):
    with door.refuses("not found", "nothing"):
        door.echo("nothing", FOUR)


def test_unknown_version(door):
    with door.refuses("not found", "2"):
        door.echo("versioned", FOUR, model_version="2")


def test_unknown_input(door):
    with door.refuses("invalid", "OTHER"):
        door.infer("versioned", [door.input("OTHER", FOUR)])


def test_missing_input(door):
    with door.refuses("invalid", "add_sub"):
        door.infer("add_sub", [door.input("INPUT0", np.ones((1, 16), np.float32))])


def test_no_inputs(door):
    with door.refuses("invalid"):
        door.infer("versioned", [])


def test_input_given_twice(door):
    with door.refuses("invalid", "INPUT0"):
        door.infer("versioned", [door.input("INPUT0", FOUR), door.input("INPUT0", FOUR)])


def test_unknown_output(door):
    with door.refuses("invalid", "OTHER"):
        door.infer("versioned", [door.input("INPUT0", FOUR)], outputs=[door.output("OTHER")])


def test_wrong_type(door):
    with door.refuses("invalid", "INPUT0", "INT32", "FP32"):
        door.echo("versioned", np.ones((1, 4), np.int32), "INT32")


@pytest.mark.parametrize("shape", [(1, 5), (4,), (1, 4, 1), (1, 0)])
def test_wrong_shape(door, shape):
    with door.refuses("invalid", "INPUT0"):
        door.echo("versioned", np.ones(shape, np.float32))


def test_batch_too_large(door):
    with door.refuses("invalid", "8"):
        door.echo("versioned", np.ones((9, 4), np.float32))


def test_inputs_of_different_batches(door):
    with door.refuses("invalid"):
        door.infer("add_sub", [door.input("INPUT0", np.ones((1, 16), np.float32)),
                               door.input("INPUT1", np.ones((2, 16), np.float32))])


@pytest.mark.parametrize("size", [0, 15, 17])
def test_data_of_the_wrong_size(door, size):
    tensor = door.input("INPUT0", FOUR)
    if door.name == "rest":
        tensor._raw_data = b"\x00" * size
        tensor._parameters["binary_data_size"] = size
    else:
        tensor._raw_content = b"\x00" * size
    with door.refuses("invalid", "INPUT0"):
        door.infer("versioned", [tensor])


@pytest.mark.parametrize("data", [b"\x05\x00\x00\x00ab", b"\x01\x00", b"\xff\xff\xff\xffab", b""])
def test_strings_that_lie_about_their_length(door, data):
    tensor = door.input("INPUT0", np.array([[b"x"]], np.object_), "BYTES")
    if door.name == "rest":
        tensor._raw_data = data
        tensor._parameters["binary_data_size"] = len(data)
    else:
        tensor._raw_content = data
    with door.refuses("invalid", "INPUT0"):
        door.infer("identity_bytes", [tensor])


# What only a hand-written gRPC request can get wrong.

def grpc_infer(server, request) -> grpc.RpcError:
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    return caught.value


def request_of(shape, raw=(), datatype="FP32", model="plain", version=""):
    request = service_pb2.ModelInferRequest(model_name=model, model_version=version)
    request.inputs.add(name="INPUT0", datatype=datatype, shape=shape)
    request.raw_input_contents.extend(raw)
    return request


@pytest.mark.parametrize("shape", [
    [-1, 4], [2**62, 4], [2**63 - 1, 2**63 - 1], [1 << 40, 1 << 40], [1] * 40], ids=str)
def test_impossible_shapes(server, shape):
    error = grpc_infer(server, request_of(shape, [b"\x00" * 16]))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "INPUT0" in error.details()


def test_unknown_datatype(server):
    error = grpc_infer(server, request_of([1, 1], [b"\x00" * 4], datatype="FP31"))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "FP31" in error.details()


def test_more_raw_contents_than_inputs(server):
    error = grpc_infer(server, request_of([1, 1], [b"\x00" * 4, b"\x00" * 4]))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_typed_and_raw_contents(server):
    request = request_of([1, 1], [b"\x00" * 4])
    request.inputs[0].contents.fp32_contents.append(1)
    assert grpc_infer(server, request).code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("count", [0, 3, 5])
def test_wrong_number_of_typed_values(server, count):
    request = request_of([1, 4])
    request.inputs[0].contents.fp32_contents.extend([1.0] * count)
    error = grpc_infer(server, request)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "INPUT0" in error.details()


def test_typed_values_in_another_types_field(server):
    request = request_of([1, 1])
    request.inputs[0].contents.int_contents.append(1)
    assert grpc_infer(server, request).code() == grpc.StatusCode.INVALID_ARGUMENT


def test_version_that_is_no_number(server):
    error = grpc_infer(server, request_of([1, 1], [b"\x00" * 4], version="two"))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "two" in error.details()


def test_message_larger_than_the_limit(server):
    request = request_of([1, 17 << 20], [bytes(17 << 22)])
    with grpc.insecure_channel(
            server.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


# What only a hand-written HTTP request can get wrong.

def http_post(server, path, body, headers=None):
    connection = http.client.HTTPConnection(server.http, timeout=20)
    try:
        connection.request("POST", path, body, headers or {})
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text)["error"] if text else ""
    finally:
        connection.close()


INFER = "/v2/models/versioned/infer"
GOOD = {"name": "INPUT0", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'{"inputs": 5}', b"\xff\xfe", b"{}{}",
    json.dumps({"inputs": [{**GOOD, "data": [1, 2, 3]}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "data": [1, 2, 3, 4, 5]}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "data": [1, 2, 3, "4"]}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "data": [[1, 2], [3, 4, 5]]}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "shape": [-1, 4]}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "shape": [1e30, 4]}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "shape": "4"}]}).encode(),
    json.dumps({"inputs": [{**GOOD, "datatype": 7}]}).encode(),
    json.dumps({"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "FP32"}]}).encode(),
    json.dumps({"inputs": [{"shape": [1, 4], "datatype": "FP32", "data": []}]}).encode(),
    b'{"inputs":' + b"[" * 100_000,
], ids=lambda body: body[:40].decode(errors="replace"))
def test_malformed_json(server, body):
    status, error = http_post(server, INFER, body)
    assert status == 400 and error


@pytest.mark.parametrize("length", ["-1", "abc", "99999999", "18446744073709551616", "1e3", "5"])
def test_bad_header_length(server, length):
    body = json.dumps({"inputs": [GOOD]}).encode()
    status, error = http_post(server, INFER, body, {"Inference-Header-Content-Length": length})
    assert status == 400 and error


def binary_request(size: int, payload: bytes):
    head = json.dumps({"inputs": [{
        "name": "INPUT0", "shape": [1, 4], "datatype": "FP32",
        "parameters": {"binary_data_size": size}}]}).encode()
    return head + payload, {"Inference-Header-Content-Length": str(len(head))}


@pytest.mark.parametrize("size, given", [(16, 12), (16, 20), (-16, 16), (2**63, 16), (12, 12)])
def test_binary_data_that_does_not_add_up(server, size, given):
    body, headers = binary_request(size, bytes(given))
    status, error = http_post(server, INFER, body, headers)
    assert status == 400 and error


def test_unknown_route(server):
    assert http_post(server, "/v2/nothing", b"")[0] == 404


def test_wrong_method(server):
    connection = http.client.HTTPConnection(server.http, timeout=20)
    connection.request("DELETE", INFER)
    assert connection.getresponse().status == 405
    connection.close()


def test_client_gone_in_the_middle_of_a_body(server, rest):
    host, port = server.http.split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(f"POST {INFER} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{{".encode())
    np.testing.assert_array_equal(rest.echo("versioned", FOUR), FOUR + 3)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 64, b"PRI * HTTP/2.0\r\n"])
def test_garbage_on_the_grpc_port(server, grpc_door, garbage):
    host, port = server.grpc.split(":")
    with socket.create_connection((host, int(port))) as stranger:
        stranger.sendall(garbage)
    np.testing.assert_array_equal(grpc_door.echo("versioned", FOUR), FOUR + 3)
