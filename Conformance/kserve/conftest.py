# SPDX-License-Identifier: Apache-2.0

import pytest

import models
from clients import Door
from server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server for the whole suite; it must end cleanly when told to."""
    folder = tmp_path_factory.mktemp("kserve")
    repository = folder / "repository"
    repository.mkdir()
    models.write_repository(repository)
    running = Server(repository, folder / "server.log", "--allow-shared-memory").start()
    yield running
    status = running.stop()
    assert status == 0, f"the server ended with {status}: {running.tail()}"


@pytest.fixture(scope="session", params=["rest", "grpc"])
def door(request, server):
    client = Door(request.param, server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def rest(server):
    client = Door("rest", server)
    yield client
    client.close()


@pytest.fixture(scope="session")
def grpc_door(server):
    client = Door("grpc", server)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def still_alive(server):
    """No case may take the server down."""
    yield
    assert server.process.poll() is None, f"the server died: {server.tail()}"
