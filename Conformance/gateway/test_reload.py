# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""What a reload leaves as it is, what an upstream may ask for, which paths and models a key opens."""
import hashlib
import http.client
import json
import time

import httpx
import pytest

from conftest import SECRETS, Gateway
from provider import Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


class Pooled(Gateway):
    pool = "{members: [a, b, c], attempts: 3}"
    top = ""
    keys = ""

    def text(self, **changes):
        text = super().text(**changes).replace("pools:\n", f"pools:\n  all: {self.pool}\n", 1)
        return text.replace("models:\n", "models:\n  all: all\n", 1).replace("keys:\n", "keys:\n" + self.keys, 1) + self.top

    def reload(self, **changes):
        for name, value in changes.items():
            setattr(self, name, value)
        status, answer = self.admin("PUT", "/admin/config", self.text())
        assert status == 200, answer

    def ask(self, model="all", path="/v1/chat/completions", body=None, **headers):
        return httpx.post(self.url + path, headers={**KEY, **headers}, timeout=20,
                          json={"model": model, "messages": [], **(body or {})})

    def who(self, **headers):
        answer = self.ask(**headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]["content"]

    def members(self, pool="all"):
        pools = self.admin("GET", "/admin/upstreams")[1]["pools"]
        return {row["upstream"]: row for entry in pools if entry["pool"] == pool for row in entry["members"]}


@pytest.fixture(scope="module")
def pooled(tmp_path_factory):
    gateway = Pooled(tmp_path_factory.mktemp("reload"), *(Provider(name) for name in "abc"))
    yield gateway
    gateway.stop()


@pytest.fixture(autouse=True)
def clean(pooled):
    for provider in (pooled.a, pooled.b, pooled.c):
        provider.reset()
    pooled.reload(pool="{members: [a, b, c], attempts: 3}", top="", keys="")
    for name in "abc":
        pooled.admin("POST", f"/admin/upstreams/{name}/resume")


def test_drain_outlives_a_reload(pooled):
    pooled.admin("POST", "/admin/upstreams/a/drain")
    pooled.reload(pool="{members: [c, a, b], attempts: 2, timeout: 30s}")
    assert pooled.members()["a"]["draining"] and not pooled.members()["b"]["draining"]
    assert {pooled.who() for _ in range(30)} == {"b", "c"}
    pooled.admin("POST", "/admin/upstreams/a/resume")
    assert "a" in {pooled.who() for _ in range(40)}


def test_breakers_ejections_and_health_outlive_a_reload(pooled):
    guard = "outliers: {failures_in_row: 3, ejection: 60s}, breaker: {calls_min: 4, open: 60s}"
    pooled.reload(pool=f"{{members: [a, b, c], attempts: 3, {guard}}}")
    pooled.a.reset(default="status:500")
    for _ in range(40):
        assert pooled.ask().status_code == 200
    assert pooled.members()["a"]["ejected"]
    pooled.a.reset()
    pooled.reload(pool=f"{{members: [b, {{upstream: a, weight: 3}}, c], attempts: 2, {guard}}}")
    assert pooled.members()["a"]["ejected"]
    assert "a" not in {pooled.who() for _ in range(30)} and not pooled.a.requests
    check = "health: {path: /health, interval: 100ms, failures: 1, successes: 1000}"
    pooled.b.is_well = False
    try:
        pooled.reload(pool=f"{{members: [a, b, c], attempts: 2, {check}}}")
        time.sleep(1)
        assert not pooled.members()["b"]["healthy"]
        pooled.b.is_well = True
        pooled.reload(pool=f"{{members: [c, b], attempts: 2, {check}}}")
        assert not pooled.members()["b"]["healthy"]
    finally:
        pooled.b.is_well = True


def test_keys_stay_over_a_reload(pooled):
    """Only the keys of the member that goes move, and another order moves none."""
    pool = "balance: hash, hash_key: user, attempts: 1"

    def homes():
        return [pooled.who(**{"x-user-id": f"u{user}"}) for user in range(90)]
    pooled.reload(pool=f"{{members: [a, b, c], {pool}}}")
    first = homes()
    assert set(first) == {"a", "b", "c"}
    pooled.reload(pool=f"{{members: [c, b, a], {pool}}}")
    assert homes() == first
    pooled.reload(pool=f"{{members: [b, c], {pool}}}")
    assert all(now == before for before, now in zip(first, homes()) if before != "a")


@pytest.mark.parametrize("key,top,send", [
    ("user", "identity: {user: 'header:x-account'}\n", lambda n: {"x-account": n}),
    ("header:x-tag", "", lambda n: {"x-tag": n}),
    ("query:v", "", lambda n: {"path": "/v1/chat/completions?v=" + n}),
    ("'field:session.id'", "", lambda n: {"body": {"session": {"id": n}}}),
])
def test_where_a_hash_key_is_found(pooled, key, top, send):
    pooled.reload(pool=f"{{members: [a, b, c], balance: hash, hash_key: {key}, attempts: 1}}", top=top)
    for number in range(6):
        assert len({pooled.who(**send(f"n{number}")) for _ in range(8)}) == 1, number
    assert len({pooled.who(**send(f"n{number}")) for number in range(30)}) == 3


