# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""`martlet serve --gateway`: the gateway before the models of its own process, and gRPC to another martlet."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import urllib.request
import zlib

import httpx
import numpy as np
import openai
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from conftest import SECRETS, digest, free_port

MODELS = pathlib.Path(__file__).parents[2] / "Examples" / "models"
KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


class Server:
    def __init__(self, folder):
        self.port, self.http, self.grpc = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "gateway.yaml").write_text(f"""
listen: {{port: {self.port}}}
keys:
  alice: {{sha256: {digest("alice")}}}
  bob: {{sha256: {digest("bob")}, limits: {{requests: {{max: 2, per: 60s}}}}}}
admin: {{sha256: {digest("admin")}}}
upstreams:
  here: {{local: tiny-embedder}}
  numbers: {{local: digits, protocol: kserve}}
  writer: {{local: tiny-chat}}
  nowhere: http://127.0.0.1:9
  door: {{url: "http://127.0.0.1:{self.grpc}", protocol: grpc}}
pools:
  safe: {{members: [nowhere, {{upstream: here, priority: 1}}], attempts: 2}}
models:
  embed: here
  seen: numbers
  safe: safe
  calls: {{versions: {{v1: {{pool: door, model: digits}}}}}}
  remembering:
    versions: {{v1: writer}}
    semantic_cache: {{embeddings: here, model: tiny-embedder, threshold: 0.6, entries: 10, ttl: 60s, timeout: 5s}}
  doubled:
    versions: {{v1: writer, v2: {{pool: writer, model: tiny-chat}}}}
    default: v1
    shadow: {{to: v2, percent: 100, noise: true, concurrency: 4}}
""")
        self.log = open(folder / "log", "ab")
        self.process = subprocess.Popen(
            [os.environ["MARTLET_BIN"], "serve", "--gateway", str(folder / "gateway.yaml"), "--http-port",
             str(self.http), "--grpc-port", str(self.grpc), "--metrics-port", "-1", str(MODELS / "digits"),
             str(MODELS / "tiny-embedder"), str(MODELS / "tiny-chat.gguf")], stdout=self.log, stderr=self.log)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v2/health/ready", timeout=1)
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError((folder / "log").read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("local"))
    yield server
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0


def client(server, key="alice"):
    return openai.OpenAI(base_url=server.url + "/v1", api_key=SECRETS[key], max_retries=0, timeout=20)


def test_embeddings(server):
    direct = openai.OpenAI(base_url=f"http://127.0.0.1:{server.http}/v1", api_key="x")
    expected = direct.embeddings.create(model="tiny-embedder", input=["a word"]).data[0].embedding
    for model in ("embed", "safe"):
        answer = client(server).embeddings.create(model=model, input=["a word"])
        assert answer.data[0].embedding == expected and answer.usage.prompt_tokens > 0


def test_models_are_listed(server):
    names = [model.id for model in client(server).models.list()]
    assert {"embed", "seen", "remembering"} <= set(names) and "tiny-embedder" not in names
    rest = triton.InferenceServerClient(server.url.removeprefix("http://"))
    assert rest.is_server_ready()
    states = {entry["name"]: entry["state"] for entry in rest.get_model_repository_index(headers=KEY)}
    assert states["seen"] == "READY"


def test_limits_and_keys(server):
    for _ in range(2):
        client(server, "bob").embeddings.create(model="embed", input="x")
    with pytest.raises(openai.RateLimitError):
        client(server, "bob").embeddings.create(model="embed", input="x")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0).embeddings.create(
            model="embed", input="x")
    with pytest.raises(openai.NotFoundError):
        client(server).embeddings.create(model="tiny-embedder", input="x")


def image():
    """A gray PNG of 28 by 28."""
    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
            + part(b"IDAT", zlib.compress(b"".join(b"\0" + bytes([9 * row] * 28) for row in range(28))))
            + part(b"IEND", b""))


