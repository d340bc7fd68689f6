# SPDX-License-Identifier: Apache-2.0
"""Stopping, half-written versions, vanished folders, full disks."""

import json
import os
import shutil
import socket
import threading
import time
import urllib.request

import onnx
import pytest

from conftest import infer_body, post, put_version, scale_model, slow_model
from server import Server


def ask(server, path, body=None, timeout=30):
    request = urllib.request.Request(
        f"http://{server.http}{path}", data=body, method="POST" if body is not None else "GET")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def scaled(server):
    """What the scale model makes of 1, or None."""
    status, body = ask(server, "/v2/models/scale/infer", infer_body(data=[1] * 4))
    return json.loads(body)["outputs"][0]["data"][0] if status == 200 else None


def eventually(check, limit=15):
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def started(tmp_path):
    servers = []

    def start(repository, *flags, mode="none", env=()):
        os.environ.update(env)
        try:
            servers.append(Server(repository, tmp_path / "server.log", *flags, mode=mode).start())
        finally:
            for name, _ in env:
                del os.environ[name]
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def test_a_request_in_flight_is_answered_before_the_server_ends(started, tmp_path):
    put_version(tmp_path / "r", "slow", 1, slow_model(), "max_batch_size: 1024\n")
    server = started(tmp_path / "r")
    body = json.dumps({"inputs": [{
        "name": "x", "datatype": "FP32", "shape": [512, 1024], "data": [0.5] * (512 * 1024)}]}).encode()
    answer = []
    thread = threading.Thread(target=lambda: answer.append(ask(server, "/v2/models/slow/infer", body, 60)))
    thread.start()
    time.sleep(0.4)
    assert server.stop() == 0
    thread.join(60)
    assert answer and answer[0][0] == 200, answer and answer[0][1][:300]


def test_a_draining_server_takes_nothing_new(started, tmp_path):
    put_version(tmp_path / "r", "scale", 1, scale_model(2))
    server = started(tmp_path / "r")
    assert scaled(server) == 2
    assert server.stop() == 0
    with pytest.raises(OSError):
        socket.create_connection(tuple(server.http.split(":")), 2)


def test_a_half_written_version_is_not_loaded_until_it_is_whole(started, tmp_path):
    repository = tmp_path / "r"
    put_version(repository, "scale", 1, scale_model(2))
    server = started(repository, mode="poll", env=[("MARTLET_MODELS_POLL_SECONDS", "1")])
    whole = scale_model(3).SerializeToString()
    folder = repository / "scale" / "2"
    folder.mkdir()
    with open(folder / "model.onnx", "wb") as file:
        for index in range(20):
            file.write(whole[index * len(whole) // 20:(index + 1) * len(whole) // 20])
            file.flush()
            assert scaled(server) == 2
            time.sleep(0.05)
    assert eventually(lambda: scaled(server) == 3)


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_is_named(started, tmp_path):
    repository = tmp_path / "r"
    put_version(repository, "scale", 1, scale_model(2))
    server = started(repository, mode="poll", env=[("MARTLET_MODELS_POLL_SECONDS", "1")])
    (repository / "scale" / "2").mkdir()
    (repository / "scale" / "2" / "model.onnx").write_bytes(b"not a model at all")

    def is_named():
        rows = json.loads(ask(server, "/v2/repository/index", b"")[1])
        return any(r["version"] == "2" and r["state"] == "UNAVAILABLE" and r["reason"] for r in rows)

    assert eventually(is_named)
    assert scaled(server) == 2


def test_a_wrong_digest_keeps_a_version_out(started, tmp_path):
    repository = tmp_path / "r"
    put_version(repository, "scale", 1, scale_model(2))
    server = started(repository, mode="poll", env=[("MARTLET_MODELS_POLL_SECONDS", "1")])
    staged = tmp_path / "staged"
    staged.mkdir()
    onnx.save(scale_model(3), staged / "model.onnx")
    (staged / "model.onnx.sha256").write_text("0" * 64 + "  model.onnx\n")
    staged.rename(repository / "scale" / "2")
    time.sleep(3)
    assert scaled(server) == 2


def test_a_repository_that_vanishes_leaves_the_models_serving(started, tmp_path):
    repository = tmp_path / "r"
    put_version(repository, "scale", 1, scale_model(2))
    server = started(repository, mode="poll", env=[("MARTLET_MODELS_POLL_SECONDS", "1")])
    repository.rename(tmp_path / "gone")
    time.sleep(2.5)
    assert ask(server, "/v2/health/live")[0] == 200
    (tmp_path / "gone").rename(repository)
    assert eventually(lambda: scaled(server) == 2)


def test_a_full_disk_under_the_log_stops_nothing(started, tmp_path):
    put_version(tmp_path / "r", "scale", 1, scale_model(2))
    server = started(tmp_path / "r", env=[("MARTLET_LOG_FILE", "/dev/full"), ("MARTLET_LOG_REQUESTS", "true")])
    for _ in range(50):
        assert scaled(server) == 2


def test_a_removed_model_is_gone_and_the_others_stay(started, tmp_path):
    repository = tmp_path / "r"
    put_version(repository, "scale", 1, scale_model(2))
    put_version(repository, "other", 1, scale_model(5))
    server = started(repository, mode="poll", env=[("MARTLET_MODELS_POLL_SECONDS", "1")])
    shutil.rmtree(repository / "other")
    assert eventually(lambda: ask(server, "/v2/models/other/infer", infer_body())[0] in (400, 404))
    assert scaled(server) == 2
