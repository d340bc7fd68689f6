# SPDX-License-Identifier: Apache-2.0
"""Compressed bodies and messages."""

import gzip
import http.client
import json
import struct
import zlib

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from raw_grpc import grpc_request

VALUES = np.tile(np.arange(8, dtype=np.float32), (1, 4_096))


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_requests(door, algorithm):
    option = "request_compression_algorithm" if door.name == "rest" else "compression_algorithm"
    answer = door.echo("plain", VALUES, **{option: algorithm})
    np.testing.assert_array_equal(answer, VALUES)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_responses_over_rest(rest, algorithm):
    answer = rest.echo("plain", VALUES, response_compression_algorithm=algorithm)
    np.testing.assert_array_equal(answer, VALUES)


def test_both_ways_over_rest(rest):
    answer = rest.echo("plain", VALUES, request_compression_algorithm="gzip",
                       response_compression_algorithm="deflate")
    np.testing.assert_array_equal(answer, VALUES)


@pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
def test_streams(server, algorithm):
    import queue
    import tritonclient.grpc as grpcclient
    client = grpcclient.InferenceServerClient(server.grpc)
    answers = queue.Queue()
    client.start_stream(
        lambda result, error: answers.put((result, error)), compression_algorithm=algorithm)
    tensor = grpcclient.InferInput("INPUT0", list(VALUES.shape), "FP32")
    tensor.set_data_from_numpy(VALUES)
    client.async_stream_infer("plain", [tensor])
    result, error = answers.get(timeout=20)
    client.stop_stream()
    client.close()
    assert error is None
    np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), VALUES)


INFER = "/v2/models/versioned/infer"
BODY = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1, 4], "datatype": "FP32",
                               "data": [1, 2, 3, 4]}]}).encode()


def post(server, body, **headers):
    connection = http.client.HTTPConnection(server.http, timeout=30)
    connection.request("POST", INFER, body, {k.replace("_", "-"): v for k, v in headers.items()})
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply, content


def test_response_coding_is_named(server):
    reply, content = post(server, BODY, Accept_Encoding="gzip")
    if reply.headers["Content-Encoding"] == "gzip":
        content = gzip.decompress(content)
    assert json.loads(content)["outputs"][0]["data"] == [4, 5, 6, 7]


@pytest.mark.parametrize("body", [
    b"not gzip", gzip.compress(BODY)[:-5], gzip.compress(BODY) + b"x"], ids=["raw", "cut", "more"])
def test_corrupt_body(server, body):
    reply, content = post(server, body, Content_Encoding="gzip")
    assert reply.status == 400
    assert json.loads(content)["error"]


def test_unknown_coding(server):
    reply, _ = post(server, BODY, Content_Encoding="br")
    assert reply.status in (400, 415)


def test_bomb_over_rest(server):
    """A small body that would become a huge one is refused, not unpacked."""
    bomb = gzip.compress(b" " * (256 << 20), 9)
    reply, _ = post(server, bomb, Content_Encoding="gzip")
    assert reply.status in (400, 413)


def raw_call(server, message: bytes, encoding: str):
    """A unary call whose bytes are compressed by hand."""
    return grpc_request(server.grpc, "/inference.GRPCInferenceService/ModelInfer",
                        b"\x01" + struct.pack(">I", len(message)) + message,
                        {"grpc-encoding": encoding})


def test_corrupt_message_over_grpc(server):
    status, _ = raw_call(server, b"not compressed at all", "gzip")
    assert status in ("3", "13")


def test_bomb_over_grpc(server):
    status, _ = raw_call(server, gzip.compress(bytes(256 << 20), 9), "gzip")
    assert status == "8"


def test_unknown_coding_over_grpc(server):
    status, _ = raw_call(server, zlib.compress(b"x"), "br")
    assert status == "12"


def test_large_answers_come_compressed_when_the_request_was(server):
    request = service_pb2.ModelInferRequest(model_name="plain")
    request.inputs.add(name="INPUT0", datatype="FP32", shape=list(VALUES.shape))
    request.raw_input_contents.append(VALUES.tobytes())
    with grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        reply, call = stub.ModelInfer.with_call(request, compression=grpc.Compression.Gzip)
    assert reply.raw_output_contents[0] == VALUES.tobytes()
    assert call.code() == grpc.StatusCode.OK