def digits_input(module, signature):
    given = signature["inputs"][0]
    shape = [1 if int(size) < 0 else int(size) for size in given["shape"]]
    tensor = module.InferInput(given["name"], shape, given["datatype"])
    tensor.set_data_from_numpy(np.full(shape, image(), dtype=object))
    return [tensor]


def test_triton_over_http(server):
    direct = triton.InferenceServerClient(f"127.0.0.1:{server.http}")
    signature = direct.get_model_metadata("digits")
    expected = direct.infer("digits", digits_input(triton, signature))
    through = triton.InferenceServerClient(f"127.0.0.1:{server.port}")
    assert through.is_model_ready("seen", headers=KEY)
    answer = through.infer("seen", digits_input(triton, signature), headers=KEY)
    name = signature["outputs"][0]["name"]
    assert (answer.as_numpy(name) == expected.as_numpy(name)).all()
    with pytest.raises(InferenceServerException):
        through.infer("seen", digits_input(triton, {"inputs": [{**signature["inputs"][0], "name": "other"}]}),
                      headers=KEY)


def test_triton_over_grpc(server):
    signature = triton.InferenceServerClient(f"127.0.0.1:{server.http}").get_model_metadata("digits")
    direct = triton_grpc.InferenceServerClient(f"127.0.0.1:{server.grpc}")
    through = triton_grpc.InferenceServerClient(f"127.0.0.1:{server.port}")
    headers = {"authorization": KEY["Authorization"]}
    name = signature["outputs"][0]["name"]
    expected = direct.infer("digits", digits_input(triton_grpc, signature)).as_numpy(name)
    for _ in range(20):
        answer = through.infer("calls", digits_input(triton_grpc, signature), headers=headers)
        assert (answer.as_numpy(name) == expected).all()
    assert through.get_model_metadata("calls", headers=headers).name == "digits"
    with pytest.raises(InferenceServerException) as failure:
        through.infer("seen", digits_input(triton_grpc, signature), headers=headers)
    assert "gRPC" in str(failure.value)


def ask(server, model, content, **more):
    headers = {"Authorization": KEY["Authorization"]}  # without what tritonclient has put into KEY
    answer = httpx.post(server.url + "/v1/chat/completions", headers=headers, timeout=20, json={
        "model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 8, "temperature": 0, **more})
    assert answer.status_code == 200, answer.text
    return answer


def made(server):
    """Answers that the process's own model has made."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.http}/v2/models/tiny-chat/stats", timeout=10) as answer:
        return json.loads(answer.read())["model_stats"][0]["execution_count"]


def test_meaning_is_found_by_the_processs_own_embedder(server):
    before = made(server)
    first = ask(server, "remembering", "The server refused the connection.")
    assert "x-martlet-cache" not in first.headers
    alike = ask(server, "remembering", "The server closed the connection.")
    assert alike.headers["x-martlet-cache"].startswith("semantic; cosine=0.7") and alike.json() == first.json()
    unlike = ask(server, "remembering", "A list of colours and shapes.")
    assert "x-martlet-cache" not in unlike.headers
    assert made(server) == before + 2
    streams = [ask(server, "remembering", "Tell me about threads.", stream=True) for _ in range(2)]
    assert streams[1].headers["x-martlet-cache"].startswith("semantic; cosine=1")
    assert streams[0].text == streams[1].text and streams[1].text.endswith("data: [DONE]\n\n")


def test_shadows_ask_the_processs_own_models(server):
    before = made(server)
    for number in range(5):
        ask(server, "doubled", f"Question {number}", stream=number == 4)
    for _ in range(200):
        answer = httpx.get(server.url + "/admin/compare/doubled",
                           headers={"Authorization": "Bearer " + SECRETS["admin"]})
        if answer.status_code == 200 and answer.json()["report"]["exchanges"] == 5:
            break
        time.sleep(0.02)
    report = answer.json()["report"]
    assert (report["exchanges"], report["equal"], report["noise_exchanges"]) == (5, 5, 5), report["paths"]
    assert report["tokens"]["primary"] == report["tokens"]["candidate"] > 0
    assert made(server) == before + 15, "each was asked of the primary twice and of the candidate once"
