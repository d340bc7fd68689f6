# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""A small model is asked first; a larger one when the small one is not sure, fails, or takes too long."""
import json
import time

import httpx
import pytest

from conftest import SECRETS
from talker import Talker, chat, gateway_with

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MODELS = """  careful:
    versions:
      little: {pool: small, model: tiny, price: {input: 1, output: 1}}
      great: {pool: large, model: huge, price: {input: 10, output: 10}}
    cascade: {first: little, then: great, confidence: {logprob: -0.5}, timeout: 500ms}
  judge:
    versions: {little: small, great: large}
    cascade: {first: little, then: great, confidence: {probability: 0.8, output: PROBS}}
"""


def logprobs(value):
    return {"logprobs": {"content": [{"token": "a", "logprob": value, "top_logprobs": []}] * 3}}


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def cascade(tmp_path, request):
    small = Talker("small", lambda path, request: chat("small", **logprobs(-0.1)))
    large = Talker("large", lambda path, request: chat("large"))
    gateway = gateway_with(tmp_path, [small, large], MODELS)
    is_new = request.param == "HTTP/2"
    with httpx.Client(headers=KEY, timeout=10, http1=not is_new, http2=is_new) as client:
        yield gateway, small, large, client
    gateway.stop()


def ask(gateway, client, model="careful", **more):
    answer = client.post(gateway.url + "/v1/chat/completions",
                         json={"model": model, "messages": [{"role": "user", "content": "?"}], **more})
    assert answer.status_code == 200, answer.text
    return answer


def test_sure_and_unsure(cascade):
    gateway, small, large, client = cascade
    answer = ask(gateway, client).json()
    assert answer["choices"][0]["message"]["content"] == "small" and not large.requests
    asked = json.loads(small.requests[0][1])
    assert asked["logprobs"] is True and asked["model"] == "tiny"
    small.reply = lambda path, request: chat("small", **logprobs(-2))
    assert ask(gateway, client).json()["choices"][0]["message"]["content"] == "large"
    asked = json.loads(large.requests[0][1])
    assert asked == {"model": "huge", "messages": [{"role": "user", "content": "?"}]}, "as the client sent it"
    # An answer that does not say how sure it is does not vouch for itself.
    small.reply = lambda path, request: chat("small")
    assert ask(gateway, client).json()["choices"][0]["message"]["content"] == "large"
    usage = {row["version"]: row for row in json.loads(gateway.get("/admin/usage"))["usage"]}
    assert (usage["little"]["requests"], usage["great"]["requests"]) == (3, 2), "both are accounted for"
    assert usage["little"]["output_tokens"] == 15 and usage["great"]["output_tokens"] == 10
    counters = gateway.counters()
    assert counters["martlet_gateway_cascades_kept_total"] == 1
    assert counters["martlet_gateway_cascades_escalated_total"] == 2


@pytest.mark.parametrize("trouble", ["slow", "failing", "bad request", "refused"])
def test_trouble(cascade, trouble):
    gateway, small, large, client = cascade
    if trouble == "slow":
        small.reply = lambda path, request: 5
    elif trouble == "refused":
        small.stop()
    else:
        small.reply = lambda path, request: ({"error": {}}, 500 if trouble == "failing" else 400, "")
    start = time.perf_counter()
    assert ask(gateway, client).json()["choices"][0]["message"]["content"] == "large"
    assert time.perf_counter() - start < 1.5


def test_streams(cascade):
    gateway, small, large, client = cascade

    def events(text, value):
        return [{"choices": [{"index": 0, "delta": {"content": letter}, **logprobs(value)}]} for letter in text] + [
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
    large.reply = lambda path, request: events("large", -1)
    for value, wanted in [(-0.1, "small"), (-3, "large")]:
        small.reply = lambda path, request: events("small", value)
        found = gateway.client().chat.completions.create(
            model="careful", messages=[{"role": "user", "content": "?"}], stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in found) == wanted


def test_tensors(cascade):
    gateway, small, large, client = cascade

    def outputs(values):
        return lambda path, request: {"model_name": "m", "outputs": [
            {"name": "PROBS", "datatype": "FP32", "shape": [3], "data": values}]}
    large.reply = outputs([0, 0, 1])
    for values, wanted in [([0.05, 0.9, 0.05], 0.9), ([0.5, 0.4, 0.1], 1)]:
        small.reply = outputs(values)
        answer = client.post(gateway.url + "/v2/models/judge/infer", json={"inputs": []})
        assert max(answer.json()["outputs"][0]["data"]) == wanted


def test_large_answers_are_not_held_for_ever(cascade):
    gateway, small, large, client = cascade
    small.reply = lambda path, request: chat("x" * 1_000_000, **logprobs(-3))
    assert len(ask(gateway, client).json()["choices"][0]["message"]["content"]) == 1_000_000
    assert not large.requests
