# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping, with servers of their own."""

import socket
import subprocess
import threading
import time

import numpy as np
import pytest

import models
from clients import Door
from server import Server


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    models.slow(folder, "slow", 150)
    models.identity(folder, "FP32")
    return folder


@pytest.fixture
def own(repository, tmp_path):
    running = Server(repository, tmp_path / "server.log").start()
    yield running
    running.kill()


@pytest.mark.parametrize("name", ["rest", "grpc"])
def test_sigterm_lets_requests_finish(own, name):
    door = Door(name, own)
    answers = []

    def ask():
        client = Door(name, own)
        answers.append(client.echo("slow", np.zeros(1, np.float32)))
        client.close()

    door.echo("slow", np.zeros(1, np.float32))
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.1)
    assert own.stop() == 0
    asking.join(30)
    door.close()
    assert len(answers) == 1, "the request in progress was dropped"


def test_idle_stream_does_not_hold_the_server_up(own):
    import tritonclient.grpc as grpcclient
    client = grpcclient.InferenceServerClient(own.grpc)
    client.start_stream(lambda result, error: None)
    time.sleep(0.2)
    start = time.monotonic()
    assert own.stop() == 0
    assert time.monotonic() - start < 10
    client.close()


def test_port_in_use(repository, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        server = Server(repository, tmp_path / "server.log")
        server.command[server.command.index("--grpc-port") + 1] = port
        done = subprocess.run(server.command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert port in done.stdout + done.stderr


def test_shared_memory_is_off_unless_allowed(own):
    for name in ("rest", "grpc"):
        door = Door(name, own)
        with door.refuses("unsupported", "shared memory"):
            door.client.register_system_shared_memory("x", "/x", 64)
        door.close()


def test_load_is_refused_without_explicit_control(repository, tmp_path):
    server = Server(repository, tmp_path / "server.log", mode="none").start()
    try:
        for name in ("rest", "grpc"):
            door = Door(name, server)
            with pytest.raises(Exception) as caught:
                door.client.load_model("slow")
            assert caught.value.message()
            door.close()
    finally:
        assert server.stop() == 0
