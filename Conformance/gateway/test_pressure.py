# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""More than there is room for: places and their queue, urgency, concurrency that adapts, budgets."""
import json
import threading
import time

import httpx
import openai
import pytest

from conftest import SECRETS, Case, Gateway
from provider import Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MODELS = """
  narrow: {versions: {v1: {pool: narrow, model: real}}}
  queued: {versions: {v1: {pool: queued, model: real}}}
  adaptive: {versions: {v1: {pool: adaptive, model: real}}}
  priced: {versions: {v1: {pool: one, model: real, price: {input: 1000, output: 1000}}}}
"""
POOLS = """pools:
  narrow: {members: [a], attempts: 1, timeout: 5s, concurrency: {max: 2, waiting: 0}}
  queued: {members: [a], attempts: 1, timeout: 5s, concurrency: {max: 1, waiting: 3, wait: 1500ms}}
  adaptive: {members: [a], attempts: 1, timeout: 5s, concurrency: {max: 50, waiting: 200, wait: 20s, adaptive: true}}
"""


class Pressed(Gateway):
    def text(self, **changes):
        state = self.folder / "budgets.json"
        return super().text(more=MODELS, **changes).replace("pools:\n", POOLS, 1).replace(
            "alice: {sha256", "alice: {priority_max: high, sha256").replace(
            "bob: {sha256", "bob: {priority: low, budget: {amount: 0.03, per: 1h}, sha256").replace(
            "models: [solo]", "models: [solo, queued, priced]").replace("max: 5, per: 60s", "max: 5000, per: 60s").replace(
            "tokens: {max: 1000, per: 60s}, concurrency: 2", "concurrency: 200") + f"""
tenants:
  acme: {{budget: {{amount: 1000, per: month}}}}
  other: {{priority: high}}
accounting: {{state: "{state}"}}
"""


@pytest.fixture(scope="module")
def pressed(tmp_path_factory):
    gateway = Pressed(tmp_path_factory.mktemp("pressure"), *(Provider(name) for name in "abc"))
    yield gateway
    gateway.stop()


@pytest.fixture(autouse=True)
def well(pressed):
    pressed.a.reset()


def post(gateway, model, key="alice", priority=None, timeout=10):
    headers = {"Authorization": "Bearer " + SECRETS[key], **({"X-Priority": priority} if priority else {})}
    return httpx.post(gateway.url + "/v1/chat/completions", headers=headers, timeout=timeout,
                      json={"model": model, "messages": []})


def together(calls, gap=0.0):
    """What each call answered, in their order, and when."""
    answers = [None] * len(calls)

    def run(index):
        try:
            answers[index] = calls[index](), time.monotonic()
        except httpx.HTTPError as error:
            answers[index] = error, time.monotonic()
    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
        time.sleep(gap)
    for thread in threads:
        thread.join()
    return answers


def test_full(pressed):
    pressed.a.reset(default="good:0.5")
    with Case(pressed, "6 at once at a pool of 2 places without a queue") as row:
        answers = together([lambda: post(pressed, "narrow")] * 6, gap=0.02)
        codes = sorted(answer.status_code for answer, _ in answers)
        row.saw = f"{codes.count(200)} x 200, {codes.count(503)} x 503"
    assert codes == [200, 200, 503, 503, 503, 503]
    refused = next(answer for answer, _ in answers if answer.status_code == 503)
    assert refused.headers["retry-after"] == "1" and row.tokens == [14, 10, 0]


def test_queue(pressed):
    pressed.a.reset(default="good:0.4")
    with Case(pressed, "6 at once at 1 place with a queue of 3") as row:
        answers = together([lambda: post(pressed, "queued")] * 6, gap=0.05)
        codes = [answer.status_code for answer, _ in answers]
        row.saw = f"{codes.count(200)} x 200 in order, {codes.count(503)} x 503"
    assert codes == [200] * 4 + [503] * 2
    ends = [end for _, end in answers[:4]]
    assert ends == sorted(ends), "whoever came first goes first"
    assert row.tokens == [28, 20, 0]


def test_queue_time(pressed):
    pressed.a.reset(default="good:2")
    with Case(pressed, "a place comes too late") as row:
        begin = time.monotonic()
        answers = together([lambda: post(pressed, "queued")] * 2, gap=0.05)
        assert [answer.status_code for answer, _ in answers] == [200, 503]
        took = answers[1][1] - begin
        row.saw = f"503 after {took:.1f} s"
    assert 1.4 < took < 1.95 and len(pressed.a.requests) == 1


