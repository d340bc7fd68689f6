# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Members are chosen by what waits at them, as their metrics say, and by whose cache knows a prompt."""
import json
import time

import httpx
import pytest

from conftest import SECRETS
from talker import Talker, chat, gateway_with

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MODELS = """  polled: {versions: {v1: {pool: polled, model: real}}}
  told: {versions: {v1: {pool: told, model: real}}}
  known: {versions: {v1: {pool: known, model: real}}}
  named: {versions: {v1: {pool: named, model: real}}}
"""
POOLS = """pools:
  polled: {members: [left, right], balance: least_loaded, load: {path: /metrics, interval: 100ms, timeout: 1s}}
  told: {members: [left, right], balance: least_loaded, load: {path: /metrics, interval: 60s, timeout: 1s}}
  known: {members: [left, right], balance: prefix, load: {path: /metrics, interval: 100ms, timeout: 1s}}
  named: {members: [left, right], balance: prefix}
"""


class Member(Talker):
    """Answers with its name, and with metrics under vLLM's names."""

    def __init__(self, name):
        self.queued, self.memory, self.header = 0, 0.1, ""
        super().__init__(name, self.say)

    def say(self, path, request):
        if path == "/metrics":
            return (f"# HELP vllm:num_requests_waiting waiting\nvllm:num_requests_waiting{{model_name=\"real\"}} "
                    f"{self.queued}\nvllm:kv_cache_usage_perc{{model_name=\"real\"}} {self.memory}\n").encode()
        return chat(self.name), 200, self.header


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    members = [Member("left"), Member("right")]
    gateway = gateway_with(tmp_path_factory.mktemp("load"), members, MODELS, pools=POOLS)
    yield gateway, *members
    gateway.stop()


@pytest.fixture(autouse=True)
def idle(pair):
    for member in pair[1:]:
        member.queued, member.memory, member.header = 0, 0.1, ""


def ask(gateway, model, text="hello"):
    answer = httpx.post(gateway.url + "/v1/chat/completions", headers=KEY, timeout=10, json={
        "model": model, "messages": [{"role": "user", "content": text}]})
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def until_known(gateway, pool, **queued):
    for _ in range(200):
        pools = {row["pool"]: row for row in json.loads(gateway.get("/admin/upstreams"))["pools"]}
        found = {row["upstream"]: row["queued"] for row in pools[pool]["members"]}
        if all(found[name] == count for name, count in queued.items()):
            return
        time.sleep(0.02)
    raise AssertionError(f"{queued} was never read: {found}")


def test_polled(pair):
    gateway, left, right = pair
    left.queued = 12
    until_known(gateway, "polled", left=12, right=0)
    assert {ask(gateway, "polled") for _ in range(20)} == {"right"}
    left.queued, right.queued = 0, 7
    until_known(gateway, "polled", left=0, right=7)
    assert {ask(gateway, "polled") for _ in range(20)} == {"left"}


def test_reported(pair):
    """What an answer's own head says counts at once, until the next poll."""
    gateway, left, right = pair
    left.header = right.header = "endpoint-load-metrics: TEXT named_metrics.num_requests_waiting=40\r\n"
    first = ask(gateway, "told")
    assert ask(gateway, "told") != first


def test_metrics_that_fail(pair):
    """A page that is gone, or is none, changes nothing for requests."""
    gateway, left, right = pair
    say = left.reply
    for said in (b"<html>", ({"error": 1}, 500, ""), b""):
        left.reply = lambda path, request: said if path == "/metrics" else say(path, request)
        time.sleep(0.25)
        assert {ask(gateway, "polled") for _ in range(30)} <= {"left", "right"}
    left.reply = say


@pytest.mark.parametrize("model", ["named", "known"])
def test_conversations_stay(pair, model):
    """Each goes on where its beginning is known; new ones are spread."""
    gateway, left, right = pair
    homes = []
    for number in range(20):
        text, seen = f"conversation {number} of {model}: " + f"{number} " * 400, set()
        for turn in range(4):
            seen.add(ask(gateway, model, text))
            text += f" turn {turn} and what was said then"
        assert len(seen) == 1, f"conversation {number} moved"
        homes += seen
    assert set(homes) == {"left", "right"}


def test_a_full_home_is_left(pair):
    gateway, left, right = pair
    text = "an old friend " * 200
    home = ask(gateway, "known", text)
    assert ask(gateway, "known", text) == home
    until_known(gateway, "known", left=0, right=0)
    (left if home == "left" else right).queued = 50
    until_known(gateway, "known", **{home: 50})
    assert ask(gateway, "known", text) != home
