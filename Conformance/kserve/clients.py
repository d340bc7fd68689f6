# SPDX-License-Identifier: Apache-2.0
"""The two doors behind one face, so that a case runs over REST and over gRPC."""

import contextlib

import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient
from tritonclient.utils import InferenceServerException

NUMPY = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
    "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
    "INT64": np.int64, "FP16": np.float16, "BF16": ml_dtypes.bfloat16, "FP32": np.float32,
    "FP64": np.float64, "BYTES": np.object_,
}

# What an error is called at each door.
STATUS = {
    "rest": {"not found": "404", "invalid": "400", "unavailable": "503", "unsupported": "501",
             "deadline": "504", "exists": "400", "internal": "500"},
    "grpc": {"not found": "StatusCode.NOT_FOUND", "invalid": "StatusCode.INVALID_ARGUMENT",
             "unavailable": "StatusCode.UNAVAILABLE", "unsupported": "StatusCode.UNIMPLEMENTED",
             "deadline": "StatusCode.DEADLINE_EXCEEDED", "exists": "StatusCode.ALREADY_EXISTS",
             "internal": "StatusCode.INTERNAL"},
}


def sample(datatype: str, shape, seed: int = 7) -> np.ndarray:
    """Values over the whole range of a type, its ends included."""
    generator = np.random.default_rng(seed)
    kind = NUMPY[datatype]
    count = int(np.prod(shape))
    if datatype == "BYTES":
        words = [b"", "Grüße, 世界".encode(), b"plain", b"a" * 300]
        values = np.empty(count, dtype=np.object_)
        for index in range(count):
            values[index] = words[index % len(words)]
        return values.reshape(shape)
    if datatype == "BOOL":
        return generator.integers(0, 2, shape).astype(np.bool_)
    if np.issubdtype(kind, np.integer):
        limits = np.iinfo(kind)
        values = generator.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
        values.flat[0], values.flat[-1] = limits.min, limits.max
        return values
    return (generator.standard_normal(shape) * 100).astype(kind)


class Door:
    """A tritonclient of one protocol."""

    def __init__(self, name: str, server):
        self.name = name
        self.module = httpclient if name == "rest" else grpcclient
        self.url = server.http if name == "rest" else server.grpc
        options = {"concurrency": 8} if name == "rest" else {}
        self.client = self.module.InferenceServerClient(self.url, **options)

    def close(self) -> None:
        self.client.close()

    def input(self, name: str, values: np.ndarray, datatype: str = "FP32", **options):
        tensor = self.module.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, **options)
        return tensor

    def output(self, name: str, **options):
        return self.module.InferRequestedOutput(name, **options)

    def infer(self, model: str, inputs, **options):
        return self.client.infer(model, inputs, **options)

    def echo(self, model: str, values: np.ndarray, datatype: str = "FP32", **options):
        """The model's OUTPUT0 for INPUT0."""
        result = self.infer(model, [self.input("INPUT0", values, datatype)], **options)
        return result.as_numpy("OUTPUT0")

    def json(self, reply):
        """A reply of the metadata kind as plain Python, the same for both doors."""
        if self.name == "rest":
            return reply
        from google.protobuf.json_format import MessageToDict
        return MessageToDict(
            reply, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)

    @contextlib.contextmanager
    def refuses(self, kind: str, *words: str):
        """The block must fail with this kind of error, its message naming every word."""
        with pytest.raises(InferenceServerException) as caught:
            yield
        error = caught.value
        assert error.status() == STATUS[self.name][kind], f"{error.status()}: {error.message()}"
        for word in words:
            assert word in error.message(), f"{word!r} not in {error.message()!r}"
