# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""gRPC through the gateway: the real tritonclient before a server that fails on demand, and before martlet serve."""
import queue
import threading
import time
from concurrent import futures

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

from conftest import SECRETS, Gateway, digest, free_port
from provider import Provider

KEY = {"authorization": "Bearer " + SECRETS["alice"]}


class Fake(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Echoes the first input; takes each next behaviour of the script."""

    def __init__(self):
        self.port = free_port()
        self.start()
        self.reset()

    def start(self):
        self.server = grpc.server(futures.ThreadPoolExecutor(64), options=[
            ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(self, self.server)
        self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        self.server.start()

    def reset(self, *script):
        self.script = list(script)
        self.calls, self.cancelled, self.metadata, self.left = [], [], [], []

    def behave(self, request, context):
        self.calls.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.left.append(context.time_remaining())
        name, _, argument = (self.script.pop(0) if self.script else "good").partition(":")
        if name == "status":
            context.abort(getattr(grpc.StatusCode, argument), f"fake says {argument}")
        if name == "silent":
            gone = threading.Event()
            context.add_callback(lambda: (self.cancelled.append(time.perf_counter()), gone.set()))
            gone.wait(20)
        return name, argument

    @staticmethod
    def echo(request):
        answer = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
        for tensor, raw in zip(request.inputs, request.raw_input_contents):
            output = answer.outputs.add(name="OUT", datatype=tensor.datatype)
            output.shape.extend(tensor.shape)
            answer.raw_output_contents.append(raw)
        return answer

    def ModelInfer(self, request, context):
        self.behave(request, context)
        return self.echo(request)

    def ModelReady(self, request, context):
        return pb.ModelReadyResponse(ready=request.name == "real")

    def ServerReady(self, request, context):
        return pb.ServerReadyResponse(ready=True)

    def ModelStreamInfer(self, requests, context):
        for request in requests:
            name, argument = self.behave(request, context)
            for _ in range(int(argument) if name == "many" else 1):
                yield pb.ModelStreamInferResponse(infer_response=self.echo(request))
            if name == "cut":
                context.abort(grpc.StatusCode.INTERNAL, "fake breaks off")


class GRPCGateway(Gateway):
    def __init__(self, folder, fakes):
        self.fakes = fakes
        super().__init__(folder, *(Provider(name) for name in "abc"))

    def text(self, **changes):
        one, two = (fake.port for fake in self.fakes)
        return f"""
listen: {{port: {self.port}, header: 1s, body: 2s, write: 2s, drain: 5s}}
keys:
  alice: {{sha256: {digest("alice")}, tenant: acme}}
  bob: {{sha256: {digest("bob")}, models: [limited], limits: {{requests: {{max: 3, per: 60s}}}}}}
admin: {{sha256: {digest("admin")}}}
upstreams:
  one: {{url: "http://127.0.0.1:{one}", protocol: grpc}}
  two: {{url: "http://127.0.0.1:{two}", protocol: grpc}}
pools:
  both: {{members: [one, two], attempts: 2, timeout: 5s, concurrency: {{max: 1000}}, breaker: {{calls_min: 1000000}}, outliers: {{failures_in_row: 1000000}}}}
  single: {{members: [one], attempts: 1, timeout: 2s, breaker: {{calls_min: 1000000}}, outliers: {{failures_in_row: 1000000}}}}
  guarded: {{members: [one], attempts: 1, timeout: 1s, breaker: {{calls_min: 5, failure_share: 0.5, open: 300ms, open_max: 600ms}}}}
models:
  m: {{versions: {{v1: {{pool: both, model: real}}}}}}
  solo: {{versions: {{v1: {{pool: single, model: real}}}}}}
  real: {{versions: {{v1: {{pool: single}}}}}}
  limited: {{versions: {{v1: {{pool: single, model: real}}}}}}
  guarded: {{versions: {{v1: {{pool: guarded, model: real}}}}}}
  a-model-with-a-name-that-is-longer-than-one-hundred-and-twenty-seven-bytes-{"x" * 80}: {{versions: {{v1: {{pool: single, model: real}}}}}}
"""

    def client(self, **options):
        return triton.InferenceServerClient(f"127.0.0.1:{self.port}", **options)


@pytest.fixture(scope="module")
def fakes():
    pair = [Fake(), Fake()]
    yield pair
    for fake in pair:
        fake.server.stop(0)


@pytest.fixture(scope="module")
def door(tmp_path_factory, fakes):
    gateway = GRPCGateway(tmp_path_factory.mktemp("grpc"), fakes)
    yield gateway
    gateway.stop()


@pytest.fixture(autouse=True)
def clean(fakes):
    for fake in fakes:
        fake.reset()


def tensor(values):
    values = np.asarray(values, dtype=np.float32)
    given = triton.InferInput("IN", list(values.shape), "FP32")
    given.set_data_from_numpy(values)
    return [given]


def code(failure):
    return failure.value.status().rsplit(".", 1)[-1]


def test_unary(door, fakes):
    with door.client() as client:
        for size in (1, 1_000, 1_000_000):
            answer = client.infer("solo", tensor(np.arange(size)), headers=KEY)
            assert (answer.as_numpy("OUT") == np.arange(size, dtype=np.float32)).all()
            assert answer.get_response().model_name == "real"
    assert [call.model_name for call in fakes[0].calls] == ["real"] * 3
    sent = fakes[0].metadata[0]
    assert "authorization" not in sent and sent["x-forwarded-for"] == "127.0.0.1" and "traceparent" in sent


def test_health(door):
    with door.client() as client:
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready("solo", headers=KEY)


def test_keys(door, fakes):
    with door.client() as client:
        for headers in ({}, {"authorization": "Bearer sk-nobody"}):
            with pytest.raises(InferenceServerException) as failure:
                client.infer("solo", tensor([1]), headers=headers)
            assert code(failure) == "UNAUTHENTICATED"
        with pytest.raises(InferenceServerException) as failure:
            client.infer("solo", tensor([1]), headers={"authorization": "Bearer " + SECRETS["bob"]})
        assert code(failure) == "PERMISSION_DENIED"
    assert not fakes[0].calls


def test_limits(door, fakes):
    headers = {"authorization": "Bearer " + SECRETS["bob"]}
    with door.client() as client:
        for _ in range(3):
            client.infer("limited", tensor([1]), headers=headers)
        with pytest.raises(InferenceServerException) as failure:
            client.infer("limited", tensor([1]), headers=headers)
        assert code(failure) == "RESOURCE_EXHAUSTED"
    assert len(fakes[0].calls) == 3
    assert door.billed()["bob", "limited"]["requests"] == 3


def test_unknown_model(door):
    with door.client() as client:
        with pytest.raises(InferenceServerException) as failure:
            client.infer("nobody", tensor([1]), headers=KEY)
        assert code(failure) == "NOT_FOUND" and "nobody" in failure.value.message()


def test_long_names(door, fakes):
    name = "a-model-with-a-name-that-is-longer-than-one-hundred-and-twenty-seven-bytes-" + "x" * 80
    with door.client() as client:
        client.infer(name, tensor([1]), headers=KEY)
    assert fakes[0].calls[0].model_name == "real"


def test_compressed_is_refused_in_words(door):
    with door.client() as client:
        with pytest.raises(InferenceServerException) as failure:
            client.infer("solo", tensor(np.zeros(1000)), headers=KEY, compression_algorithm="gzip")
        assert code(failure) == "UNIMPLEMENTED" and "uncompressed" in failure.value.message()


@pytest.mark.parametrize("status", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL"])
def test_retries_elsewhere(door, fakes, status):
    for fake in fakes:
        fake.reset("status:" + status)
    fakes[1].reset()
    fakes[0].reset("status:" + status)
    with door.client() as client:
        for _ in range(6):  # whichever is asked first
            client.infer("m", tensor([1]), headers=KEY)
    assert len(fakes[0].calls) + len(fakes[1].calls) == 7


@pytest.mark.parametrize("status", ["INVALID_ARGUMENT", "NOT_FOUND"])
def test_client_errors_are_not_retried(door, fakes, status):
    for fake in fakes:
        fake.reset("status:" + status)
    with door.client() as client:
        with pytest.raises(InferenceServerException) as failure:
            client.infer("m", tensor([1]), headers=KEY)
        assert code(failure) == status and failure.value.message() == f"fake says {status}"
    assert len(fakes[0].calls) + len(fakes[1].calls) == 1


def test_deadline_shrinks_and_is_kept(door, fakes):
    with door.client() as client:
        client.infer("solo", tensor([1]), headers=KEY, client_timeout=1.5)
        assert 0 < fakes[0].left[0] < 1.55  # clients round up
        fakes[0].reset("silent")
        begin = time.perf_counter()
        with pytest.raises(InferenceServerException) as failure:
            client.infer("solo", tensor([1]), headers=KEY, client_timeout=0.3)
        assert code(failure) == "DEADLINE_EXCEEDED" and time.perf_counter() - begin < 1
        for _ in range(100):
            if fakes[0].cancelled:
                break
            time.sleep(0.01)
        assert fakes[0].cancelled


def test_attempts_have_their_time(door, fakes):
    fakes[0].reset("silent")
    with door.client() as client:
        with pytest.raises(InferenceServerException) as failure:
            client.infer("solo", tensor([1]), headers=KEY)
        assert code(failure) == "DEADLINE_EXCEEDED"


def test_cancel_reaches_the_server(door, fakes):
    fakes[0].reset("silent")
    with door.client() as client:
        done = queue.Queue()
        call = client.async_infer("solo", tensor([1]), callback=lambda result, error: done.put(error), headers=KEY)
        while not fakes[0].calls:
            time.sleep(0.001)
        begin = time.perf_counter()
        call.cancel()
        assert done.get(timeout=5) is not None
        for _ in range(1000):
            if fakes[0].cancelled:
                break
            time.sleep(0.001)
        print(f"cancelled upstream after {(fakes[0].cancelled[0] - begin) * 1000:.1f} ms")
        assert fakes[0].cancelled[0] - begin < 0.05


def test_stream(door, fakes):
    fakes[0].reset("many:3")
    answers = queue.Queue()
    with door.client() as client:
        client.start_stream(lambda result, error: answers.put((result, error)), headers=KEY)
        for turn in range(20):  # each is answered before the next is asked
            client.async_stream_infer("solo", tensor([turn]), request_id=str(turn))
            for _ in range(3 if turn == 0 else 1):
                result, error = answers.get(timeout=5)
                assert error is None and result.as_numpy("OUT")[0] == turn
                assert result.get_response().id == str(turn)
        client.stop_stream()
    assert {call.model_name for call in fakes[0].calls} == {"real"}


def test_stream_of_two_models_is_refused(door, fakes):
    answers = queue.Queue()
    with door.client() as client:
        client.start_stream(lambda result, error: answers.put((result, error)), headers=KEY)
        client.async_stream_infer("solo", tensor([1]))
        assert answers.get(timeout=5)[1] is None
        client.async_stream_infer("limited", tensor([1]))
        assert answers.get(timeout=5)[1] is not None
        client.stop_stream()
    assert len(fakes[0].calls) == 1


def test_cut_stream_is_an_error(door, fakes):
    fakes[0].reset("cut")
    answers = queue.Queue()
    with door.client() as client:
        client.start_stream(lambda result, error: answers.put((result, error)), headers=KEY)
        client.async_stream_infer("solo", tensor([1]))
        assert answers.get(timeout=5)[1] is None
        error = answers.get(timeout=5)[1]
        assert "fake breaks off" in str(error)
        client.stop_stream()


def test_flow_control_bounds_memory(door, fakes):
    """A client that does not read holds the server up, not the gateway's memory."""
    fakes[0].reset("many:400")
    before = door.rss()
    channel = grpc.insecure_channel(f"127.0.0.1:{door.port}", options=[
        ("grpc.max_receive_message_length", -1), ("grpc.http2.lookahead_bytes", 65536)])
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    request = pb.ModelInferRequest(model_name="solo", raw_input_contents=[b"x" * 262_144])
    request.inputs.add(name="IN", datatype="BYTES", shape=[1])
    answers = stub.ModelStreamInfer(iter([request]), metadata=list(KEY.items()))
    first = next(answers)
    time.sleep(1)
    grown = door.rss() - before
    assert len(first.infer_response.raw_output_contents[0]) == 262_144
    count = 1 + sum(1 for _ in answers)
    assert count == 400 and grown < 24, grown
    channel.close()


def test_many_at_once(door, fakes):
    with door.client() as client:
        done = queue.Queue()
        for number in range(500):
            client.async_infer("m", tensor([number]), callback=lambda result, error: done.put((result, error)),
                               headers=KEY, request_id=str(number))
        for _ in range(500):
            result, error = done.get(timeout=20)
            assert error is None and result.as_numpy("OUT")[0] == int(result.get_response().id)


def test_breaker_opens(door, fakes):
    fakes[0].reset(*["status:UNAVAILABLE"] * 50)
    with door.client() as client:
        for _ in range(20):
            with pytest.raises(InferenceServerException) as failure:
                client.infer("guarded", tensor([1]), headers=KEY)
            assert code(failure) == "UNAVAILABLE"
        assert len(fakes[0].calls) < 15
        fakes[0].reset()
        time.sleep(0.8)
        client.infer("guarded", tensor([1]), headers=KEY)


def test_server_restarts(door, fakes):
    """Its connection ends; the next call finds the way again."""
    with door.client() as client:
        client.infer("solo", tensor([1]), headers=KEY)
        fakes[0].server.stop(0).wait()
        with pytest.raises(InferenceServerException) as failure:
            client.infer("solo", tensor([1]), headers=KEY)
        assert code(failure) == "UNAVAILABLE"
        fakes[0].start()
        client.infer("solo", tensor([1]), headers=KEY)


def test_drain(tmp_path_factory, fakes):
    """SIGTERM lets calls that are under way end."""
    fakes[0].reset("many:1")
    gateway = GRPCGateway(tmp_path_factory.mktemp("drain"), fakes)
    answers = queue.Queue()
    with gateway.client() as client:
        client.start_stream(lambda result, error: answers.put((result, error)), headers=KEY)
        client.async_stream_infer("solo", tensor([1]))
        assert answers.get(timeout=5)[1] is None
        threading.Thread(target=lambda: (time.sleep(0.5), client.async_stream_infer("solo", tensor([2])),
                                         time.sleep(0.5), client.stop_stream())).start()
        gateway.stop()
        assert answers.get(timeout=5)[1] is None
