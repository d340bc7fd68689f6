# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Changes while requests run: configuration, upstreams, shutdown. And what must never be written anywhere."""
import json
import os
import threading
import time

import httpx
import numpy
import tritonclient.http

from conftest import SECRETS, digest

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


class Load:
    """Requests without a pause until the block ends; `bad` is every answer that was not good."""

    def __init__(self, gateway, model="duo", threads=4):
        self.gateway, self.model, self.count = gateway, model, threads

    def __enter__(self):
        self.good, self.bad, self.stop = 0, [], False

        def run():
            with httpx.Client(timeout=10) as client:
                while not self.stop:
                    try:
                        answer = client.post(self.gateway.url + "/v1/chat/completions", headers=KEY,
                                             json={"model": self.model, "messages": []})
                        if answer.status_code == 200:
                            self.good += 1
                        else:
                            self.bad.append(answer.text)
                    except httpx.HTTPError as error:
                        self.bad.append(repr(error))
        self.threads = [threading.Thread(target=run) for _ in range(self.count)]
        for thread in self.threads:
            thread.start()
        return self

    def begun(self):
        """Waits for the first answer: clients take a while to make on a busy machine."""
        end = time.monotonic() + 10
        while not self.good and not self.bad and time.monotonic() < end:
            time.sleep(0.01)

    def __exit__(self, *_):
        self.stop = True
        for thread in self.threads:
            thread.join()


def test_reload(gateway, case):
    with case("configuration changed 100 times under load") as row:
        with Load(gateway) as load:
            for index in range(100):
                status, _ = gateway.admin("PUT", "/admin/config", gateway.text(
                    extra_routes=f"  - {{name: r{index}, match: {{path: /none{index}}}, refuse: {{status: 404, message: x}}}}"))
                assert status == 200
                time.sleep(0.01)
        assert not load.bad, load.bad[:3]
        row.saw = f"{load.good} x 200"
    status, _ = gateway.admin("PUT", "/admin/config", gateway.text())
    assert status == 200


def test_bad_configuration(gateway, case):
    with case("bad configurations, by API and file") as row:
        with Load(gateway) as load:
            status, answer = gateway.admin("PUT", "/admin/config", gateway.text(extra_routes="  - nmae: x"))
            assert status == 422
            assert any("nmae" in problem and "line" in problem for problem in answer["error"]["problems"]), answer
            gateway.write(extra_routes="  - nmae: x")
            time.sleep(0.6)
        assert not load.bad, load.bad[:3]
        assert "configuration refused" in gateway.log.read_text()
        gateway.write()
        time.sleep(0.6)
        row.saw = "refused with the line; 200 throughout"


def test_file_watch_and_rollback(gateway):
    def ask():
        return httpx.post(gateway.url + "/v1/chat/completions", headers=KEY, json={"model": "new"}).status_code
    assert ask() == 404
    gateway.write(more="  new: two")
    for _ in range(40):
        if ask() == 200:
            break
        time.sleep(0.05)
    assert ask() == 200
    assert gateway.admin("POST", "/admin/rollback")[0] == 200
    assert ask() == 404
    gateway.write()
    time.sleep(0.6)


def test_members(gateway, case):
    with case("upstream drained, removed and added under load") as row:
        with Load(gateway) as load:
            assert gateway.admin("POST", "/admin/upstreams/a/drain")[0] == 200
            time.sleep(0.1)
            asked = len(gateway.a.requests)
            time.sleep(0.2)
            assert len(gateway.a.requests) == asked, "a draining member gets nothing new"
            assert gateway.admin("POST", "/admin/upstreams/a/resume")[0] == 200
            assert gateway.admin("PUT", "/admin/config", gateway.text(members="[b]"))[0] == 200
            time.sleep(0.2)
            assert gateway.admin("PUT", "/admin/config", gateway.text(members="[a, b, c]"))[0] == 200
            gateway.c.requests.clear()
            time.sleep(0.3)
            assert gateway.c.requests
        assert not load.bad, load.bad[:3]
        row.saw = f"{load.good} x 200"
    gateway.admin("PUT", "/admin/config", gateway.text())


