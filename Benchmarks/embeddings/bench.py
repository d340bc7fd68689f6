# SPDX-License-Identifier: Apache-2.0
"""Embeddings over HTTP: Martlet against sentence-transformers and onnxruntime behind FastAPI.

    python bench.py --martlet BINARY --model FOLDER [--rounds 3] [--seconds 4] [--threads 2]

Every server runs alone on the same threads; rounds interleave the servers; each figure is the
median over rounds, each ratio the median of the rounds' ratios. Clients hold one connection each
and send one sentence per request. Peak RSS is the server's own (VmHWM).
"""

import argparse
import http.client
import json
import pathlib
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SENTENCES = [
    "How do I reset my password?", "The quick brown fox jumps over the lazy dog.",
    "Invoices are sent on the first working day of each month.", "Où se trouve la gare ?",
    "Gradient descent converges when the learning rate is small enough.",
    "A man is playing a guitar on stage while the crowd sings along with him.",
    "Bitte senden Sie mir die Unterlagen bis Freitag.", "The server refused the connection.",
    "Our return policy lets you send back any item within thirty days, provided that it is unused "
    "and in its original packaging, and we will refund the full price including shipping.",
    "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.",
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def export_onnx(folder, path):
    import torch
    from transformers import AutoModel
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()


    class Encoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask, types):
            return self.model(input_ids=ids, attention_mask=mask, token_type_ids=types)[0]

    ids = torch.ones(2, 16, dtype=torch.int64)
    axes = {0: "batch", 1: "sequence"}
    torch.onnx.export(
        Encoder(), (ids, ids, ids), path, input_names=["input_ids", "attention_mask", "token_type_ids"],
        output_names=["last_hidden_state"], opset_version=17, dynamo=False,
        dynamic_axes={n: axes for n in ["input_ids", "attention_mask", "token_type_ids", "last_hidden_state"]})


class Server:
    def __init__(self, name, command, port, ready):
        self.name, self.port = name, port
        started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                c.request("GET", ready)
                if c.getresponse().status == 200:
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() - started > 180:
                sys.exit(f"{name} did not start")
            time.sleep(0.02)
        self.start_seconds = time.monotonic() - started

    def peak_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(l for l in status.splitlines() if l.startswith("VmHWM")).split()[1]) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def load(port, model, clients, seconds, texts_per_request):
    latencies, errors, lock = [], [0], threading.Lock()
    stop_at = time.monotonic() + seconds

    def client(seed):
        chooser, own = random.Random(seed), []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < stop_at:
            texts = [chooser.choice(SENTENCES) for _ in range(texts_per_request)]
            body = json.dumps({"model": model, "input": texts})
            begun = time.perf_counter()
            connection.request("POST", "/v1/embeddings", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200 or len(answer) < 1000:
                with lock:
                    errors[0] += 1
                continue
            own.append(time.perf_counter() - begun)
        with lock:
            latencies.extend(own)

    begun = time.monotonic()
    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    took = time.monotonic() - begun
    latencies.sort()
    if not latencies or errors[0]:
        sys.exit(f"{errors[0]} errors, {len(latencies)} answers")
    return {
        "rate": len(latencies) * texts_per_request / took,
        "p50": latencies[len(latencies) // 2] * 1e3,
        "p99": latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))] * 1e3,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--martlet", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", default="ort,st")
    arguments = parser.parse_args()
    folder = str(pathlib.Path(arguments.model).resolve())
    name = pathlib.Path(folder).name
    here = pathlib.Path(__file__).parent
    onnx = str(pathlib.Path(tempfile.mkdtemp()) / "model.onnx")
    export_onnx(folder, onnx)

    def start(kind):
        port = free_port()
        if kind == "martlet":
            command = [
                arguments.martlet, "serve", folder, "--http-port", str(port), "--grpc-port", "-1",
                "--metrics-port", "-1", "--threads", str(arguments.threads)]
            return Server(kind, command, port, "/v2/health/ready")
        command = [sys.executable, str(here / "peer_server.py"), kind, folder, str(port), str(arguments.threads), onnx]
        return Server(kind, command, port, "/ready")

    shapes = [(1, 1), (8, 1), (32, 1), (1, 32)]
    kinds = ["martlet"] + arguments.peers.split(",")
    figures = {(k, s): [] for k in kinds for s in shapes}
    peaks, starts = {k: [] for k in kinds}, {k: [] for k in kinds}
    for _ in range(arguments.rounds):
        for kind in kinds:
            server = start(kind)
            load(server.port, name, 4, 1, 1)
            for shape in shapes:
                figures[kind, shape].append(load(server.port, name, shape[0], arguments.seconds, shape[1]))
            peaks[kind].append(server.peak_mib())
            starts[kind].append(server.start_seconds)
            server.stop()
    print(f"{'server':10} {'clients':>7} {'texts':>5} {'sentences/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'martlet is':>11}")
    for shape in shapes:
        for kind in kinds:
            rows = figures[kind, shape]
            ratio = statistics.median(
                m["rate"] / o["rate"] for m, o in zip(figures["martlet", shape], rows))
            print(
                f"{kind:10} {shape[0]:7} {shape[1]:5} {statistics.median(r['rate'] for r in rows):12.1f} "
                f"{statistics.median(r['p50'] for r in rows):8.2f} {statistics.median(r['p99'] for r in rows):8.2f} {ratio:10.2f}x")
    for kind in kinds:
        print(f"{kind:10} peak RSS {statistics.median(peaks[kind]):7.0f} MiB   start {statistics.median(starts[kind]):6.2f} s")


if __name__ == "__main__":
    main()
