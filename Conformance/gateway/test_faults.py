# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""The fault exam: what the client sees, what is billed and what is retried when a provider fails."""
import os
import threading
import time

import httpx
import openai
import pytest

from conftest import SECRETS
from provider import TOKENS

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MESSAGES = [{"role": "user", "content": "hello"}]


def ask(gateway, model, key="alice", **more):
    return gateway.client(key).chat.completions.create(model=model, messages=MESSAGES, **more)


def read_stream(gateway, model):
    """The texts that came, and the error that ended it."""
    texts = []
    try:
        for chunk in ask(gateway, model, stream=True):
            for choice in chunk.choices:
                if choice.delta.content:
                    texts.append(choice.delta.content)
    except (openai.APIError, httpx.HTTPError) as error:
        return texts, error
    return texts, None


def test_good(gateway, case):
    with case("none") as row:
        answer = ask(gateway, "solo")
        assert answer.choices[0].message.content == "a"
        row.saw = "200"
    assert row.tokens == [7, 5, 0] and row.retries == 0
    assert b'"model":"real"' in gateway.a.requests[0][1].replace(b": ", b":")


def test_good_stream(gateway, case):
    with case("none, streamed") as row:
        texts, error = read_stream(gateway, "solo")
        assert error is None and len(texts) == TOKENS
        row.saw = f"{TOKENS} tokens"
    assert row.tokens == [7, TOKENS, 0]


def test_429_elsewhere(gateway, case):
    with case("429 with Retry-After, another member") as row:
        gateway.a.reset(default="status:429:1")
        gateway.b.reset(default="status:429:1")
        gateway.b.script = ["good"]
        gateway.a.script = []
        answer = ask(gateway, "duo")
        row.saw = f"200 from {answer.choices[0].message.content}"
    assert answer.choices[0].message.content == "b" and row.tokens == [7, 5, 0]
    time.sleep(1.1)


def test_429_alone(gateway, case):
    with case("429 with Retry-After, nobody else") as row:
        gateway.a.reset(default="status:429:7")
        with pytest.raises(openai.RateLimitError) as error:
            ask(gateway, "guarded")
        assert error.value.response.headers["retry-after"] == "7"
        row.saw = "429, Retry-After: 7"
    assert row.tokens == [0, 0, 0] and row.retries == 0 and len(gateway.a.requests) == 1


def test_500_burst(gateway, case):
    with case("burst of 500s from one of two") as row:
        gateway.a.reset(default="status:500")
        for _ in range(20):
            assert ask(gateway, "ejecting").choices[0].message.content == "b"
        row.saw = "20 x 200"
        asked = len(gateway.a.requests)
    assert asked <= 4 and row.retries == asked, "the failing member is ejected after three failures"
    gateway.a.reset()
    time.sleep(3.2)
    assert {ask(gateway, "ejecting").choices[0].message.content for _ in range(10)} == {"a", "b"}


def test_500_alone(gateway, case):
    with case("500, nobody else") as row:
        gateway.a.reset(default="status:500")
        with pytest.raises(openai.InternalServerError):
            ask(gateway, "solo")
        row.saw = "500"
    assert row.tokens == [0, 0, 0] and len(gateway.a.requests) == 1


def test_refused(gateway, case):
    with case("connection refused by one of two") as row:
        gateway.a.stop()
        try:
            for _ in range(6):
                assert ask(gateway, "duo").choices[0].message.content == "b"
        finally:
            gateway.a.start()
        row.saw = "6 x 200"
    assert row.tokens == [42, 30, 0]


def test_reset(gateway, case):
    with case("reset before the head") as row:
        gateway.a.reset(default="reset")
        for _ in range(6):
            assert ask(gateway, "duo").choices[0].message.content == "b"
        row.saw = "6 x 200"
    assert row.tokens == [42, 30, 0]


def test_fallback(gateway, case):
    with case("500, another model stands in") as row:
        gateway.a.reset(default="status:500")
        row.saw = "200 from " + ask(gateway, "safe").choices[0].message.content
        assert row.saw == "200 from c"
    assert row.tokens == [7, 5, 0] and row.fallbacks == 1, "only the fallback is billed"


def test_stall_first_byte(gateway, case):
    with case("stall before the first byte (1 s), another member") as row:
        gateway.a.reset(default="silent")
        start = time.perf_counter()
        for _ in range(2):
            assert ask(gateway, "duo").choices[0].message.content == "b"
        row.saw = "200 after the attempt's time"
        assert time.perf_counter() - start < 4
    assert row.tokens == [14, 10, 0]


def test_stall_first_byte_alone(gateway, case):
    with case("stall before the first byte, nobody else") as row:
        gateway.a.reset(default="silent")
        with pytest.raises(openai.InternalServerError) as error:
            ask(gateway, "solo")
        assert error.value.status_code == 504
        row.saw = "504"
    assert row.tokens == [0, 0, 0]


