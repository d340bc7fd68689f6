# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Proxies side by side: processor time per request of the proxy's own process, one core each.

Run by ./run, which has built and started nothing yet: this starts an upstream (nginx), each proxy in
turn, loads it with wrk, and prints a table with ratios. Rounds are interleaved.
"""
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = int(os.environ.get("GATEWAY_BENCH_PORT", "21300"))
CORES = os.cpu_count() or 1
ANSWER = ('{"id":"c1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",'
          '"content":"hello there"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}')

UPSTREAM = """
worker_processes 1; daemon off; pid {folder}/up.pid; error_log {folder}/up.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300;
 server {{ listen 127.0.0.1:{port} backlog=4096;
  location / {{ default_type application/json; return 200 '{answer}'; }} }} }}
"""
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300;
 client_body_buffer_size 64k;
 split_clients "$http_x_user_id" $version {{ 70% v1; 20% v2; * v2-beta; }}
 upstream up {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
 server {{ listen 127.0.0.1:{port} backlog=4096;
  location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection "";
   proxy_set_header X-Model-Version $version; proxy_buffering on; }} }} }}
"""
HAPROXY = """
global
 nbthread 1
 maxconn 8192
defaults
 mode http
 timeout client 300s
 timeout server 300s
 timeout connect 5s
 http-reuse always
frontend door
 bind 127.0.0.1:{port}
 http-request set-var(txn.place) req.hdr(X-User-Id),djb2,mod(100)
 http-request set-header X-Model-Version v1 if {{ var(txn.place) -m int lt 70 }}
 http-request set-header X-Model-Version v2 if {{ var(txn.place) -m int ge 70 }}
 default_backend up
backend up
 server up 127.0.0.1:{upstream}
"""
GATEWAY = """
listen: {{port: {port}}}
log: {{requests: false, traced: 1}}
{keys}
upstreams: {{up: "http://127.0.0.1:{upstream}"}}
pools: {{p: {{members: [up], concurrency: {{max: 100000}}}}}}
models:
  m:
    versions: {{v1: p, v2: p, v2-beta: p}}
    split: {{by: user, to: {{v1: 70, v2: 20, v2-beta: 10}}}}
    price: {{input: 1, output: 2}}
"""
KEYS = """
keys: {{bench: {{sha256: {digest}, tenant: t, limits: {{requests: {{max: 100000000, per: 1s}}, tokens: {{max: 100000000000, per: 1s}}}}}}}}
tenants: {{t: {{limits: {{requests: {{max: 100000000, per: 1s}}}}}}}}
"""


def pin(core, command):
    return ["taskset", "-c", str(core), *command] if CORES > 1 else command


