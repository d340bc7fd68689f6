# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""A model provider that fails on demand: HTTP/1.1 by hand, so that it can do what no server would.

Each request takes the next behaviour of the script; without one it answers well. Runs an event loop
of its own in a thread. What it saw is in `requests` and `cancelled`.
"""
import asyncio
import json
import threading
import time

TOKENS = 60


def event(data):
    text = data if isinstance(data, str) else json.dumps(data)
    return f"data: {text}\n\n".encode()


def delta(text, finish=None, usage=None):
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real",
            "choices": [{"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}]}
    if usage:
        body["usage"] = usage
    return body


def usage(prompt=7, completion=TOKENS):
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class Provider:
    def __init__(self, name):
        self.name = name
        self.script = []
        self.default = "good"
        self.requests = []
        self.cancelled = []
        self.heads = []
        self.is_well = True
        self.probes = 0
        self.port = None
        self.server = None
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.start()

    def start(self, port=0):
        async def listen():
            return await asyncio.start_server(self.serve, "127.0.0.1", port or self.port or 0, backlog=1024)
        self.server = asyncio.run_coroutine_threadsafe(listen(), self.loop).result()
        self.port = self.server.sockets[0].getsockname()[1]

    def stop(self):
        """Nobody listens any more; connections in use end."""
        async def close():
            self.server.close()
            for task in asyncio.all_tasks():
                if task is not asyncio.current_task():
                    task.cancel()
        asyncio.run_coroutine_threadsafe(close(), self.loop).result()

    def reset(self, *script, default="good"):
        self.script = list(script)
        self.default = default
        self.requests.clear()
        self.cancelled.clear()
        self.heads.clear()

    # -- one connection

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                fields = {}
                for line in head.split(b"\r\n")[1:]:
                    name, _, value = line.partition(b":")
                    fields[name.strip().lower()] = value.strip()
                if b"chunked" in fields.get(b"transfer-encoding", b""):
                    body = b""
                    while True:
                        size = int((await reader.readline()).strip(), 16)
                        body += await reader.readexactly(size)
                        await reader.readline()
                        if not size:
                            break
                else:
                    body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
                path = head.split(b" ")[1].decode()
                if path == "/health":
                    self.heads.pop()
                    self.probes += 1
                    writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                                 % (200 if self.is_well else 503))
                    await writer.drain()
                    break
                self.requests.append((path, body, time.perf_counter()))
                behaviour = self.script.pop(0) if self.script else self.default
                if not await self.answer(behaviour, path, body, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def answer(self, behaviour, path, body, reader, writer):
        name, _, argument = behaviour.partition(":")
        try:
            request = json.loads(body) if body else {}
        except ValueError:
            request = {}
        if name == "status":
            status, _, after = argument.partition(":")
            text = json.dumps({"error": {"message": f"provider says {status}", "type": "x", "code": status}}).encode()
            extra = f"Retry-After: {after}\r\n" if after else ""
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}"
                         f"Content-Length: {len(text)}\r\n\r\n".encode() + text)
            await writer.drain()
            return True
        if name == "reset":
            writer.transport.abort()
            return False
        if name == "silent":
            await self.wait_for_end(reader, float(argument or 30))
            return False
        if name == "flood":
            return await self.flood(int(argument), writer)
        if request.get("stream") or name == "stream":
            options = request.get("stream_options") or {}
            return await self.stream(name, argument, reader, writer, options.get("include_usage", False))
        if path.startswith("/v2/"):
            text = json.dumps({"model_name": "m", "model_version": "1", "outputs": [
                {"name": "OUT", "datatype": "FP32", "shape": [2], "data": [1.5, 2.5]}]}).encode()
        else:
            text = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": request.get("model", ""),
                               "choices": [{"index": 0, "message": {"role": "assistant", "content": self.name},
                                            "finish_reason": "stop"}], "usage": usage(7, 5)}).encode()
        if argument:
            await asyncio.sleep(float(argument))
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
                     .encode() + text)
        await writer.drain()
        return True

    async def wait_for_end(self, reader, seconds):
        """Notes when the gateway gives up."""
        try:
            await asyncio.wait_for(reader.read(1), seconds)
            self.cancelled.append(time.perf_counter())
        except (asyncio.TimeoutError, ConnectionError):
            self.cancelled.append(time.perf_counter())

    async def flood(self, count, writer):
        piece = event(delta("x" * 4000))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
        return False

    async def stream(self, name, argument, reader, writer, tells_usage):
        def send(data):
            writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        if name == "error_first":
            send(event({"error": {"message": "overloaded", "type": "server_error", "code": "x"}}))
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return True
        for index in range(TOKENS):
            if name == "cut" and index == 40:
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.transport.abort() if argument == "reset" else writer.close()
                return False
            if name == "cut_clean" and index == 40:
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
            if name == "malformed" and index == 40:
                await writer.drain()
                await asyncio.sleep(0.05)
                writer.write(b"zz\r\nnonsense\r\n")
                await writer.drain()
                await self.wait_for_end(reader, 5)
                return False
            if name == "error_middle" and index == 40:
                send(event({"error": {"message": "gone wrong", "type": "server_error", "code": "x"}}))
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
            if name == "stall" and index == 20:
                await writer.drain()
                await self.wait_for_end(reader, 30)
                return False
            running = usage(7, index + 1) if name == "usage_each" else None
            send(event(delta(f"t{index} ", usage=running)))
            await writer.drain()
            if name == "slow":
                try:
                    await asyncio.wait_for(reader.read(1), 0.02)
                    self.cancelled.append(time.perf_counter())
                    return False
                except asyncio.TimeoutError:
                    pass
        last = usage() if name == "usage_wrong_chunk" else None
        send(event(delta("", finish="stop", usage=last)))
        if tells_usage and name not in ("no_usage", "usage_each", "usage_wrong_chunk"):
            send(event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real", "choices": [],
                        "usage": usage()}))
        if name == "usage_twice":
            send(event({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real", "choices": [],
                        "usage": usage()}))
        if name != "no_done":
            send(event("[DONE]"))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True
