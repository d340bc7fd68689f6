# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Low-rank adapters: requests go to whoever holds the adapter, as vLLM's metrics say, and stay put otherwise."""
import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from conftest import SECRETS
from talker import Talker, chat, gateway_with

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
NAMES = [f"adapter-{number}" for number in range(24)]
MODELS = f"""  llama:
    versions: {{v1: {{pool: gpus, model: meta-llama}}}}
    adapters: [sql, {", ".join(NAMES)}]
  law: {{versions: {{v1: {{pool: gpus, model: law-lora, adapter: true}}}}}}
  marked: {{versions: {{v1: {{pool: marked, model: meta-llama}}}}}}
  inside: {{versions: {{v1: {{pool: inside, model: meta-llama}}}}}}
"""
LOAD = ("load: {path: /metrics, interval: 100ms, timeout: 10s}, "
        "health: {path: /health, interval: 100ms, timeout: 10s, failures: 2}")
POOLS = f"""pools:
  gpus: {{members: [left, right], balance: lora, {LOAD}}}
  marked: {{members: [left, right], balance: lora, adapter_key: "header:x-adapter", {LOAD}}}
  inside: {{members: [left, right], balance: lora, adapter_key: "field:adapter.name", {LOAD}}}
"""


class Member(Talker):
    """Says under vLLM's name which adapters it runs, and notes what it is asked for."""

    def __init__(self, name):
        self.running, self.queued, self.asked, self.wait = "", 0, [], 0
        self.is_well = True
        super().__init__(name, self.say)

    def say(self, path, request):
        if path == "/health":
            return {}, 200 if self.is_well else 503, ""
        if path == "/metrics":
            old = 'vllm:lora_requests_info{max_lora="4",running_lora_adapters="sql,law-lora",waiting_lora_adapters=""} 5\n'
            return (f"vllm:num_requests_waiting {self.queued}\n{old}"
                    f'vllm:lora_requests_info{{max_lora="4",running_lora_adapters="{self.running}",'
                    f'waiting_lora_adapters=""}} {time.time()}\n').encode()
        self.asked.append(request.get("model"))
        return chat(self.name)


@pytest.fixture
def pair(tmp_path):
    members = [Member("left"), Member("right")]
    gateway = gateway_with(tmp_path, members, MODELS, pools=POOLS)
    yield gateway, *members
    gateway.stop()


def ask(gateway, model, headers={}, **more):
    answer = httpx.post(gateway.url + "/v1/chat/completions", headers={**KEY, **headers}, timeout=10, json={
        "model": model, "messages": [{"role": "user", "content": "hello"}], **more})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def member(gateway, name, pool="gpus"):
    pools = {row["pool"]: row for row in json.loads(gateway.get("/admin/upstreams"))["pools"]}
    return next(row for row in pools[pool]["members"] if row["upstream"] == name)


def until(what):
    for _ in range(1_500):
        if what():
            return
        time.sleep(0.02)
    raise AssertionError("it never came to be")


def hold(gateway, holder, adapter, pool="gpus"):
    holder.running = adapter
    until(lambda: adapter in member(gateway, holder.name, pool)["adapters"])


@pytest.mark.parametrize("holder", ["left", "right"])
def test_the_holder_is_asked(pair, holder):
    """Under the adapter's own name, though it is an alias of its model in the routes."""
    gateway, left, right = pair
    held = {"left": left, "right": right}[holder]
    hold(gateway, held, "sql")
    assert {ask(gateway, "sql") for _ in range(20)} == {holder}
    assert set(held.asked) == {"sql"}
    hold(gateway, held, "law-lora")
    assert {ask(gateway, "law") for _ in range(20)} == {holder}
    assert set(held.asked) == {"sql", "law-lora"}


def test_the_model_itself_goes_everywhere(pair):
    gateway, left, right = pair
    hold(gateway, left, "sql")
    assert {ask(gateway, "llama") for _ in range(40)} == {"left", "right"}
    assert set(left.asked + right.asked) == {"meta-llama"}


def test_adapters_stay_put(pair, tmp_path):
    """Nobody holds them: each has a home, the same in another gateway, and they are spread."""
    gateway, left, right = pair
    homes = {name: ask(gateway, name) for name in NAMES}
    assert set(homes.values()) == {"left", "right"}
    for _ in range(3):
        assert {name: ask(gateway, name) for name in NAMES} == homes
    (tmp_path / "other").mkdir()
    other = gateway_with(tmp_path / "other", [left, right], MODELS, pools=POOLS)
    try:
        assert {name: ask(other, name) for name in NAMES} == homes
    finally:
        other.stop()


def test_a_full_holder_is_left_and_found_again(pair):
    gateway, left, right = pair
    hold(gateway, left, "sql")
    left.queued = 50
    until(lambda: member(gateway, "left")["queued"] == 50)
    assert {ask(gateway, "sql") for _ in range(10)} == {"right"}
    left.queued = 0
    until(lambda: member(gateway, "left")["queued"] == 0)
    homes = {ask(gateway, "sql") for _ in range(10)}
    assert len(homes) == 1, "both hold it now; one of them is enough"


def test_a_holder_that_falls_ill_has_lost_it(pair):
    gateway, left, right = pair
    hold(gateway, left, "sql")
    left.running, left.is_well = "", False
    until(lambda: not member(gateway, "left")["healthy"])
    assert {ask(gateway, "sql") for _ in range(10)} == {"right"}
    left.is_well = True
    until(lambda: member(gateway, "left")["healthy"])
    assert {ask(gateway, "sql") for _ in range(10)} == {"right"}


@pytest.mark.parametrize("pool, model, headers, more", [
    ("marked", "marked", {"X-Adapter": "tones"}, {}), ("inside", "inside", {}, {"adapter": {"name": "tones"}})])
def test_a_field_names_it(pair, pool, model, headers, more):
    gateway, left, right = pair
    for holder, other in ((left, right), (right, left)):
        other.running = ""
        gateway.get("/admin/upstreams")
        hold(gateway, holder, "tones", pool)
        if holder is left:
            assert {ask(gateway, model, headers, **more) for _ in range(10)} == {"left"}
    assert {ask(gateway, model) for _ in range(40)} == {"left", "right"}


def test_under_load_no_member_drowns(pair):
    """One adapter alone fills both members by turns; nothing fails."""
    gateway, left, right = pair
    hold(gateway, left, "sql")
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: ask(gateway, "sql"), range(400)))
    assert len(answers) == 400 and set(answers) <= {"left", "right"}
    assert set(left.asked + right.asked) == {"sql"}
