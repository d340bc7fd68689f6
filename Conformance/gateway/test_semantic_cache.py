# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Questions of the same meaning are answered from memory; the embeddings come from an upstream."""
import json
import math

import httpx
import pytest

from conftest import SECRETS
from talker import Talker, chat, gateway_with

MODELS = """  remembering:
    versions: {v1: {pool: thinker, model: real}}
    semantic_cache: {embeddings: embedder, model: mini, threshold: 0.95, entries: 50, ttl: 60s, timeout: 300ms}
"""
ANGLES = {"What is the capital of France?": 0.0, "France's capital is what?": 0.1, "How tall is Everest?": 1.2}


def direction(path, request):
    assert path == "/v1/embeddings" and request["model"] == "mini"
    angle = ANGLES[request["input"]]
    return {"data": [{"index": 0, "embedding": [math.cos(angle), math.sin(angle)]}]}


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def memory(tmp_path, request):
    thinker = Talker("thinker", lambda path, request: chat("about " + request["messages"][-1]["content"]))
    embedder = Talker("embedder", direction)
    gateway = gateway_with(tmp_path, [thinker, embedder], MODELS)
    is_new = request.param == "HTTP/2"
    with httpx.Client(timeout=10, http1=not is_new, http2=is_new) as client:
        yield gateway, thinker, embedder, client
    gateway.stop()


def ask(gateway, client, question, key="alice", headers={}, **more):
    answer = client.post(
        gateway.url + "/v1/chat/completions",
        headers={"Authorization": "Bearer " + SECRETS[key], **headers},
        json={"model": "remembering", "messages": [{"role": "user", "content": question}], **more})
    return answer


def test_meaning(memory):
    gateway, thinker, embedder, client = memory
    one, same, other = ANGLES
    first = ask(gateway, client, one)
    assert "x-martlet-cache" not in first.headers
    again = ask(gateway, client, same)
    assert again.headers["x-martlet-cache"] == "semantic; cosine=0.995" and again.json() == first.json()
    assert len(thinker.requests) == 1
    assert ask(gateway, client, other).json() != first.json() and len(thinker.requests) == 2
    # What else is asked for must be the same.
    ask(gateway, client, same, temperature=0.1)
    ask(gateway, client, same, headers={"Cache-Control": "no-cache"})
    assert len(thinker.requests) == 4
    # An answer from memory is billed to nobody.
    usage = json.loads(gateway.get("/admin/usage"))["usage"]
    assert [row["requests"] for row in usage if row["model"] == "remembering"] == [4]
    counters = gateway.counters()
    assert counters['martlet_gateway_semantic_hits_total{model="remembering"}'] == 1
    assert counters['martlet_gateway_semantic_entries{model="remembering"}'] == 3


def test_nobody_sees_anothers(memory):
    gateway, thinker, embedder, client = memory
    one, same, _ = ANGLES
    ask(gateway, client, one)
    # bob is of another tenant (and may not use this model at all): configure him in.
    assert gateway.admin("PUT", "/admin/config", gateway.text().replace(", models: [solo]", ""))[0] == 200
    assert "x-martlet-cache" not in ask(gateway, client, same, key="bob").headers
    assert "x-martlet-cache" in ask(gateway, client, same).headers


@pytest.mark.parametrize("trouble", ["slow", "failing", "nonsense", "refused"])
def test_without_embeddings(memory, trouble):
    gateway, thinker, embedder, client = memory
    embedder.reply = {"slow": lambda *_: 5, "failing": lambda *_: ({}, 500, ""),
                      "nonsense": lambda *_: {"data": [{"embedding": ["x"]}]}, "refused": None}[trouble]
    if trouble == "refused":
        embedder.stop()
    for _ in range(2):
        assert ask(gateway, client, next(iter(ANGLES))).status_code == 200
    assert len(thinker.requests) == 2
    assert gateway.counters()['martlet_gateway_semantic_failures_total{model="remembering"}'] == 2


def test_failures_and_streams(memory):
    gateway, thinker, embedder, client = memory
    one, same, _ = ANGLES
    good = thinker.reply
    thinker.reply = lambda *_: ({"error": {}}, 500, "")
    assert ask(gateway, client, one).status_code == 500
    thinker.requests.clear()
    events = [{"choices": [{"index": 0, "delta": {"content": letter}}]} for letter in "Paris"] + [
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    thinker.reply = lambda *_: events
    texts = []
    for question in (one, same):
        stream = gateway.client().chat.completions.create(
            model="remembering", messages=[{"role": "user", "content": question}], stream=True)
        texts.append("".join(chunk.choices[0].delta.content or "" for chunk in stream))
    assert texts == ["Paris", "Paris"] and len(thinker.requests) == 1
    thinker.reply = good
    assert ask(gateway, client, one).json()["choices"][0]["message"]["content"].startswith("about")