def test_urgent_first(pressed):
    pressed.a.reset(default="good:0.3")
    with Case(pressed, "low, normal and high wait; another high comes") as row:
        calls = [lambda: post(pressed, "queued"), lambda: post(pressed, "queued", priority="low"),
                 lambda: post(pressed, "queued", priority="normal"), lambda: post(pressed, "queued", priority="high"),
                 lambda: post(pressed, "queued", priority="high")]
        answers = together(calls, gap=0.04)
        codes = [answer.status_code for answer, _ in answers]
        row.saw = "the low one 503, the others 200, high before normal"
    assert codes == [200, 503, 200, 200, 200]
    assert answers[3][1] < answers[4][1] < answers[2][1]
    # A key that may not be urgent cannot say that it is.
    answers = together([lambda: post(pressed, "queued"), lambda: post(pressed, "queued", key="bob", priority="high"),
                        lambda: post(pressed, "queued")], gap=0.04)
    assert answers[2][1] < answers[1][1]


def test_who_waits_goes(pressed):
    pressed.a.reset(default="good:0.6")

    def impatient():
        return post(pressed, "queued", timeout=0.2)
    with Case(pressed, "a client goes while it waits for a place") as row:
        answers = together([lambda: post(pressed, "queued"), impatient, lambda: post(pressed, "queued")], gap=0.05)
        assert isinstance(answers[1][0], httpx.ReadTimeout)
        assert answers[0][0].status_code == answers[2][0].status_code == 200
        row.saw = "the others 200; its request is never made"
    assert len(pressed.a.requests) == 2 and row.tokens == [14, 10, 0]
    for _ in range(3):
        assert post(pressed, "queued").status_code == 200, "no place is lost"


def test_adapts(pressed):
    """A provider that takes its time from one lock: more at once only makes all of them slower."""
    pressed.a.reset(default="good:0.005")
    with Case(pressed, "400 requests, 40 at a time, concurrency adapts") as row:
        answers = []
        lock = threading.Lock()

        def run():
            with httpx.Client(timeout=30) as client:
                for _ in range(10):
                    answer = client.post(pressed.url + "/v1/chat/completions", headers=KEY,
                                         json={"model": "adaptive", "messages": []})
                    with lock:
                        answers.append(answer.status_code)
        threads = [threading.Thread(target=run) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        places = pressed.counters()['martlet_gateway_pool_places{pool="adaptive"}']
        row.saw = f"{answers.count(200)} x 200, {places:.0f} places found"
    assert answers.count(200) == 400 and 3 <= places <= 50


def test_budget(pressed):
    with Case(pressed, "a budget of 0.03 is used up (0.012 a request)") as row:
        codes = [post(pressed, "priced", key="bob").status_code for _ in range(5)]
        row.saw = ", ".join(map(str, codes))
        with pytest.raises(openai.APIStatusError) as error:
            pressed.client("bob").chat.completions.create(model="priced", messages=[])
        assert error.value.status_code == 402 and error.value.code == "budget_exceeded"
        assert 0 < int(error.value.response.headers["retry-after"]) <= 3600
    assert codes == [200, 200, 200, 402, 402], "the request that goes over it is still answered"
    assert row.tokens == [21, 15, 0]
    budgets = {entry["holder"]: entry for entry in json.loads(pressed.get("/admin/usage"))["budgets"]}
    assert budgets["key 'bob'"] == {"holder": "key 'bob'", "amount": 0.03, "spent": 0.036}
    assert post(pressed, "priced").status_code == 200, "others have their own"
    with Case(pressed, "the same after a restart") as row:
        pressed.stop()
        pressed.start()
        row.before = pressed.billed(), pressed.counters()
        row.saw = str(post(pressed, "priced", key="bob").status_code)
    assert row.saw == "402"
    time.sleep(1.2)
    pressed.process.kill()
    pressed.process.wait()
    pressed.start()
    assert post(pressed, "priced", key="bob").status_code == 402, "killed, a second later: as well"


def test_bad_budget_file(tmp_path):
    (tmp_path / "budgets.json").write_text("nonsense")
    with pytest.raises(RuntimeError) as error:
        Pressed(tmp_path, *(Provider(name) for name in "abc"))
    assert "holds no budgets" in str(error.value)
