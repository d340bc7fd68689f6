# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Kept answers: who gets whose, what a hit costs, and what is never kept."""
import threading
import time

import httpx
import openai
import pytest

from conftest import SECRETS, Case, Gateway
from provider import TOKENS, Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
CAROL = {"Authorization": "Bearer " + SECRETS["bob"]}
MESSAGES = [{"role": "user", "content": "hello"}]
MODELS = """
  kept: {versions: {v1: {pool: one, model: real, price: {input: 1, output: 2}}}, cache: {ttl: 1s, stale: 60s}}
  everything: {versions: {v1: {pool: one, model: real}}, cache: {for: all, entries: 3, entry_bytes: 20000, wait: 300ms, vary: [x-style]}}
  last: {versions: {v1: {pool: one, model: real}}, cache: {for: fallback}}
  fixed: {versions: {v1: {pool: one, model: real}}, fallback_answer: {status: 200, body: '{"object": "chat.completion", "choices": []}'}}
"""


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    class Cached(Gateway):
        def text(self, **changes):
            text = super().text(**{"more": MODELS, **changes})
            return text.replace("models: [solo], limits", "models: [kept, everything], limits").replace(
                "tokens: {max: 1000, per: 60s}, concurrency: 2", "concurrency: 200").replace("max: 5, per", "max: 500, per")
    gateway = Cached(tmp_path_factory.mktemp("cache"), *(Provider(name) for name in "abc"))
    yield gateway
    gateway.stop()


@pytest.fixture(autouse=True)
def well(cached):
    for provider in (cached.a, cached.b, cached.c):
        provider.reset()
    cached.admin("DELETE", "/admin/cache/kept")
    cached.admin("DELETE", "/admin/cache/everything")


def post(gateway, headers=KEY, more=None, path="/v1/chat/completions", **body):
    return httpx.post(gateway.url + path, headers={**headers, **(more or {})}, timeout=10,
                      json={"model": "kept", "messages": MESSAGES, "temperature": 0, **body})


def test_hit(cached):
    with Case(cached, "the same question three times") as row:
        answers = [post(cached) for _ in range(3)]
        row.saw = ", ".join(answer.headers["x-cache"] for answer in answers)
    assert row.saw == "miss, hit, hit"
    assert len({answer.content for answer in answers}) == 1 and len(cached.a.requests) == 1
    assert "age" not in answers[0].headers and int(answers[1].headers["age"]) == 0
    assert answers[1].headers["content-type"] == answers[0].headers["content-type"]
    assert row.tokens == [7, 5, 0], "hits cost nothing"
    assert cached.billed()[("alice", "kept")]["cached_requests"] >= 2
    time.sleep(1.1)
    assert post(cached).headers["x-cache"] == "miss", "its time is over"
    client = cached.client()
    for _ in range(2):
        answer = client.chat.completions.create(model="kept", messages=MESSAGES, temperature=0)
        assert answer.choices[0].message.content == "a"


def test_stream(cached):
    with Case(cached, "the same stream three times") as row:
        texts = []
        for _ in range(3):
            stream = cached.client().chat.completions.create(
                model="kept", messages=MESSAGES, temperature=0, stream=True)
            texts.append([c.choices[0].delta.content for c in stream if c.choices and c.choices[0].delta.content])
        assert all(len(text) == TOKENS for text in texts) and len(cached.a.requests) == 1
        row.saw = f"3 x {TOKENS} tokens"
    assert row.tokens == [7, TOKENS, 0]
    post(cached, stream=True)
    answer = post(cached, stream=True)
    assert answer.headers["transfer-encoding"] == "chunked" and answer.headers["x-cache"] == "hit"
    assert "text/event-stream" in answer.headers["content-type"] and answer.text.endswith("data: [DONE]\n\n")
    assert post(cached).headers["x-cache"] == "miss", "a stream's answer is none for who wants no stream"


