# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Progressive delivery: a canary that is worse is taken back, an equal one gets everything, a restart goes on."""
import concurrent.futures
import json
import random
import time

import httpx
import pytest

from conftest import SECRETS, Gateway
from provider import Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


class Delivering:
    """A gateway of its own with one model that is delivered from provider a to provider c."""

    def __init__(self, folder, deliver="steps: [5, 25, 100], hold: 300ms, answers: 20"):
        self.providers = [Provider(name) for name in "abc"]
        self.folder = folder
        self.deliver = deliver
        base = Gateway.text
        outer = self

        class Own(Gateway):
            def text(self, **changes):
                return base(self, more=f"""  rolled:
    versions: {{v1: {{pool: one, model: real}}, v2: {{pool: canary, model: real}}}}
    deliver: {{from: v1, to: v2, by: user, {outer.deliver}}}
""", **changes).replace("pools:", "  canary_: {url: \"http://127.0.0.1:%d\"}\npools:\n"
                        "  canary: {members: [canary_], attempts: 1, timeout: 2s, breaker: {calls_min: 1000000}, "
                        "outliers: {failures_in_row: 1000000}}" % self.c.port, 1).replace(
                "listen: {", "listen: {threads: 2, ", 1) + (
                f"delivery: {{state: {folder}/delivery.json, exposures: {folder}/exposures.jsonl}}\n"
                "feedback: {requests: 1000, kept: 60s}\n")
        self.gateway = Own(folder, *self.providers)
        self.client = httpx.Client(limits=httpx.Limits(max_connections=32), timeout=20)
        self.users = 0

    def ask(self, feedback=None):
        self.users += 1
        answer = self.client.post(self.gateway.url + "/v1/chat/completions",
                                  headers={**KEY, "X-User-Id": f"user-{self.users}"},
                                  json={"model": "rolled", "messages": []})
        if answer.status_code == 200 and feedback:
            who = answer.json()["choices"][0]["message"]["content"]
            verdict = self.client.post(self.gateway.url + "/v1/feedback", headers=KEY,
                                       json={"request_id": answer.headers["x-request-id"], "score": feedback(who)})
            assert verdict.status_code == 200, verdict.text
        return answer

    def state(self):
        return json.loads(self.gateway.get("/admin/delivery"))["deliveries"][0]

    def run(self, until, feedback=None, limit=25):
        """Asks until the delivery's state is as wanted; all states' shares on the way."""
        shares, end = [], time.time() + limit
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            while time.time() < end:
                list(pool.map(lambda _: self.ask(feedback), range(64)))
                state = self.state()
                if not shares or shares[-1] != state["percent"]:
                    shares.append(state["percent"])
                if until(state):
                    return state, shares
        raise AssertionError(self.state())

    def close(self):
        self.gateway.stop()
        for provider in self.providers:
            provider.stop()