def test_health_checks(gateway, case):
    with case("a member that says it is not well") as row:
        checked = "  checked: {versions: {v1: checks}}"
        pool = "  checks: {members: [a, b], health: {path: /health, interval: 100ms, failures: 2}}\n"
        assert gateway.admin("PUT", "/admin/config", gateway.text(more=checked).replace("models:\n", pool + "models:\n", 1))[0] == 200

        def wait(expected):
            for _ in range(60):
                state = json.loads(gateway.get("/admin/upstreams"))
                pool = next(pool for pool in state["pools"] if pool["pool"] == "checks")
                if [member["healthy"] for member in pool["members"]] == expected:
                    return
                time.sleep(0.05)
            raise AssertionError(state)
        gateway.a.is_well = False
        wait([False, True])
        with Load(gateway, model="checked") as load:
            gateway.a.requests.clear()
            load.begun()
            time.sleep(0.3)
            assert not gateway.a.requests and load.good
            gateway.a.is_well = True
            wait([True, True])
            time.sleep(0.3)
            assert gateway.a.requests
        assert not load.bad and gateway.a.probes >= 3
        row.saw = f"{load.good} x 200 from the other"
    gateway.admin("PUT", "/admin/config", gateway.text())


def test_admin_is_closed_to_others(gateway):
    for key in ({}, KEY, {"Authorization": "Bearer nothing"}):
        assert httpx.get(gateway.url + "/admin/usage", headers=key).status_code == 401


def test_triton_client(gateway):
    client = tritonclient.http.InferenceServerClient(gateway.url.removeprefix("http://"))
    given = tritonclient.http.InferInput("IN", [2], "FP32")
    given.set_data_from_numpy(numpy.array([1, 2], numpy.float32), binary_data=False)
    asked = tritonclient.http.InferRequestedOutput("OUT", binary_data=False)
    answer = client.infer("m", [given], outputs=[asked], headers=KEY)
    assert answer.as_numpy("OUT").tolist() == [1.5, 2.5]
    gateway.a.reset(default="status:503")
    for _ in range(4):
        answer = client.infer("m", [given], outputs=[asked], headers=KEY)
        assert answer.as_numpy("OUT").tolist() == [1.5, 2.5]
    try:
        client.infer("nobody", [given], headers=KEY)
        raise AssertionError("an unknown model answered")
    except tritonclient.utils.InferenceServerException as error:
        assert "nobody" in error.message()


def test_deadline_shrinks(gateway):
    gateway.a.reset("good:0.01")
    httpx.post(gateway.url + "/v1/chat/completions", headers={**KEY, "X-Request-Timeout": "5s"}, json={"model": "solo"})
    line = [line for line in gateway.a.heads[0].split(b"\r\n") if line.startswith(b"X-Request-Timeout")][0]
    assert 4000 <= int(line.split(b": ")[1].removesuffix(b"ms")) <= 5000
    gateway.a.reset("silent")
    start = time.monotonic()
    answer = httpx.post(gateway.url + "/v1/chat/completions", headers={**KEY, "X-Request-Timeout": "200ms"},
                        json={"model": "solo"})
    assert answer.status_code == 504 and time.monotonic() - start < 0.6


def test_upstream_key(gateway):
    httpx.post(gateway.url + "/v1/chat/completions", headers=KEY, json={"model": "solo"})
    assert b"Authorization: Bearer " + SECRETS["upstream"].encode() in gateway.a.heads[0]


def test_secrets(gateway):
    """Nothing of what was planted shows in logs, metrics, answers or the admin API."""
    seen = gateway.log.read_text() + gateway.get("/metrics") + gateway.get("/admin/usage") + gateway.get("/admin/upstreams")
    seen += httpx.post(gateway.url + "/v1/chat/completions", headers=KEY, json={"model": "none"}).text
    for name in ("alice", "admin"):
        planted = gateway.text().replace("sha256: " + digest(name), "sha256: " + SECRETS[name])
        status, answer = gateway.admin("PUT", "/admin/config", planted)
        assert status == 422 and "sha256" in str(answer)
        seen += str(answer)
    new = gateway.file.with_suffix(".new")
    new.write_text(planted.replace("key_env: UPSTREAM_KEY", "key_env: " + SECRETS["upstream"]))
    os.replace(new, gateway.file)
    for _ in range(60):
        if "takes the name of an environment variable" in gateway.log.read_text():
            break
        time.sleep(0.05)
    seen += gateway.log.read_text()
    assert "takes the name of an environment variable" in seen
    gateway.write()
    time.sleep(0.6)
    for name, secret in SECRETS.items():
        assert secret not in seen, name
    assert len(seen) > 1000


def test_drain(gateway, case):
    """SIGTERM lets what is in flight finish, and takes nothing new."""
    with case("SIGTERM with a request in flight") as row:
        gateway.a.reset("good:0.5")
        found = []
        thread = threading.Thread(target=lambda: found.append(httpx.post(
            gateway.url + "/v1/chat/completions", headers=KEY, json={"model": "solo"}, timeout=10).status_code))
        thread.start()
        for _ in range(500):
            if gateway.a.requests:
                break
            time.sleep(0.01)
        gateway.stop()
        thread.join()
        gateway.start()
        assert found == [200]
        row.saw = "200, then the end"
        row.before = gateway.billed(), gateway.counters()
