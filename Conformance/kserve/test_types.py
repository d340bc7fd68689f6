# SPDX-License-Identifier: Apache-2.0
"""Every datatype through an identity model, in every form in which it can travel."""

import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc
import grpc

from clients import NUMPY, sample


def same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype == np.object_:
        return [bytes(x) for x in left.flat] == [bytes(x) for x in right.flat]
    return left.dtype == right.dtype and left.shape == right.shape \
        and left.tobytes() == right.tobytes()


@pytest.mark.parametrize("datatype", NUMPY)
def test_binary(door, datatype):
    values = sample(datatype, (3, 5))
    answer = door.echo(f"identity_{datatype.lower()}", values, datatype)
    assert same(answer, values)


@pytest.mark.parametrize("datatype", [t for t in NUMPY if t not in ("FP16", "BF16")])
def test_json(rest, datatype):
    values = sample(datatype, (2, 4))
    result = rest.infer(
        f"identity_{datatype.lower()}",
        [rest.input("INPUT0", values, datatype, binary_data=False)],
        outputs=[rest.output("OUTPUT0", binary_data=False)])
    assert "data" in result.get_output("OUTPUT0")
    answer = result.as_numpy("OUTPUT0")
    if datatype == "BYTES":
        assert [str(x) for x in answer.flat] == [x.decode() for x in values.flat]
    else:
        assert same(answer, values)


TYPED = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents",
    "INT32": "int_contents", "INT64": "int64_contents", "UINT8": "uint_contents",
    "UINT16": "uint_contents", "UINT32": "uint_contents", "UINT64": "uint64_contents",
    "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}


@pytest.mark.parametrize("datatype", TYPED)
def test_typed_contents(server, datatype):
    """The form without raw_input_contents, which other clients send."""
    values = sample(datatype, (2, 3))
    request = service_pb2.ModelInferRequest(model_name=f"identity_{datatype.lower()}")
    tensor = request.inputs.add(name="INPUT0", datatype=datatype, shape=[2, 3])
    getattr(tensor.contents, TYPED[datatype]).extend(
        [x if datatype == "BYTES" else x.item() for x in values.flat])
    with grpc.insecure_channel(server.grpc) as channel:
        reply = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert list(reply.outputs[0].shape) == [2, 3]
    if datatype == "BYTES":
        expected = b"".join(len(x).to_bytes(4, "little") + x for x in values.flat)
    else:
        expected = values.tobytes()
    assert reply.raw_output_contents[0] == expected


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_types_have_no_typed_contents(server, datatype):
    request = service_pb2.ModelInferRequest(model_name=f"identity_{datatype.lower()}")
    tensor = request.inputs.add(name="INPUT0", datatype=datatype, shape=[1, 1])
    tensor.contents.fp32_contents.append(1)
    with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("special", [np.inf, -np.inf, np.nan, -0.0, 5e-324])
def test_special_floats_keep_their_bits(door, special):
    values = np.full((1, 3), special, np.float64)
    assert same(door.echo("identity_fp64", values, "FP64"), values)


def test_empty_and_long_strings(door):
    values = np.array([[b"", b"x" * 70_000, b"\x00\xff"]], dtype=np.object_)
    assert same(door.echo("identity_bytes", values, "BYTES"), values)