def test_stall_middle(gateway, case):
    with case("stall in mid-stream") as row:
        gateway.a.reset("stall")
        texts, error = read_stream(gateway, "solo")
        assert error is not None and len(texts) == 20
        row.saw = f"20 tokens, then {type(error).__name__}"
    assert row.tokens[1] == 20 and row.tokens[2] == 1 and row.retries == 0


@pytest.mark.parametrize("behaviour", ["cut", "cut:reset", "cut_clean", "malformed"])
def test_cut(gateway, case, behaviour):
    names = {"cut": "stream closed at 40 of 60 tokens", "cut:reset": "stream reset at 40 of 60",
             "cut_clean": "stream ended well-formed at 40 of 60", "malformed": "malformed chunk at 40 of 60"}
    with case(names[behaviour]) as row:
        gateway.a.reset(behaviour)
        texts, error = read_stream(gateway, "duo" if behaviour == "never" else "solo")
        assert error is not None, "a cut stream never looks complete"
        assert len(texts) <= 40
        row.saw = f"{len(texts)} tokens, then {type(error).__name__}"
    assert row.tokens[1] == len(texts) or behaviour == "cut:reset"
    assert row.retries == 0
    # Whoever reads without the client library must not take it for complete either.
    gateway.a.reset(behaviour)
    with pytest.raises(httpx.HTTPError):
        with httpx.stream("POST", gateway.url + "/v1/chat/completions", timeout=10, json={
                "model": "solo", "messages": MESSAGES, "stream": True},
                headers=KEY) as answer:
            text = answer.read()
            assert b"[DONE]" not in text


def test_no_done(gateway, case):
    with case("no [DONE], but reasons to finish") as row:
        gateway.a.reset("no_done")
        texts, error = read_stream(gateway, "solo")
        assert error is None and len(texts) == TOKENS
        row.saw = f"{TOKENS} tokens, [DONE] added"
    assert row.tokens == [7, TOKENS, 0]


def test_error_first(gateway, case):
    with case("error object as a stream's first event, another member") as row:
        gateway.a.reset(default="error_first")
        for _ in range(2):
            texts, error = read_stream(gateway, "duo")
            assert error is None and len(texts) == TOKENS
        row.saw = f"2 x {TOKENS} tokens"
    assert row.tokens == [14, 2 * TOKENS, 0]


def test_error_middle(gateway, case):
    with case("error object in mid-stream") as row:
        gateway.a.reset("error_middle")
        texts, error = read_stream(gateway, "solo")
        assert isinstance(error, openai.APIError) and len(texts) == 40
        row.saw = f"40 tokens, then {type(error).__name__}"
    assert row.tokens[1] == 40 and row.tokens[2] == 1


@pytest.mark.parametrize("behaviour, estimated", [
    ("no_usage", 1), ("usage_twice", 0), ("usage_each", 0), ("usage_wrong_chunk", 0)])
def test_usage(gateway, case, behaviour, estimated):
    with case(behaviour.replace("_", " ")) as row:
        gateway.a.reset(behaviour)
        texts, error = read_stream(gateway, "solo")
        assert error is None and len(texts) == TOKENS
        row.saw = f"{TOKENS} tokens"
    assert row.tokens[1] == TOKENS and row.tokens[2] == estimated
    if not estimated:
        assert row.tokens[0] == 7


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422])
def test_client_errors_are_not_retried(gateway, case, status):
    with case(f"{status} from one of two") as row:
        gateway.a.reset(default=f"status:{status}")
        gateway.b.reset(default=f"status:{status}")
        with pytest.raises(openai.APIStatusError) as error:
            ask(gateway, "duo")
        assert error.value.status_code == status
        row.saw = str(status)
    assert row.retries == 0 and len(gateway.a.requests) + len(gateway.b.requests) == 1
    assert row.tokens == [0, 0, 0]


def test_outage(gateway, case):
    seconds = float(os.environ.get("GATEWAY_OUTAGE", "3"))
    time.sleep(7)  # test_429_alone lets the only member rest for so long
    with case(f"outage of {seconds:g} s and recovery") as row:
        gateway.a.reset(default="status:503")
        end = time.monotonic() + seconds
        asked = 0
        with httpx.Client(timeout=10) as client:
            while time.monotonic() < end:
                asked += 1
                answer = client.post(gateway.url + "/v1/chat/completions", headers=KEY,
                                     json={"model": "guarded", "messages": MESSAGES})
                assert answer.status_code == 503
                time.sleep(0.01)
        reached = len(gateway.a.requests)
        gateway.a.reset()
        recovered = time.monotonic()
        while True:
            try:
                ask(gateway, "guarded")
                break
            except openai.InternalServerError:
                assert time.monotonic() - recovered < 5
                time.sleep(0.01)
        took = time.monotonic() - recovered
        row.saw = f"{asked} x 503, {reached} reached the provider; back after {took:.2f} s"
    # Five failures open the breaker; then one probe for each time that it has been open.
    assert reached <= 5 + seconds / 0.3 + 1, "the breaker keeps the others away"
    for _ in range(20):
        ask(gateway, "guarded")