def test_one_answer_does_not_take_a_pool_down(pooled):
    for provider in (pooled.a, pooled.b, pooled.c):
        provider.reset(default="status:429:86400")
    assert [pooled.ask().status_code for _ in range(2)] == [429, 429]
    rests = {name: row["resting_seconds"] for name, row in pooled.members().items()}
    assert all(0 < rest <= 60 for rest in rests.values()), rests
    # All rest: whoever is back first is asked, and its own answer given.
    asked = sum(len(provider.requests) for provider in (pooled.a, pooled.b, pooled.c))
    assert pooled.ask().status_code == 429
    assert sum(len(provider.requests) for provider in (pooled.a, pooled.b, pooled.c)) == asked + 1
    for provider in (pooled.a, pooled.b, pooled.c):
        provider.reset()
    assert pooled.ask().status_code == 200
    pooled.admin("POST", "/admin/upstreams/b/resume")
    assert pooled.members()["b"]["resting_seconds"] == 0 and pooled.members()["c"]["resting_seconds"] > 0
    assert {pooled.who() for _ in range(10)} == {"b"}


def test_a_refused_request_uses_nothing_up(pooled):
    sha = hashlib.sha256(b"sk-narrow").hexdigest()
    pooled.reload(keys=f"  narrow: {{sha256: {sha}, limits: {{requests: {{max: 10, per: 600s}}}}}}\n")
    text = pooled.text().replace("models:\n", "models:\n  lim: {versions: {v1: c}, limits: {requests: {max: 1, per: 600s}}}\n", 1)
    assert pooled.admin("PUT", "/admin/config", text)[0] == 200
    narrow = {"Authorization": "Bearer sk-narrow"}
    seen = [pooled.ask("lim", **narrow).status_code for _ in range(9)]
    assert seen == [200] + [429] * 8
    assert [pooled.ask(**narrow).status_code for _ in range(10)] == [200] * 9 + [429]


# -- paths

@pytest.mark.parametrize("path,status,code", [
    ("/shutdown", 404, "path_not_passed_on"), ("/v1/files", 404, "path_not_passed_on"),
    ("/v2/repository/models/all/unload", 404, "path_not_passed_on"),
    ("/v1/load_lora_adapter", 404, "path_not_passed_on"),
    ("/v1/../shutdown", 400, "ambiguous_path"), ("//shutdown", 400, "ambiguous_path"),
    ("/v1/%2e%2e/shutdown", 400, "ambiguous_path"), ("/v2/models/all/../solo/infer", 400, "ambiguous_path"),
])
def test_paths_that_are_not_passed_on(pooled, path, status, code):
    connection = http.client.HTTPConnection("127.0.0.1", pooled.port)
    connection.putrequest("POST", path, skip_host=False)
    body = json.dumps({"model": "all"}).encode()
    for name, value in {**KEY, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    text = json.loads(answer.read())
    assert answer.status == status, text
    if not path.startswith("/v2/"):
        assert text["error"]["code"] == code
    assert not pooled.a.heads and not pooled.b.heads and not pooled.c.heads


def test_paths_that_a_route_opens(pooled):
    text = pooled.text(extra_routes="  - {name: files, match: {path: /v1/files}, model: solo, version: v1}\n")
    assert pooled.admin("PUT", "/admin/config", text)[0] == 200
    assert pooled.ask("solo", path="/v1/files").status_code == 200
    assert pooled.ask("solo", path="/v1/files/x").status_code == 404
    assert pooled.a.requests[-1][0] == "/v1/files"


# -- models that stand in

def test_fallbacks_within_what_a_key_may_use(pooled):
    """`safe` falls back to `spare`: not for a key that may not use it, and not beyond its limits."""
    sha = hashlib.sha256(b"sk-scoped").hexdigest()
    pooled.reload(keys=f"  scoped: {{sha256: {sha}, models: [safe]}}\n")
    pooled.a.reset(default="status:500")
    assert pooled.ask("spare", Authorization="Bearer sk-scoped").status_code == 403
    assert pooled.ask("safe", Authorization="Bearer sk-scoped").status_code == 500
    assert not pooled.c.requests
    assert pooled.ask("safe").status_code == 200
    text = pooled.text().replace("spare: {versions:", "spare: {limits: {requests: {max: 2, per: 600s}}, versions:", 1)
    assert pooled.admin("PUT", "/admin/config", text)[0] == 200
    assert [pooled.ask("safe").status_code for _ in range(4)] == [200, 200, 500, 500]
    assert pooled.ask("spare").status_code == 429


def test_what_clients_learn_of_failures(pooled):
    pooled.reload(top="")
    text = pooled.text().replace("upstreams:\n", "upstreams:\n  gone: http://127.0.0.1:1\n", 1)
    text = text.replace("models:\n", "models:\n  gone: gone\n", 1)
    assert pooled.admin("PUT", "/admin/config", text)[0] == 200
    answer = pooled.ask("gone")
    assert answer.status_code == 502
    assert "127.0.0.1" not in answer.text and "NIO" not in answer.text and "gone" not in answer.text
    assert answer.headers["x-request-id"] in answer.text
    for _ in range(50):
        lines = [line for line in pooled.log.read_text().splitlines() if answer.headers["x-request-id"] in line]
        if lines:
            break
        time.sleep(0.05)
    assert "failure" in lines[0] and "127.0.0.1" in lines[0], lines
