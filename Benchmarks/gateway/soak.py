# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""The gateway with the full policy under load for a long time: its resident memory by requests answered.

soak.py MARTLET [REQUESTS, 10000000]. Every fifth slice of the load opens a connection for each request, every fifth
goes by HTTP/2 (h2load, where it is installed). Fails when a request does, or when the last quarter of the run holds more
memory than the second by over 2 MiB.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import bench

SLICE_SECONDS = int(os.environ.get("SLICE_SECONDS", "10"))


def load_closing(port):
    """A connection for each request, from few at a time: ports would run out."""
    out = subprocess.run(
        bench.pin(bench.CORES - 1, ["wrk", "-t1", "-c8", "-d1s", "-H", "Connection: close", "-s",
                                    os.path.join(bench.HERE, "post.lua"),
                                    f"http://127.0.0.1:{port}/v1/chat/completions"]),
        capture_output=True, text=True).stdout
    if "Non-2xx" in out:
        sys.exit(out)
    return int(re.search(r"(\d+) requests in", out).group(1))


def load_http2(port, folder):
    body = os.path.join(folder, "body.json")
    with open(body, "w") as file:
        file.write('{"model":"m","messages":[{"role":"user","content":"' + "x" * 940 + '"}]}')
    count = 20_000
    out = subprocess.run(
        bench.pin(bench.CORES - 1, ["h2load", "-n", str(count), "-c8", "-m16", "-d", body,
                                    "-H", "content-type: application/json", "-H", "authorization: Bearer sk-bench",
                                    f"http://127.0.0.1:{port}/v1/chat/completions"]),
        capture_output=True, text=True).stdout
    if f"{count} 2xx" not in out:
        sys.exit(out)
    return count


def main():
    martlet = sys.argv[1]
    wanted = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    folder = tempfile.mkdtemp()
    upstream, port = bench.BASE, bench.BASE + 1
    digest = hashlib.sha256(b"sk-bench").hexdigest()
    files = {"up.conf": bench.UPSTREAM.format(folder=folder, port=upstream, answer=bench.ANSWER),
             "full.yaml": bench.GATEWAY.format(port=port, upstream=upstream, keys=bench.KEYS.format(digest=digest))}
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as file:
            file.write(text)
    running = [subprocess.Popen(bench.pin(bench.CORES - 1, ["nginx", "-c", os.path.join(folder, "up.conf")]))]
    try:
        bench.wait_for(upstream)
        gateway = subprocess.Popen(
            bench.pin(0, [martlet, "gateway", "--config", os.path.join(folder, "full.yaml")]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        running.append(gateway)
        bench.wait_for(port)
        began, done, number, samples = time.monotonic(), 0, 0, []
        print(f"{'requests':>10}{'seconds':>9}{'RSS MiB':>9}   at the start {bench.rss(gateway.pid):.1f}", flush=True)
        while done < wanted:
            number += 1
            if number % 5 == 4:
                done += load_closing(port)
            elif number % 5 == 0 and shutil.which("h2load"):
                done += load_http2(port, folder)
            else:
                done += bench.load(port, 256 if number % 5 == 1 else 64, SLICE_SECONDS)[0]
            samples.append((done, bench.rss(gateway.pid)))
            print(f"{done:10}{time.monotonic() - began:9.0f}{samples[-1][1]:9.1f}", flush=True)
        def most(low, high):
            return max(size for count, size in samples if low * done < count <= high * done)
        early, late = most(0.2, 0.55), most(0.7, 1)
        print(f"{done} requests, none failed; at most {early:.1f} MiB in the second quarter, {late:.1f} in the last")
        sys.exit(0 if late <= early + 2 else 1)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


if __name__ == "__main__":
    main()
