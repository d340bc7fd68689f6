# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""A provider that says what a test tells it to, and gateways of a test's own before several of them."""
import asyncio
import json

from conftest import Gateway
from provider import Provider, event


class Talker(Provider):
    """`reply(path, request)` gives a document, a list of events, bytes with extra fields, or seconds to be silent."""

    def __init__(self, name, reply):
        self.reply = reply
        super().__init__(name)

    async def answer(self, behaviour, path, body, reader, writer):
        try:
            request = json.loads(body) if body else {}
        except ValueError:
            request = {}
        return await self.write_answer(self.reply(path, request), reader, writer)

    async def write_answer(self, said, reader, writer):
        if isinstance(said, (int, float)):
            await self.wait_for_end(reader, said)
            return False
        status, fields, kind = 200, "", "application/json"
        if isinstance(said, tuple):
            said, status, fields = said
        if isinstance(said, list):
            kind, text = "text/event-stream", b"".join(map(event, said)) + event("[DONE]")
        else:
            text = said if isinstance(said, bytes) else json.dumps(said).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{fields}Content-Length: {len(text)}\r\n\r\n"
                     .encode() + text)
        await writer.drain()
        return True


def chat(text, **more):
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "real",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", **more}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}}


def gateway_with(folder, talkers, models, more="", pools="pools:\n"):
    """A gateway whose upstreams are the talkers by name, with these models besides the usual."""
    base = Gateway.text

    class Own(Gateway):
        def text(self, **changes):
            lines = "".join(f"  {one.name}: http://127.0.0.1:{one.port}\n" for one in talkers)
            return base(self, more=models, **changes).replace("pools:\n", lines + pools, 1) + more

    spare = Provider("spare")
    return Own(folder, spare, spare, spare)