def test_http2(cached):
    """Streams of an HTTP/2 connection ask the same memory."""
    with Case(cached, "the same question over both versions of HTTP") as row, httpx.Client(
            http1=False, http2=True, timeout=10, headers=KEY) as client:
        def ask(headers={}, **body):
            answer = client.post(cached.url + "/v1/chat/completions", headers=headers, json={
                "model": "kept", "messages": MESSAGES, "temperature": 0, **body})
            assert answer.http_version == "HTTP/2" and answer.status_code == 200
            return answer
        answers = [ask(), ask(), post(cached)]
        row.saw = ", ".join(answer.headers["x-cache"] for answer in answers)
        assert row.saw == "miss, hit, hit" and len(cached.a.requests) == 1
        assert len({answer.content for answer in answers}) == 1
        assert int(answers[1].headers["age"]) == 0 and int(answers[1].headers["content-length"]) == len(answers[1].content)
        assert answers[1].headers["content-type"] == answers[0].headers["content-type"]
        assert "x-cache" not in ask(headers={"cache-control": "no-store"}).headers
        streams = [post(cached, stream=True), ask(stream=True)]
        assert [stream.headers["x-cache"] for stream in streams] == ["miss", "hit"]
        assert streams[0].text == streams[1].text and streams[1].text.endswith("data: [DONE]\n\n")
        assert "content-length" not in streams[1].headers
        # Many at once on one connection: one of them asks.
        cached.a.reset(default="good:0.3")
        results, threads = [], []
        for _ in range(8):
            threads.append(threading.Thread(target=lambda: results.append(ask(seed=5).headers["x-cache"])))
            threads[-1].start()
        for thread in threads:
            thread.join()
        assert sorted(results) == ["joined"] * 7 + ["miss"] and len(cached.a.requests) == 1


def test_who_gets_whose(cached):
    assert post(cached).headers["x-cache"] == "miss"
    assert post(cached, CAROL).headers["x-cache"] == "miss", "another tenant"
    assert post(cached, CAROL).headers["x-cache"] == "hit"
    assert post(cached, seed=1).headers["x-cache"] == "miss"
    assert post(cached, more={"accept": "text/plain"}).headers["x-cache"] == "miss"
    assert "x-cache" not in post(cached, temperature=0.5).headers
    assert "x-cache" not in httpx.post(cached.url + "/v1/chat/completions", headers=KEY,
                                       json={"model": "kept", "messages": MESSAGES}).headers
    for wanted in ("miss", "hit"):
        assert post(cached, more={"x-cache": "use"}, temperature=0.7).headers["x-cache"] == wanted
    assert post(cached, path="/v1/embeddings", input="x").headers["x-cache"] == "miss"
    assert post(cached, path="/v1/embeddings", input="x").headers["x-cache"] == "hit"
    # The order of members makes no difference, any other does.
    assert httpx.post(cached.url + "/v1/chat/completions", headers=KEY, json={
        "temperature": 0, "messages": MESSAGES, "model": "kept"}).headers["x-cache"] == "hit"
    assert post(cached, more={"cache-control": "no-cache"}).headers["x-cache"] == "miss"
    assert "x-cache" not in post(cached, more={"cache-control": "no-store"}).headers
    for style in ("a", "b"):
        assert post(cached, more={"x-style": style}, model="everything").headers["x-cache"] == "miss"
    assert post(cached, more={"x-style": "a"}, model="everything").headers["x-cache"] == "hit"


def test_never_kept(cached):
    with Case(cached, "errors and cut streams before a good answer") as row:
        for status in (400, 429, 500, 503):
            cached.a.reset(f"status:{status}")
            assert post(cached).status_code == status
        for behaviour in ("cut", "cut_clean", "malformed", "error_first", "error_middle", "stall"):
            cached.a.reset(behaviour)
            try:
                post(cached, stream=True)
            except httpx.HTTPError:
                pass
        cached.a.reset()
        answer = post(cached, stream=True)
        row.saw = f"the errors, then {answer.headers['x-cache']}"
        assert answer.headers["x-cache"] == "miss" and answer.text.endswith("data: [DONE]\n\n")
        assert post(cached).headers["x-cache"] == "miss"