def cpu(pid):
    """Nanoseconds that all of a process's threads have run."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def family(pid):
    """The process and its children (nginx works in one)."""
    found = [pid]
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == pid:
                        found.append(int(entry))
            except OSError:
                pass
    return found


def rss(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1)) / 1024


def wait_for(port):
    import socket
    start = time.perf_counter()
    while time.perf_counter() - start < 10:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.002)
    sys.exit(f"nothing listens on {port}")


def load(port, connections, seconds):
    out = subprocess.run(
        pin(CORES - 1, ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s",
                        os.path.join(HERE, "post.lua"), f"http://127.0.0.1:{port}/v1/chat/completions"]),
        capture_output=True, text=True).stdout
    count = int(re.search(r"(\d+) requests in", out).group(1))
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    if bad:
        sys.exit(f"{bad.group(1)} of {count} requests failed on port {port}")
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    scale = {"us": 1e-3, "ms": 1.0, "s": 1e3}[p99.group(2)]
    return count, float(p99.group(1)) * scale


def latency(port, seconds):
    """p50 and p99 in ms at 1 000 requests a second on 20 connections."""
    body = '{"model":"m","messages":[{"role":"user","content":"' + "x" * 940 + '"}]}'
    out = subprocess.run(
        pin(CORES - 1, ["hey", "-z", f"{seconds}s", "-c", "20", "-q", "50", "-m", "POST", "-T", "application/json",
                        "-H", "Authorization: Bearer sk-bench", "-H", "X-User-Id: user-1234", "-d", body,
                        f"http://127.0.0.1:{port}/v1/chat/completions"]), capture_output=True, text=True).stdout
    counts = dict(re.findall(r"\[(\d+)\]\s+(\d+) responses", out))
    if set(counts) != {"200"}:
        sys.exit(f"at 1 000 requests/s port {port} answered {counts}")
    return [float(re.search(rf"{p}% in ([\d.]+) secs", out).group(1)) * 1000 for p in (50, 99)]


def main():
    martlet, go = sys.argv[1], sys.argv[2]
    # With aiohttp, fastapi, httpx and uvicorn; without it those two are left out.
    python = os.environ.get("MARTLET_PYTHON")
    connections = [int(c) for c in os.environ.get("CONNECTIONS", "64,256").split(",") if c]
    seconds = int(os.environ.get("SECONDS_EACH", "3"))
    rounds = int(os.environ.get("ROUNDS", "2"))
    paced = int(os.environ.get("PACED_SECONDS", "0"))
    only = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else None
    folder = tempfile.mkdtemp()
    upstream = BASE

    def write(name, text, **values):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(text.format(folder=folder, upstream=upstream, answer=ANSWER, **values))
        return path

    digest = hashlib.sha256(b"sk-bench").hexdigest()
    names = {
        "nginx": lambda port: ["nginx", "-c", write("nginx.conf", NGINX, port=port)],
        "haproxy": lambda port: ["haproxy", "-db", "-f", write("haproxy.cfg", HAPROXY, port=port)],
        "go minimal": lambda port: [go, "minimal", str(port), f"http://127.0.0.1:{upstream}"],
        "go ReverseProxy": lambda port: [go, "reverse", str(port), f"http://127.0.0.1:{upstream}"],
        **{kind: lambda port, kind=kind: [
            python, os.path.join(HERE, "proxies.py"), kind, str(port), f"http://127.0.0.1:{upstream}"]
           for kind in (["aiohttp", "fastapi"] if python else [])},
        "martlet bare": lambda port: [martlet, "gateway", "--config", write(
            "bare.yaml", GATEWAY, port=port, keys="")],
        "martlet full": lambda port: [martlet, "gateway", "--config", write(
            "full.yaml", GATEWAY, port=port, keys=KEYS.format(digest=digest))],
    }
    running = [subprocess.Popen(pin(CORES - 1, ["nginx", "-c", write("up.conf", UPSTREAM, port=upstream)]))]
    wait_for(upstream)
    proxies = {}
    try:
        for index, (name, command) in enumerate(names.items()):
            if only and name not in only:
                continue
            port = BASE + 1 + index
            process = subprocess.Popen(
                pin(0, command(port)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running.append(process)
            wait_for(port)
            proxies[name] = (port, process.pid)
        results = {name: {c: [] for c in connections} for name in proxies}
        sizes = {}
        for _ in range(rounds):
            for c in connections:
                for name, (port, pid) in proxies.items():
                    load(port, c, 1)
                    before = sum(cpu(p) for p in family(pid))
                    count, p99 = load(port, c, seconds)
                    used = sum(cpu(p) for p in family(pid)) - before
                    results[name][c].append((used / count / 1000, p99, count / seconds))
                    sizes[name, c] = max(rss(p) for p in family(pid))
        for c in connections:
            base = min(r[0] for r in results["nginx"][c]) if "nginx" in results else None
            print(f"\n{c} connections, 1 KB POST, one core for the proxy")
            print(f"{'proxy':18}{'CPU µs/request':>16}{'x nginx':>9}{'requests/s':>12}{'p99 ms':>8}{'RSS MiB':>9}")
            for name in proxies:
                best = min(results[name][c])
                ratio = f"{best[0] / base:.2f}" if base else ""
                print(f"{name:18}{best[0]:16.1f}{ratio:>9}{best[2]:12.0f}{best[1]:8.2f}{sizes[name, c]:9.1f}")
        if paced:
            print("\n1 000 requests/s on 20 connections: p50 and p99 in ms, best of the rounds")
            found = {name: [] for name in ["the upstream itself", *proxies]}
            for _ in range(rounds):
                for name in found:
                    found[name].append(latency(proxies[name][0] if name in proxies else upstream, paced))
            for name, pairs in found.items():
                print(f"{name:22}{min(p[0] for p in pairs):8.2f}{min(p[1] for p in pairs):8.2f}")
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


if __name__ == "__main__":
    main()
