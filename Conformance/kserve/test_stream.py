# SPDX-License-Identifier: Apache-2.0
"""ModelStreamInfer."""

import queue

import grpc
import numpy as np
import pytest
import tritonclient.grpc as grpcclient
from tritonclient.grpc import service_pb2, service_pb2_grpc


class Stream:
    """A tritonclient stream whose answers are taken one by one."""

    def __init__(self, server, **options):
        self.client = grpcclient.InferenceServerClient(server.grpc)
        self.answers = queue.Queue()
        self.client.start_stream(
            lambda result, error: self.answers.put((result, error)), **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop_stream()
        self.client.close()

    def send(self, model, values, name, datatype="FP32", **options):
        tensor = grpcclient.InferInput("INPUT0", list(values.shape), datatype)
        tensor.set_data_from_numpy(values)
        self.client.async_stream_infer(model, [tensor], request_id=name, **options)

    def take(self):
        return self.answers.get(timeout=30)


def four(number):
    return np.full((1, 4), number, np.float32)


def test_every_request_is_answered(server):
    with Stream(server) as stream:
        for number in range(100):
            stream.send("versioned", four(number), str(number))
        seen = {}
        for _ in range(100):
            result, error = stream.take()
            assert error is None
            seen[result.get_response().id] = result.as_numpy("OUTPUT0")[0, 0]
    assert seen == {str(number): number + 3 for number in range(100)}


def test_quick_answers_overtake_slow_ones(server):
    with Stream(server) as stream:
        stream.send("slow", np.zeros(1, np.float32), "slow")
        stream.send("versioned", four(1), "quick")
        names = [stream.take()[0].get_response().id for _ in range(2)]
    assert names == ["quick", "slow"]


def test_error_answers_its_request_only(server):
    with Stream(server) as stream:
        stream.send("nothing", four(1), "bad")
        _, error = stream.take()
        assert "nothing" in error.message()
        stream.send("versioned", four(1), "good")
        result, error = stream.take()
    assert error is None and result.get_response().id == "good"


def test_error_carries_the_requests_id(server):
    def requests():
        message = service_pb2.ModelInferRequest(model_name="nothing", id="the one")
        message.inputs.add(name="INPUT0", datatype="FP32", shape=[1, 1])
        message.raw_input_contents.append(bytes(4))
        yield message

    with grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answers = list(stub.ModelStreamInfer(requests()))
    assert len(answers) == 1
    assert "nothing" in answers[0].error_message
    assert answers[0].infer_response.id == "the one"


def test_status_instead_of_error_message(server):
    with Stream(server, headers={"triton_grpc_error": "true"}) as stream:
        stream.send("nothing", four(1), "bad")
        _, error = stream.take()
    assert error.status() == "StatusCode.NOT_FOUND"


def test_final_marker(server):
    with Stream(server) as stream:
        stream.send("versioned", four(1), "one", enable_empty_final_response=True)
        result, _ = stream.take()
    assert result.get_response().parameters["triton_final_response"].bool_param


def test_empty_stream(server):
    with grpc.insecure_channel(server.grpc) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert list(stub.ModelStreamInfer(iter(()))) == []


def test_more_requests_than_may_be_under_way(server):
    """Back-pressure, not refusal: a stream of 300 large requests is answered whole."""
    values = np.ones((1, 16_384), np.float32)
    with Stream(server) as stream:
        for number in range(300):
            stream.send("identity_fp32", values, str(number))
        seen = {stream.take()[0].get_response().id for _ in range(300)}
    assert len(seen) == 300


def test_stream_that_is_cancelled(server):
    client = grpcclient.InferenceServerClient(server.grpc)
    answers = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    tensor = grpcclient.InferInput("INPUT0", [1], "FP32")
    tensor.set_data_from_numpy(np.zeros(1, np.float32))
    client.async_stream_infer("slow", [tensor])
    client.stop_stream(cancel_requests=True)
    _, error = answers.get(timeout=20)
    assert error.status() == "StatusCode.CANCELLED"
    client.close()


@pytest.mark.parametrize("datatype", ["INT8", "BYTES"])
def test_types(server, datatype):
    from clients import sample
    values = sample(datatype, (1, 6))
    with Stream(server) as stream:
        stream.send(f"identity_{datatype.lower()}", values, "x", datatype)
        result, error = stream.take()
    assert error is None
    assert list(result.as_numpy("OUTPUT0").flat) == list(values.flat)
