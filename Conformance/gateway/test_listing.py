# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""What the gateway says of itself, asked by real clients; what its commands say, and what they never show."""
import json
import os
import subprocess
import time

import httpx
import openai
import pytest
import tritonclient.grpc
import tritonclient.http

from conftest import SECRETS, digest, free_port

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
CHAT = {"model": "solo", "messages": []}


def martlet(*arguments, **environment):
    return subprocess.run([os.environ["MARTLET_BIN"], *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, env={**os.environ, **environment})


def test_models(gateway):
    listed = [model.id for model in gateway.client().models.list()]
    assert listed[:3] == ["solo", "duo", "guarded"] and "m" in listed
    assert [model.id for model in gateway.client("bob").models.list()] == ["solo"]
    assert gateway.client().models.retrieve("duo").owned_by == "martlet"
    with pytest.raises(openai.NotFoundError):
        gateway.client("bob").models.retrieve("duo")
    with pytest.raises(openai.NotFoundError):
        gateway.client().models.retrieve("nobody")
    assert httpx.get(gateway.url + "/v1/models").status_code == 401


def test_server(gateway):
    address = gateway.url.removeprefix("http://")
    rest = tritonclient.http.InferenceServerClient(address)
    assert rest.is_server_live() and rest.is_server_ready()
    about = rest.get_server_metadata(headers=KEY)
    assert about["name"] == "martlet-gateway" and about["version"] and about["extensions"]
    index = {entry["name"]: entry for entry in rest.get_model_repository_index(headers=KEY)}
    assert index["solo"] == {"name": "solo", "version": "v1", "state": "READY", "reason": ""}
    rpc = tritonclient.grpc.InferenceServerClient(address)
    assert rpc.is_server_live() and rpc.is_server_ready()


def test_ready_only_with_somebody_to_ask(tmp_path):
    port, gone = free_port(), free_port()
    file = tmp_path / "gateway.yaml"
    file.write_text(f"""
listen: {{port: {port}}}
upstreams: {{gone: "http://127.0.0.1:{gone}"}}
pools: {{p: {{members: [gone], health: {{path: /, interval: 50ms, failures: 1}}}}}}
models: {{m: p}}
""")
    process = subprocess.Popen([os.environ["MARTLET_BIN"], "gateway", "--config", str(file)])
    try:
        rest = tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}")
        rpc = tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}")
        for _ in range(100):
            try:
                if not rest.is_server_ready():
                    break
            except OSError:
                pass
            time.sleep(0.05)
        assert rest.is_server_live() and not rest.is_server_ready()
        assert rpc.is_server_live() and not rpc.is_server_ready()
        assert rest.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
    finally:
        process.terminate()
        process.wait(20)


def test_mistakes(gateway):
    def ask(path="/v1/chat/completions", headers={}, **body):
        answer = httpx.post(gateway.url + path, headers={**KEY, **headers}, **body)
        return answer.status_code, answer.json()["error"]["code"]
    assert ask(content=b"hello") == (400, "invalid_json")
    assert ask() == (400, "missing_body")
    assert ask(json={"messages": []}) == (400, "missing_model")
    assert ask(headers={"X-Request-Timeout": "abc"}, json=CHAT) == (400, "invalid_timeout")
    assert ask("/v1/feedback", json={"request_id": "x", "score": 1}) == (404, "no_feedback")
    with pytest.raises(openai.BadRequestError):
        gateway.client().chat.completions.create(model=None, messages=[])


def test_request_id(gateway):
    answer = httpx.post(gateway.url + "/v1/chat/completions", headers={**KEY, "X-Request-Id": "job-7/a"}, json=CHAT)
    assert answer.headers["x-request-id"] == "job-7/a"
    assert b"X-Request-Id: job-7/a\r\n" in gateway.a.heads[-1]
    time.sleep(0.1)
    assert '"job-7/a"' in gateway.log.read_text()
    made = httpx.post(gateway.url + "/v1/chat/completions", headers={**KEY, "X-Request-Id": "a b"}, json=CHAT)
    assert len(made.headers["x-request-id"]) == 16
    over2 = httpx.Client(http2=True, headers=KEY) if _has_http2() else None
    if over2:
        assert over2.post(gateway.url + "/v1/chat/completions", headers={"X-Request-Id": "two"},
                          json=CHAT).headers["x-request-id"] == "two"


def _has_http2():
    try:
        import h2  # noqa: F401
        return True
    except ImportError:
        return False


