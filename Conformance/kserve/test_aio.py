# SPDX-License-Identifier: Apache-2.0
"""tritonclient's asyncio clients."""

import asyncio

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as httpclient
import tritonclient.http.aio as http_aio
from tritonclient.utils import InferenceServerException

from clients import STATUS

CLIENTS = {"rest": (http_aio, httpclient), "grpc": (grpc_aio, grpcclient)}


@pytest.fixture(params=CLIENTS)
def connect(request, server):
    """Runs a coroutine with a client, its plain module and the door's name."""
    package, module = CLIENTS[request.param]
    address = server.http if request.param == "rest" else server.grpc

    def run(body):
        async def within():
            async with package.InferenceServerClient(address) as client:
                return await body(client, module, request.param)
        return asyncio.run(asyncio.wait_for(within(), 60))

    return run


def tensor(module, values):
    item = module.InferInput("INPUT0", list(values.shape), "FP32")
    item.set_data_from_numpy(values)
    return item


def test_health_and_metadata(connect):
    async def body(client, module, name):
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("add_sub")
        metadata = await client.get_model_metadata("add_sub")
        return metadata["name"] if name == "rest" else metadata.name
    assert connect(body) == "add_sub"


def test_64_at_once(connect):
    async def body(client, module, _):
        async def ask(number):
            values = np.full((1, 4), number, np.float32)
            result = await client.infer("versioned", [tensor(module, values)])
            return result.as_numpy("OUTPUT0")[0, 0]
        return await asyncio.gather(*(ask(number) for number in range(64)))
    assert connect(body) == [number + 3 for number in range(64)]


def test_error(connect):
    async def body(client, module, name):
        with pytest.raises(InferenceServerException) as caught:
            await client.infer("nothing", [tensor(module, np.ones((1, 4), np.float32))])
        assert caught.value.status() == STATUS[name]["not found"]
    connect(body)


def test_repository_index(connect):
    async def body(client, module, name):
        index = await client.get_model_repository_index()
        return [entry["name"] for entry in index] if name == "rest" \
            else [entry.name for entry in index.models]
    assert "add_sub" in connect(body)


def test_cancelled_task(connect):
    async def body(client, module, _):
        task = asyncio.create_task(
            client.infer("slow", [tensor(module, np.zeros(1, np.float32))]))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    connect(body)


def test_stream(server):
    async def requests():
        for number in range(20):
            yield {"model_name": "versioned", "request_id": str(number),
                   "inputs": [tensor(grpcclient, np.full((1, 4), number, np.float32))]}

    async def body():
        async with grpc_aio.InferenceServerClient(server.grpc) as client:
            seen = {}
            async for result, error in client.stream_infer(requests()):
                assert error is None
                seen[result.get_response().id] = result.as_numpy("OUTPUT0")[0, 0]
            return seen

    assert asyncio.run(body()) == {str(number): number + 3 for number in range(20)}