def test_bounds(cached):
    for index in range(5):
        post(cached, model="everything", messages=[{"role": "user", "content": str(index)}])
    counters = cached.counters()
    assert counters['martlet_gateway_cache_entries{model="everything"}'] == 3
    cached.a.reset("flood:10")
    with pytest.raises(httpx.HTTPError):
        post(cached, model="everything", stream=True)
    assert cached.counters()['martlet_gateway_cache_entries{model="everything"}'] == 3


def many(cached, count, **body):
    answers = [None] * count

    def run(index):
        try:
            answers[index] = post(cached, **body)
        except httpx.HTTPError as error:
            answers[index] = error
    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_single_flight(cached):
    cached.a.reset(default="good:0.3")
    with Case(cached, "30 clients ask the same at once") as row:
        answers = many(cached, 30)
        assert all(answer.status_code == 200 for answer in answers), answers
        results = [answer.headers["x-cache"] for answer in answers]
        row.saw = f"{results.count('miss')} asked, {results.count('joined') + results.count('hit')} shared"
    assert len(cached.a.requests) == 1 and results.count("miss") == 1
    assert row.tokens == [7, 5, 0]
    cached.a.reset(default="status:500")
    with Case(cached, "30 ask the same, the provider fails") as row:
        answers = many(cached, 30, seed=77)
        row.saw = "30 x 500"
        assert all(answer.status_code == 500 for answer in answers)
    assert row.tokens == [0, 0, 0]
    cached.a.reset(default="good:0.7")
    answers = many(cached, 3, model="everything")
    assert len(cached.a.requests) == 3, "who has waited long enough asks alone"


def test_leader_goes(cached):
    cached.a.reset(default="good:0.5")
    with Case(cached, "who asked for all goes away") as row:
        leader = threading.Thread(target=lambda: pytest.raises(httpx.ReadTimeout, httpx.post,
                                  cached.url + "/v1/chat/completions", headers=KEY, timeout=0.2, json={
                                      "model": "kept", "messages": MESSAGES, "temperature": 0}))
        leader.start()
        time.sleep(0.1)
        answers = many(cached, 5)
        leader.join()
        assert all(answer.status_code == 200 for answer in answers)
        row.saw = "5 x 200, one of them asked again"
    assert len(cached.a.requests) == 2 and row.tokens == [7, 5, 0]


def test_last_resort(cached):
    with Case(cached, "500, and an answer from before stands in") as row:
        post(cached)
        time.sleep(1.1)
        cached.a.reset(default="status:500")
        answer = post(cached)
        row.saw = f"200, X-Cache: {answer.headers['x-cache']}, Age: {answer.headers['age']}"
        assert answer.status_code == 200 and answer.headers["x-cache"] == "stale" and int(answer.headers["age"]) >= 1
        assert post(cached, seed=5).status_code == 500, "nothing was kept for this one"
    assert row.tokens == [7, 5, 0]
    cached.a.reset()
    first = [post(cached, model="last", temperature=1) for _ in range(2)]
    assert [answer.headers["x-cache"] for answer in first] == ["miss", "miss"] and len(cached.a.requests) == 2
    cached.a.reset(default="silent")
    answer = post(cached, model="last", temperature=1)
    assert answer.status_code == 200 and answer.headers["x-cache"] == "stale"


def test_fixed_answer(cached):
    cached.a.reset(default="status:503")
    with Case(cached, "503, and a fixed answer stands in") as row:
        answer = post(cached, model="fixed")
        assert answer.status_code == 200 and answer.json()["choices"] == [] and answer.headers["x-fallback"] == "fixed"
        row.saw = "200, the fixed answer"
    assert row.tokens == [0, 0, 0] and row.fallbacks == 1
    cached.a.stop()
    try:
        assert post(cached, model="fixed").status_code == 200
    finally:
        cached.a.start()
    cached.a.reset(default="status:400")
    assert post(cached, model="fixed").status_code == 400, "what is wrong with a request is said"