def test_restart_is_asked_for(gateway):
    text = gateway.text().replace("drain: 5s", "drain: 6s")
    status, answer = gateway.admin("PUT", "/admin/config", text)
    assert status == 200 and "listen has changed: that takes a restart" in answer["warnings"], answer
    new = gateway.file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, gateway.file)
    for _ in range(60):
        if "takes a restart" in gateway.log.read_text():
            break
        time.sleep(0.05)
    assert "takes a restart" in gateway.log.read_text()
    gateway.write()
    time.sleep(0.6)


def test_check_warns(tmp_path):
    file = tmp_path / "gateway.yaml"
    file.write_text(f"""
listen: {{certificate: {tmp_path}/none.pem, key: {tmp_path}/none.key}}
keys: {{alice: {{sha256: {digest("alice")}, budget: {{amount: 1}}}}}}
upstreams:
  paid: {{url: "http://127.0.0.1:9", key_env: NOT_SET_ANYWHERE}}
  calls: {{url: "http://127.0.0.1:9", protocol: grpc}}
pools: {{p: [paid, calls]}}
models:
  m: {{versions: {{v1: p, v2: paid}}, deliver: {{from: v1, to: v2, feedback: {{tolerance: 1}}}}}}
""")
    found = martlet("gateway", "check", file)
    assert found.returncode == 0, found
    for part in ("key_env names is not set", "none.pem' is not there", "none.key' is not there",
                 "speak different protocols", "no budget ever stops it", "no feedback section"):
        assert part in found.stdout, (part, found.stdout)
    assert "key_env" not in martlet("gateway", "check", file, NOT_SET_ANYWHERE="x").stdout


@pytest.mark.parametrize("line", [
    "keys: {alice: {sha256: sk-PLANTED-1}}", "keys:\n  alice:\n    sha256:\n      - sk-PLANTED-1",
    "keys: {alice: sk-PLANTED-1}", "admin: sk-PLANTED-1", "state: {redis: 'redis://u:PLANTED@h:1'}",
    "upstreams: {u: 'http://u:PLANTED@h'}", "upstreams: {u: {url: 'http://h', key_env: sk-PLANTED}}",
    "state: {redis: 'redis://h', password: PLANTED}",
])
def test_check_shows_no_secrets(tmp_path, line):
    file = tmp_path / "gateway.yaml"
    file.write_text(line + "\nmodels: {m: nowhere}\n")
    for arguments in (("gateway", "check", file), ("gateway", "--config", file)):
        found = martlet(*arguments)
        assert found.returncode == 1 and "error: " in found.stdout, found
        assert "PLANTED" not in found.stdout + found.stderr, found


def test_errors_of_calls_are_no_usage_errors(gateway, tmp_path):
    def check(*arguments, **environment):
        found = martlet(*arguments, **environment)
        assert found.returncode == 1 and "Usage:" not in found.stderr, found
        return found.stderr
    report = ("compare", "report", "nobody", "--gateway", gateway.url)
    assert "401" in check(*report)
    assert "404" in check(*report, MARTLET_ADMIN_KEY=SECRETS["admin"])
    assert "connect" in check(*report[:-1], "http://127.0.0.1:9").lower()
    (tmp_path / "r.jsonl").write_text("{bad\n")
    check("compare", "replay", tmp_path / "r.jsonl", "--a", gateway.url, "--b", gateway.url)


def test_replay_tells_of_failures(gateway, tmp_path):
    (tmp_path / "r.jsonl").write_text("\n".join(json.dumps({"model": "real", "messages": []}) for _ in range(3)))
    a, b = (f"http://127.0.0.1:{provider.port}" for provider in (gateway.a, gateway.b))
    gateway.b.reset(default="silent")
    found = martlet("compare", "replay", tmp_path / "r.jsonl", "--a", a, "--b", b, "--timeout", "1", "--out", tmp_path)
    assert found.returncode == 1, found
    assert "gave no answer to 3 more requests" in found.stdout and "3 × no answer within 1" in found.stdout, found.stdout
    document = json.loads((tmp_path / "compare-r.jsonl.json").read_text())["report"]
    assert sum(document["failures"].values()) == 3 and document["exchanges"] == 0
    found = martlet("compare", "replay", tmp_path / "r.jsonl", "--a", a, "--b", "http://127.0.0.1:9", "--dry")
    assert found.returncode == 1 and "cannot connect" in found.stdout, found.stdout
