# SPDX-License-Identifier: Apache-2.0
"""Priority, time limits, full queues, cancellation and deadlines."""

import struct
import threading
import time

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from raw_grpc import grpc_request

ONE = np.zeros(1, np.float32)


def request(model: str = "narrow", **parameters):
    message = service_pb2.ModelInferRequest(model_name=model)
    message.inputs.add(name="INPUT0", datatype="FP32", shape=[1])
    message.raw_input_contents.append(ONE.tobytes())
    for name, value in parameters.items():
        message.parameters[name].int64_param = value
    return message


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def counters(stub, model: str):
    reply = stub.ModelStatistics(service_pb2.ModelStatisticsRequest(name=model))
    return reply.model_stats[0]


def until(condition, limit: float = 20) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@pytest.mark.parametrize("priority", [1, 2])
def test_priority_is_accepted(door, priority):
    answer = door.echo("prioritised", ONE, priority=priority)
    assert answer is not None


def test_generous_timeout_is_accepted(door):
    values = np.ones((1, 4), np.float32)
    answer = door.echo("versioned", values, timeout=10_000_000)
    np.testing.assert_array_equal(answer, values + 3)


def test_full_queue_is_refused_at_once(stub):
    """One runs, two wait, the others are turned away without waiting."""
    calls = [stub.ModelInfer.future(request("narrow")) for _ in range(12)]
    refused = []
    start = time.monotonic()
    for call in calls:
        try:
            call.result()
        except grpc.RpcError as error:
            refused.append(error.code())
    assert refused and set(refused) == {grpc.StatusCode.UNAVAILABLE}
    assert len(refused) < 12
    assert time.monotonic() - start < 30


def test_full_queue_over_rest(server, stub):
    import http.client
    import json
    body = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1], "datatype": "FP32",
                                   "data": [0]}]})
    busy = [stub.ModelInfer.future(request("narrow")) for _ in range(8)]
    seen = None
    for _ in range(50):
        connection = http.client.HTTPConnection(server.http, timeout=30)
        connection.request("POST", "/v2/models/narrow/infer", body)
        reply = connection.getresponse()
        reply.read()
        connection.close()
        if reply.status == 503:
            seen = reply
            break
        busy.extend(stub.ModelInfer.future(request("narrow")) for _ in range(8))
    for call in busy:
        call.cancel()
    assert seen is not None and seen.headers["Retry-After"]


def test_timeout_in_the_queue(stub):
    """A request that may wait 1 ms behind a long one is refused, not computed."""
    first = stub.ModelInfer.future(request("narrow"))
    time.sleep(0.05)
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(request("narrow", timeout=1_000))
    assert caught.value.code() in (
        grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    first.result()


def test_cancelled_while_waiting_is_not_computed(stub):
    before = counters(stub, "narrow").execution_count
    running = stub.ModelInfer.future(request("narrow"))
    time.sleep(0.05)
    waiting = stub.ModelInfer.future(request("narrow"))
    time.sleep(0.05)
    assert waiting.cancel()
    running.result()
    until(lambda: counters(stub, "narrow").execution_count == before + 1)
    time.sleep(0.3)
    assert counters(stub, "narrow").execution_count == before + 1


def test_cancelled_requests_leave_room_in_the_queue(stub):
    """The queue of two fills, empties by cancellation, and takes two again."""
    for _ in range(5):
        calls = [stub.ModelInfer.future(request("narrow")) for _ in range(3)]
        time.sleep(0.02)
        for call in calls:
            call.cancel()
    time.sleep(0.1)
    until(lambda: _answers(stub))


def _answers(stub) -> bool:
    try:
        stub.ModelInfer(request("narrow"), timeout=30)
        return True
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        return False


def test_running_request_stops_when_cancelled(stub):
    """The instance is free soon after the cancellation, not after the whole computation."""
    stub.ModelInfer(request("slow"))
    start = time.monotonic()
    stub.ModelInfer(request("slow"))
    whole = time.monotonic() - start
    call = stub.ModelInfer.future(request("slow"))
    time.sleep(min(0.05, whole / 4))
    call.cancel()
    start = time.monotonic()
    stub.ModelInfer(request("slow"))
    assert time.monotonic() - start < whole * 1.8 + 0.2


def test_deadline(grpc_door):
    with grpc_door.refuses("deadline"):
        grpc_door.echo("slow", ONE, client_timeout=0.02)


def test_deadline_is_enforced_by_the_server(server):
    """A client that does not watch its own deadline is told."""
    message = request("slow").SerializeToString()
    status, _ = grpc_request(
        server.grpc, "/inference.GRPCInferenceService/ModelInfer",
        b"\x00" + struct.pack(">I", len(message)) + message, {"grpc-timeout": "20m"})
    assert status == "4"


def test_tritonclient_cancels(grpc_door):
    done = threading.Event()
    seen = []

    def answered(result, error):
        seen.append((result, error))
        done.set()

    context = grpc_door.client.async_infer(
        "slow", [grpc_door.input("INPUT0", ONE)], answered)
    time.sleep(0.02)
    context.cancel()
    assert done.wait(20)
    assert isinstance(seen[0][1], InferenceServerException)
    assert seen[0][1].status() == "StatusCode.CANCELLED"


def test_rest_client_that_goes_away_is_cancelled(server, stub):
    """A closed connection takes its waiting request out of the queue."""
    import http.client
    import json
    body = json.dumps({"inputs": [{"name": "INPUT0", "shape": [1], "datatype": "FP32",
                                   "data": [0]}]})
    until(lambda: _answers(stub))
    before = counters(stub, "narrow").execution_count
    running = stub.ModelInfer.future(request("narrow"))
    time.sleep(0.05)
    connection = http.client.HTTPConnection(server.http, timeout=30)
    connection.request("POST", "/v2/models/narrow/infer", body)
    time.sleep(0.05)
    connection.close()
    running.result()
    time.sleep(0.3)
    assert counters(stub, "narrow").execution_count == before + 1