@pytest.fixture
def delivering(tmp_path):
    made = []

    def make(**options):
        made.append(Delivering(tmp_path, **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


def over(state):
    return state["phase"] != "rolling"


def test_equal(delivering):
    one = delivering()
    state, shares = one.run(over)
    assert state["phase"] == "finished", state
    assert shares == sorted(shares) and shares[-1] == 100
    one.providers[2].requests.clear()
    for _ in range(20):
        assert one.ask().json()["choices"][0]["message"]["content"] == "c"
    metrics = one.gateway.counters()
    assert metrics['martlet_gateway_delivery_share{model="rolled",version="v2"}'] == 1
    assert metrics['martlet_gateway_exposures_total{experiment="deliver/rolled/v2",version="v1"}'] > 0
    time.sleep(1.3)
    lines = [json.loads(line) for line in (one.folder / "exposures.jsonl").read_text().splitlines()]
    seen = {(line["unit"], line["version"]) for line in lines}
    assert len(seen) == len(lines) and {line["by"] for line in lines} == {"user"}
    assert {line["version"] for line in lines} == {"v1", "v2"}


@pytest.mark.parametrize("fault", ["errors", "slow", "feedback"])
def test_worse(delivering, fault):
    one = delivering(deliver="steps: [25, 50, 100], hold: 60s, answers: 20, latency: {quantile: 0.9}")
    feedback = None
    if fault == "errors":
        one.providers[2].reset(default="status:500")
    elif fault == "slow":
        one.providers[2].reset(default="good:0.15")
    else:
        feedback = lambda who: 0.1 if who == "c" and random.random() < 0.8 else 0.9
    state, shares = one.run(over, feedback)
    assert state["phase"] == "rolled_back" and {"errors": "errors", "slow": "latency", "feedback": "feedback"}[
        fault] in state["reason"], state
    assert shares[-1] == 0 and one.state()["percent"] == 0
    one.providers[2].requests.clear()
    for _ in range(50):
        assert one.ask().status_code == 200
    assert not one.providers[2].requests, "nobody is sent to a version that was taken back"
    # It stays so across a change of the configuration and a restart.
    assert one.gateway.admin("PUT", "/admin/config", one.gateway.text())[0] == 200
    one.gateway.stop()
    one.gateway.start()
    assert one.state()["phase"] == "rolled_back"
    assert all(one.ask().status_code == 200 for _ in range(20)) and not one.providers[2].requests


def test_restart_in_the_middle(delivering):
    one = delivering()
    before, _ = one.run(lambda state: state.get("step", 0) >= 1)
    one.gateway.stop()
    one.gateway.start()
    after = one.state()
    assert (after["phase"], after["step"], after["percent"]) == ("rolling", before["step"], before["percent"])
    # Killed outright, it goes on from the last second.
    time.sleep(1.3)
    one.gateway.process.kill()
    one.gateway.process.wait()
    one.gateway.start()
    assert one.state()["step"] >= before["step"]
    state, _ = one.run(over)
    assert state["phase"] == "finished"


def test_calls(delivering):
    one = delivering(deliver="steps: [5, 25, 100], hold: 100ms, answers: 5")
    assert one.gateway.admin("POST", "/admin/delivery/rolled/pause")[0] == 200
    one.run(lambda state: state["answers_in_step"] > 10)
    time.sleep(0.5)
    assert one.state()["step"] == 0 and one.state()["paused"]
    assert one.gateway.admin("POST", "/admin/delivery/rolled/resume")[0] == 200
    one.run(lambda state: state.get("step", 2) >= 1)
    assert one.gateway.admin("POST", "/admin/delivery/rolled/abort")[0] in (200, 409)
    assert one.gateway.admin("POST", "/admin/delivery/rolled/pause")[0] == 409
    assert one.gateway.admin("POST", "/admin/delivery/nobody/pause")[0] == 404
    assert one.gateway.admin("POST", "/admin/delivery/rolled/dance")[0] == 404
    assert one.gateway.admin("POST", "/admin/delivery/rolled/restart")[0] == 200
    assert one.state()["phase"] == "rolling" and one.state()["step"] == 0
    assert one.client.get(one.gateway.url + "/admin/delivery", headers=KEY).status_code == 401


def test_feedback_refused(delivering):
    one = delivering()
    send = lambda body, key="alice": one.client.post(
        one.gateway.url + "/v1/feedback", content=body if isinstance(body, bytes) else json.dumps(body),
        headers={"Authorization": "Bearer " + SECRETS[key]})
    for body in [b"", b"{", b"[]", b"x" * 100_000, {}, {"request_id": "z z", "score": 1},
                 {"request_id": "0" * 16, "score": 2}]:
        assert send(body).status_code == 400, body
    assert send({"request_id": "0" * 16, "score": 1}).status_code == 404
    assert one.client.get(one.gateway.url + "/v1/feedback", headers=KEY).status_code == 405
    answer = one.ask()
    verdict = {"request_id": answer.headers["x-request-id"], "score": 1}
    assert send(verdict, "bob").status_code == 404, "another key's request is nobody's"
    assert send(verdict).json()["version"] in ("v1", "v2")
    assert send(verdict).status_code == 409
    assert one.gateway.counters()['martlet_gateway_feedback_total{model="rolled",version="%s",verdict="good"}'
                                  % ("v1" if answer.json()["choices"][0]["message"]["content"] == "a" else "v2")] == 1
