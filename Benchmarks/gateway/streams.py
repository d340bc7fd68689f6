# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Many event streams held at once through the gateway: frames lost, resident memory for each, and the soak.

Usage: streams.py MARTLET [STREAMS] [EVENTS]
"""
import asyncio
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time

STREAMS = int(sys.argv[2]) if len(sys.argv) > 2 else 2_000
EVENTS = int(sys.argv[3]) if len(sys.argv) > 3 else 40
PAUSE = 0.25


def event(number, last):
    return ("data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": f"t{number} "},
                                                "finish_reason": "stop" if last else None}]}) + "\n\n").encode()


async def provider(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    await reader.readexactly(length)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(EVENTS):
        data = event(number, number == EVENTS - 1)
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await asyncio.sleep(PAUSE)
    writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
    await writer.drain()
    writer.close()


async def client(port, started):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"model": "m", "stream": true, "messages": [{"role": "user", "content": "hello"}]}'
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\n"
                 b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    text = b""
    while data := await reader.read(65536):
        if not text:
            started.append(time.perf_counter())
        text += data
    writer.close()
    return text.count(b'"content"'), text.count(b"[DONE]")


def rss(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


async def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    server = await asyncio.start_server(provider, "127.0.0.1", 0, backlog=4096)
    upstream = server.sockets[0].getsockname()[1]
    folder = tempfile.mkdtemp()
    probe = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = probe.sockets[0].getsockname()[1]
    probe.close()
    with open(os.path.join(folder, "gateway.yaml"), "w") as file:
        file.write(f"listen: {{port: {port}}}\nlog: {{requests: false}}\n"
                   f"upstreams: {{up: \"http://127.0.0.1:{upstream}\"}}\n"
                   "pools: {p: {members: [up], concurrency: {max: 100000}}}\nmodels: {m: p}\n")
    begin = time.perf_counter()
    gateway = subprocess.Popen([sys.argv[1], "gateway", "--config", os.path.join(folder, "gateway.yaml")],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
            await reader.read()
            writer.close()
            break
        except OSError:
            await asyncio.sleep(0.001)
    print(f"start to first answer: {(time.perf_counter() - begin) * 1000:.0f} ms")
    before = rss(gateway.pid)
    started = []
    tasks = []
    for number in range(STREAMS):
        tasks.append(asyncio.create_task(client(port, started)))
        if number % 50 == 49:
            await asyncio.sleep(0.02)
    while len(started) < STREAMS and not all(task.done() for task in tasks):
        await asyncio.sleep(0.05)
    held = rss(gateway.pid)
    results = await asyncio.gather(*tasks)
    lost = sum(EVENTS - events for events, _ in results)
    cut = sum(done != 1 for _, done in results)
    print(f"{STREAMS} streams of {EVENTS} events held at once: {lost} frames lost, {cut} streams without their end; "
          f"resident memory {before / 1024:.1f} MiB before, {held / 1024:.1f} while held: "
          f"{(held - before) / STREAMS:.1f} KiB for each")
    gateway.terminate()
    gateway.wait()
    sys.exit(lost > 0 or cut > 0)


asyncio.run(main())
