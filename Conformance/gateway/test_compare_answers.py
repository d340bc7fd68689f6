# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Shadows of streams, tool calls, code, embeddings and tensors; `martlet compare report` and `replay`."""
import json
import os
import struct
import subprocess
import time

import httpx
import pytest

from conftest import SECRETS
from talker import Talker, chat, gateway_with

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MODELS = """  twice:
    versions: {v1: {pool: left, model: real}, v2: {pool: right, model: real}}
    default: v1
    shadow: {to: v2, percent: 100, concurrency: 50}
"""


@pytest.fixture
def pair(tmp_path):
    talkers = [Talker("left", lambda *_: chat("a")), Talker("right", lambda *_: chat("a"))]
    gateway = gateway_with(tmp_path, talkers, MODELS)
    with httpx.Client(headers=KEY, timeout=10) as client:
        yield gateway, *talkers, client
    gateway.stop()


def report(gateway, count=1):
    for _ in range(100):
        status, found = gateway.admin("GET", "/admin/compare/twice")
        if status == 200 and found["report"]["exchanges"] >= count:
            return found["report"]
        time.sleep(0.05)
    raise AssertionError(gateway.get("/metrics"))


def stream(text, calls=None, finish="stop", size=2):
    pieces = [text[i:i + size] for i in range(0, len(text), size)]
    events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
    for name, arguments in calls or []:
        events.append({"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": 0, "id": os.urandom(4).hex(), "function": {"name": name, "arguments": ""}}]}}]})
        for piece in (arguments[:3], arguments[3:]):
            events.append({"choices": [{"index": 0, "delta": {"tool_calls": [
                {"index": 0, "function": {"arguments": piece}}]}}]})
    return events + [{"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}]


def paths(found):
    return {row["path"] for row in found["paths"]}


def ask(gateway, client, path="/v1/chat/completions", **more):
    body = {"model": "twice", "messages": [], **more}
    return client.post(gateway.url + path, json=body)


def test_streams(pair):
    gateway, left, right, client = pair
    left.reply = lambda *_: stream("Hello there", [("find", '{"a": 1, "b": 2}')])
    right.reply = lambda *_: stream("Hello there", [("find", '{"b":2,"a":1}')])
    assert "[DONE]" in ask(gateway, client, stream=True).text
    found = report(gateway)
    assert found["equal"] == 1 and not found["paths"] and found["first_byte_ms"]["candidate"] > 0
    right.reply = lambda *_: stream("Hello you", [("find", '{"b":3,"a":1}')], finish="length")
    ask(gateway, client, stream=True)
    assert paths(report(gateway, 2)) == {
        "$.choices[*].message.content", "$.choices[*].finish_reason",
        "$.choices[*].message.tool_calls[*].arguments.b"}


def test_code(pair):
    gateway, left, right, client = pair
    left.reply = lambda *_: chat("So:\n```python\ndef f(a):\n    return a + 1  # next\n```")
    right.reply = lambda *_: chat("So:\n```python\ndef f( a ):\n  # the next one\n  return a+1\n```")
    ask(gateway, client)
    found = report(gateway)
    assert found["equal"] == 1 and found["code"] == {"blocks": 1, "differing": 0, "unparsed": 0}
    right.reply = lambda *_: chat("So:\n```python\ndef f(a):\n    return a + 2\n```")
    ask(gateway, client)
    found = report(gateway, 2)
    assert found["code"]["differing"] == 1
    difference = found["worst"][0]["code"][0]["differences"]
    assert [(one["part"], one["before"], one["after"], one["line"]) for one in difference] == [
        ("literal", "1", "2", 2)]


def test_embeddings_and_tensors(pair):
    gateway, left, right, client = pair
    left.reply = lambda *_: {"data": [{"embedding": [1.0, 0.0]}]}
    right.reply = lambda *_: {"data": [{"embedding": [0.6, 0.8]}]}
    ask(gateway, client, "/v1/embeddings", input="x")
    found = report(gateway)
    assert abs(found["tensors"]["cosine_least"] - 0.6) < 1e-9 and paths(found) == {"$.data[*].embedding"}

    def binary(*values):
        data = struct.pack(f"<{len(values)}f", *values)
        head = json.dumps({"model_name": "twice", "outputs": [
            {"name": "OUT", "datatype": "FP32", "shape": [len(values)],
             "parameters": {"binary_data_size": len(data)}}]}).encode()
        return lambda *_: (head + data, 200, f"Inference-Header-Content-Length: {len(head)}\r\n")
    left.reply, right.reply = binary(1, 2, 3), binary(1, 2, 3.0000001)
    client.post(gateway.url + "/v2/models/twice/infer", json={"inputs": []})
    assert report(gateway, 2)["equal"] == 1
    right.reply = binary(1, 2, 4)
    client.post(gateway.url + "/v2/models/twice/infer", json={"inputs": []})
    assert "$.outputs.OUT" in paths(report(gateway, 3))


def test_bounds(pair):
    gateway, left, right, client = pair
    right.reply = lambda *_: chat("z" * 400_000)
    left.reply = lambda *_: chat("y" * 400_000)
    for _ in range(60):
        assert ask(gateway, client).status_code == 200
    for _ in range(100):
        if report(gateway)["exchanges"] >= 20:
            break
        time.sleep(0.1)
    found = gateway.get("/admin/compare/twice")
    assert len(found) < 1_000_000, "a report keeps beginnings"
    left.reply = lambda *_: stream("y" * 1_400_000, size=1000)
    before = gateway.rss()
    for _ in range(5):
        ask(gateway, client, stream=True)
    assert gateway.rss() - before < 40


def test_report_command(pair, tmp_path):
    gateway, left, right, client = pair
    right.reply = lambda *_: chat("<b> & other")
    for _ in range(3):
        ask(gateway, client)
    report(gateway, 3)
    run = lambda *arguments, key=SECRETS["admin"]: subprocess.run(
        [os.environ["MARTLET_BIN"], "compare", "report", *arguments], capture_output=True, text=True,
        env={**os.environ, "MARTLET_ADMIN_KEY": key})
    done = run("twice", "--gateway", gateway.url, "--out", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert "3 exchanges, 0 without a difference" in done.stdout and "worst cases" in done.stdout
    page = (tmp_path / "new" / "compare-twice.html").read_text()
    assert "&lt;b&gt; &amp; other" in page and "<b> & other" not in page and "http" not in page
    stored = tmp_path / "new" / "compare-twice.json"
    again = run(str(stored), "--dry")
    assert again.returncode == 0 and "3 exchanges" in again.stdout
    assert run("nobody", "--gateway", gateway.url).returncode != 0
    assert "401" in run("twice", "--gateway", gateway.url, key="wrong").stderr
    assert SECRETS["admin"] not in done.stdout + done.stderr + page


def test_replay(tmp_path):
    left = Talker("left", lambda path, request: chat(f"{path} {request.get('x')}"))
    right = Talker("right", lambda path, request: chat(f"{path} {request.get('x')}"))
    file = tmp_path / "requests.jsonl"
    lines = [{"model": "m", "messages": [], "x": i} for i in range(50)]
    lines.append({"custom_id": "batch", "method": "POST", "url": "/v1/embeddings", "body": {"input": "e"}})
    file.write_text("\n\n".join(map(json.dumps, lines)) + "\n")

    def run(*more):
        return subprocess.run(
            [os.environ["MARTLET_BIN"], "compare", "replay", str(file), "--a", f"http://127.0.0.1:{left.port}", "--b",
             f"http://127.0.0.1:{right.port}", "--out", str(tmp_path), *more], capture_output=True, text=True)
    done = run("--noise", "--concurrency", "4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "51 exchanges, 51 without a difference; noise measured in 51" in done.stdout
    assert len(left.requests) == 102 and len(right.requests) == 51
    assert {path for path, _, _ in right.requests} == {"/v1/chat/completions", "/v1/embeddings"}
    right.reply = lambda path, request: chat("other" if request.get("x") == 7 else f"{path} {request.get('x')}")
    done = run()
    assert done.returncode == 1 and "line 15" in done.stdout, done.stdout
    right.stop()
    done = run()
    assert done.returncode == 1 and "gave no answer to 51" in done.stdout
    left.stop()
    done = run()
    assert done.returncode == 1 and "51 requests were not answered by a" in done.stdout
    file.write_text('{"model": "m"}\n')
    done = run()
    assert done.returncode != 0 and "line 1" in done.stderr