def test_slow_client(gateway, case):
    with case("slow client, 200 MB stream") as row:
        gateway.a.reset("flood:50000")
        before = gateway.rss()
        with httpx.stream("POST", gateway.url + "/v1/chat/completions", timeout=10, json={
                "model": "big", "messages": MESSAGES, "stream": True},
                headers=KEY) as answer:
            pieces = answer.iter_raw(1000)
            for _ in range(10):
                next(pieces)
                time.sleep(0.1)
            grown = gateway.rss() - before
        row.saw = f"slow answer; the gateway grew by {max(grown, 0):.0f} MiB"
    assert grown < 16


def test_disconnect(gateway, case):
    with case("client goes in mid-stream") as row:
        worst = 0.0
        for _ in range(10):
            gateway.a.reset("slow")
            with httpx.Client() as client:
                with client.stream("POST", gateway.url + "/v1/chat/completions", timeout=10, json={
                        "model": "solo", "messages": MESSAGES, "stream": True},
                        headers=KEY) as answer:
                    next(answer.iter_raw(10))
                    time.sleep(0.1)
                    left = time.perf_counter()
            for _ in range(200):
                if gateway.a.cancelled:
                    break
                time.sleep(0.005)
            assert gateway.a.cancelled, "the upstream was never told"
            worst = max(worst, gateway.a.cancelled[0] - left)
        row.saw = f"upstream cancelled within {max(worst, 0) * 1000:.0f} ms"
    assert worst < 0.05
    assert row.tokens[2] == 10


def test_disconnect_before_answer(gateway, case):
    with case("client goes before the answer") as row:
        gateway.a.reset("silent")
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(gateway.url + "/v1/chat/completions", timeout=0.2, json={"model": "solo", "messages": MESSAGES},
                       headers=KEY)
        left = time.perf_counter()
        for _ in range(200):
            if gateway.a.cancelled:
                break
            time.sleep(0.005)
        assert gateway.a.cancelled and gateway.a.cancelled[0] - left < 0.05
        row.saw = "upstream cancelled"
    assert row.tokens == [0, 0, 0]


def test_long_prompt(gateway, case):
    with case("prompts of 100 k tokens beside short ones") as row:
        times = []
        stop = threading.Event()

        def long():
            client = gateway.client()
            while not stop.is_set():
                client.chat.completions.create(
                    model="big", messages=[{"role": "user", "content": "word " * 100_000}])

        threads = [threading.Thread(target=long) for _ in range(2)]
        for thread in threads:
            thread.start()
        client = gateway.client()
        for _ in range(100):
            start = time.perf_counter()
            client.chat.completions.create(model="solo", messages=MESSAGES)
            times.append(time.perf_counter() - start)
        stop.set()
        for thread in threads:
            thread.join()
        times.sort()
        row.saw = f"short ones: p50 {times[50] * 1e3:.0f}, p95 {times[95] * 1e3:.0f} ms"
    assert times[95] < 0.5


def test_bad_keys(gateway, case):
    with case("flood of 2 000 bad keys") as row:
        with httpx.Client() as client:
            for index in range(2000):
                answer = client.post(gateway.url + "/v1/chat/completions", json={"model": "solo"},
                                     headers={"Authorization": f"Bearer sk-bad-{index}"})
                assert answer.status_code == 401
        assert ask(gateway, "solo").choices[0].message.content == "a"
        row.saw = "401 each; a good key still served"
    assert len(gateway.a.requests) == 1


def test_limits(gateway, case):
    with case("a key above its limits") as row:
        gateway.client("bob")
        with pytest.raises(openai.PermissionDeniedError):
            ask(gateway, "duo", key="bob")
        with pytest.raises(openai.RateLimitError) as error:
            ask(gateway, "solo", key="bob", max_tokens=100_000)
        assert error.value.code == "tokens_limit_exceeded"
        for _ in range(5):
            ask(gateway, "solo", key="bob", max_tokens=20)
        with pytest.raises(openai.RateLimitError) as error:
            ask(gateway, "solo", key="bob", max_tokens=20)
        assert int(error.value.response.headers["retry-after"]) >= 1
        row.saw = "5 x 200, then 429"
    assert row.tokens == [35, 25, 0]
