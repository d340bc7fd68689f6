# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Time to a stream's first event: the upstream itself, and what nginx, haproxy and the gateway add to it.

All are asked in turn, one request each, so that whatever the machine does meets all of them alike; meanwhile HELD
streams run through each with an event every 50 ms. Medians of five parts' p50 and p99.
Usage: first_token.py MARTLET [REQUESTS] [HELD]
"""
import asyncio
import hashlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import bench

PARTS = 5
EVENT = b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [
    {"index": 0, "delta": {"content": "token "}, "finish_reason": None}]}).encode() + b"\n\n"
LAST = EVENT.replace(b"null", b'"stop"') + b"data: [DONE]\n\n"
BODY = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "x" * 900}]}).encode()


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def request(held=0):
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer sk-bench\r\nX-Held: %d\r\n"
            b"Content-Type: application/json\r\nX-User-Id: user-12\r\nContent-Length: %d\r\n\r\n" % (held, len(BODY)) + BODY)


class Upstream(asyncio.Protocol):
    """Says the first event at once and the rest 2 ms later, or goes on for as long as X-Held says (events)."""

    def connection_made(self, transport):
        self.transport, self.seen = transport, b""

    def data_received(self, data):
        self.seen += data
        if self.seen.endswith(BODY):
            held = int(re.search(rb"(?i)x-held: (\d+)", self.seen).group(1))
            self.seen = b""
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 + chunk(EVENT))
            asyncio.get_running_loop().call_later(0.05 if held else 0.002, self.more, held)

    def more(self, left):
        if self.transport.is_closing():
            return
        if left > 1:
            self.transport.write(chunk(EVENT))
            asyncio.get_running_loop().call_later(0.05, self.more, left - 1)
        else:
            self.transport.write(chunk(LAST) + b"0\r\n\r\n")


async def serve(port):
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


async def hold(ports, count):
    """Streams that run while the others are timed; nobody reads what they say but the system."""
    async def one(port):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(held=100))
            while not (await reader.readuntil(b"\r\n")).startswith(b"0\r\n"):
                pass
            writer.close()
    await asyncio.gather(*(one(port) for port in ports for _ in range(count)))


def first_event(peer):
    """Seconds to the first event; reads the answer to its end."""
    began = time.perf_counter()
    peer.sendall(request())
    text, first = b"", None
    while not text.endswith(b"0\r\n\r\n"):
        data = peer.recv(65536)
        text += data
        if first is None and b"data: " in text:
            first = time.perf_counter() - began
        if not data:
            sys.exit(f"a stream was cut: {text[-300:]}")
    if not text.startswith(b"HTTP/1.1 200") or text.count(b"token") != 2:
        sys.exit(f"a stream went wrong: {text[:500]}")
    return first


def main():
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 3_000
    held = int(sys.argv[3]) if len(sys.argv) > 3 else 8
    folder, upstream = tempfile.mkdtemp(), bench.BASE + 50

    def write(name, text, **values):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(text.format(folder=folder, upstream=upstream, answer="", **values))
        return path

    keys = bench.KEYS.format(digest=hashlib.sha256(b"sk-bench").hexdigest())
    commands = {
        "nginx": lambda port: ["nginx", "-c", write(
            "nginx.conf", bench.NGINX.replace("proxy_buffering on", "proxy_buffering off"), port=port)],
        "haproxy": lambda port: ["haproxy", "-db", "-f", write("haproxy.cfg", bench.HAPROXY.replace(
            " http-reuse always", " http-reuse always\n option http-no-delay"), port=port)],
        "martlet full": lambda port: [sys.argv[1], "gateway", "--config", write(
            "full.yaml", bench.GATEWAY, port=port, keys=keys)],
    }
    last, quiet = bench.CORES - 1, {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    running = [subprocess.Popen(bench.pin(last, [sys.executable, __file__, "--serve", str(upstream)]))]
    ports = {"the upstream itself": upstream}
    try:
        bench.wait_for(upstream)
        for index, (name, command) in enumerate(commands.items()):
            ports[name] = upstream + 1 + index
            running.append(subprocess.Popen(bench.pin(0, command(ports[name])), **quiet))
            bench.wait_for(ports[name])
        if held:
            proxies = [str(port) for name, port in ports.items() if name in commands]
            running.append(subprocess.Popen(
                bench.pin(last, [sys.executable, __file__, "--hold", str(held), *proxies]), **quiet))
        peers = {}
        for name, port in ports.items():
            peers[name] = socket.create_connection(("127.0.0.1", port))
            peers[name].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers[name].settimeout(10)
        times = {name: [] for name in peers}
        for number in range(count + 100):
            # In another order each time: nobody always comes after the same one.
            order = list(peers)
            order = order[number % len(order):] + order[:number % len(order)]
            for name in order:
                taken = first_event(peers[name])
                if number >= 100:
                    times[name].append(taken * 1e3)
    finally:
        for process in running:
            process.terminate()

    def quantile(name, share):
        size = count // PARTS
        parts = [sorted(times[name][start:start + size]) for start in range(0, size * PARTS, size)]
        return statistics.median(part[min(int(share * size), size - 1)] for part in parts)

    print(f"time to the first event in ms, {count} streams each, {held} more held through each proxy")
    print(f"{'':22}{'p50':>8}{'p99':>8}{'added p50':>11}{'added p99':>11}{'added p50 x nginx':>19}")
    base = [quantile("the upstream itself", share) for share in (0.5, 0.99)]
    for name in times:
        found = [quantile(name, share) for share in (0.5, 0.99)]
        added = [one - other for one, other in zip(found, base)]
        ratio = added[0] / (quantile("nginx", 0.5) - base[0])
        print(f"{name:22}{found[0]:8.3f}{found[1]:8.3f}" + (
            f"{added[0]:11.3f}{added[1]:11.3f}{ratio:19.2f}" if name in commands else ""))


if sys.argv[1] == "--serve":
    asyncio.run(serve(int(sys.argv[2])))
elif sys.argv[1] == "--hold":
    asyncio.run(hold([int(port) for port in sys.argv[3:]], int(sys.argv[2])))
else:
    main()
