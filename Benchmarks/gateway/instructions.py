# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""User instructions of one proxied request with the full policy: the difference of a long and a short run under callgrind.

Does not depend on how busy the machine is. Fails above the bar. Usage: instructions.py GATEWAY_BENCHMARK [BAR]
"""
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ANSWER = json.dumps({"id": "c1", "object": "chat.completion", "choices": [{"index": 0, "message": {
    "role": "assistant", "content": "hello there"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}).encode()
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 950}]}).encode()
SHORT, LONG, CONNECTIONS = 1_000, 5_000, 8


def upstream():
    """Answers whatever ends with BODY."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def serve(peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        seen = b""
        while data := peer.recv(65536):
            seen += data
            while (end := seen.find(BODY)) >= 0:
                seen = seen[end + len(BODY):]
                peer.sendall(ANSWER)

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def ask(port, count):
    peers = []
    for _ in range(CONNECTIONS):
        for _ in range(1_200):
            try:
                peers.append(socket.create_connection(("127.0.0.1", port)))
                break
            except OSError:
                time.sleep(0.05)
        else:
            sys.exit("the gateway did not start under callgrind")
    sent = 0
    while sent < count:
        for peer in peers:
            peer.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer sk-bench\r\n"
                         b"Content-Type: application/json\r\nX-User-Id: user-%02d\r\nContent-Length: %d\r\n\r\n"
                         % (sent % 97, len(BODY)) + BODY)
            sent += 1
        for peer in peers:
            answer = b""
            while not answer.endswith(b"}}"):
                answer += peer.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200"):
                sys.exit(answer.decode())


def run(program, config, port, count, folder):
    out = os.path.join(folder, f"callgrind.{count}")
    process = subprocess.Popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", program, "--config", config],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ask(port, count)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    with open(out) as file:
        return int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M).group(1))


def main():
    folder = os.environ.get("FOLDER") or tempfile.mkdtemp()
    program = os.path.join(folder, "gateway")
    # valgrind cannot read this Swift's DWARF.
    subprocess.run(["strip", "-g", sys.argv[1], "-o", program], check=True)
    bar = int(sys.argv[2]) if len(sys.argv) > 2 else 30_000
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    config = os.path.join(folder, "gateway.yaml")
    with open(config, "w") as file:
        file.write(f"""
listen: {{port: {port}}}
log: {{requests: false, traced: 1}}
keys: {{bench: {{sha256: {hashlib.sha256(b"sk-bench").hexdigest()}, tenant: t, limits: {{requests: {{max: 100000000, per: 1s}}, tokens: {{max: 100000000000, per: 1s}}}}}}}}
tenants: {{t: {{limits: {{requests: {{max: 100000000, per: 1s}}}}}}}}
upstreams: {{up: "http://127.0.0.1:{upstream()}"}}
pools: {{p: {{members: [up], concurrency: {{max: 100000}}}}}}
models:
  m:
    versions: {{v1: p, v2: p, v2-beta: p}}
    split: {{by: user, to: {{v1: 70, v2: 20, v2-beta: 10}}}}
    price: {{input: 1, output: 2}}
""")
    counts = [run(program, config, port, count, folder) for count in (SHORT, LONG)]
    each = (counts[1] - counts[0]) // (LONG - SHORT)
    print(f"{each} user instructions per request; at most {bar}")
    print("1 passed, 0 failed" if each <= bar else "0 passed, 1 failed")
    sys.exit(each > bar)


main()
