# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Shadow and compare: a candidate is asked as well, off the client's way, and what differs is reported."""
import json
import time

import httpx

from conftest import SECRETS
from talker import Talker, chat, gateway_with

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MODEL = """  shadowed:
    versions: {v1: {pool: a, model: real}, v2: {pool: c, model: candidate}}
    default: v1
    shadow: {to: v2, percent: 100, noise: true, concurrency: 4}
"""


def report(gateway, count):
    for _ in range(100):
        try:
            found = json.loads(gateway.get("/admin/compare/shadowed"))
            if found["report"]["exchanges"] >= count:
                return found
        except httpx.HTTPError:
            pass
        except Exception as error:  # 404 until something has been compared
            if "404" not in str(error):
                raise
        time.sleep(0.05)
    raise AssertionError(gateway.get("/metrics"))


def test_shadow(gateway, case):
    with case("a shadowed candidate that answers otherwise, or not") as row:
        assert gateway.admin("PUT", "/admin/config", gateway.text(more=MODEL))[0] == 200
        try:
            with httpx.Client() as client:
                for _ in range(10):
                    answer = client.post(gateway.url + "/v1/chat/completions", headers=KEY,
                                         json={"model": "shadowed", "messages": []})
                    assert answer.status_code == 200
                    assert answer.json()["choices"][0]["message"]["content"] == "a"
                    time.sleep(0.03)
                found = report(gateway, 10)
                paths = {row["path"]: row for row in found["report"]["paths"]}
                content = paths["$.choices[*].message.content"]
                assert content["charged"] and content["before"] == "a" and content["after"] == "c"
                assert found["report"]["noise_exchanges"] == 10 and "10 exchanges" in found["table"]
                assert b'"candidate"' in gateway.c.requests[0][1]
                assert len(gateway.c.requests) == 10 and len(gateway.a.requests) == 20
                # A candidate that hangs or fails is nobody's trouble.
                gateway.c.reset(default="silent")
                start = time.perf_counter()
                for _ in range(20):
                    assert client.post(gateway.url + "/v1/chat/completions", headers=KEY,
                                       json={"model": "shadowed", "messages": []}).status_code == 200
                assert time.perf_counter() - start < 2
                assert len(gateway.c.requests) <= 4, "no more than its places"
        finally:
            gateway.admin("PUT", "/admin/config", gateway.text())
        row.saw = "30 x 200; 10 compared, content charged"
    assert row.tokens == [30 * 7, 30 * 5, 0], "shadows are not the client's"


def test_reports_survive_a_restart(tmp_path):
    """What shadows have shown is written at a stop and read at the next start; a damaged file is no obstacle."""
    old, new = Talker("old", lambda path, request: chat("one")), Talker("new", lambda path, request: chat("two"))
    models = """  kept:
    versions: {v1: {pool: old, model: real}, v2: {pool: new, model: real}}
    default: v1
    shadow: {to: v2, percent: 100, noise: true, concurrency: 4}
"""
    state = tmp_path / "compare.json"
    gateway = gateway_with(tmp_path, [old, new], models, more=f'delivery: {{comparisons: "{state}"}}\n')

    def ask(count):
        for _ in range(count):
            assert httpx.post(gateway.url + "/v1/chat/completions", headers=KEY,
                              json={"model": "kept", "messages": []}).status_code == 200
            time.sleep(0.02)

    def found(count):
        for _ in range(100):
            if count == 0 or "kept" in json.loads(gateway.get("/admin/compare"))["models"]:
                answer = gateway.admin("GET", "/admin/compare/kept")
                if count == 0 or answer[1]["report"]["exchanges"] == count:
                    return answer
            time.sleep(0.05)
        raise AssertionError(answer)
    try:
        ask(6)
        before = found(6)[1]
        gateway.stop()
        gateway.start()
        after = found(6)[1]
        assert after == before and "$.choices[*].message.content" in after["table"]
        ask(4)
        assert found(10)[1]["report"]["noise_exchanges"] == 10
        assert gateway.admin("DELETE", "/admin/compare/kept")[0] == 200
        assert gateway.admin("DELETE", "/admin/compare/kept")[0] == 404
        gateway.stop()
        state.write_text('{"format": 1, "comparisons": {"kept": {"exchanges": "many"')
        gateway.start()
        assert found(0)[0] == 404 and "comparisons begin anew" in gateway.log.read_text()
        ask(1)
        found(1)
    finally:
        gateway.stop()
