# SPDX-License-Identifier: Apache-2.0
"""Models, a server that stays up through every case, and bytes sent as no client would."""

import json
import os
import pathlib
import shutil
import socket
import subprocess

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from server import Server

ROOT = pathlib.Path(__file__).resolve().parents[2]


def scale_model(factor, width=4):
    """y = x * factor."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])
    by = numpy_helper.from_array(np.full((1,), factor, np.float32), "by")
    node = helper.make_node("Mul", ["x", "by"], ["y"], name="scale")
    graph = helper.make_graph([node], "scale", [x], [y], [by])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def slow_model(layers=40, width=1024):
    """A chain of square matrix products: about a second for a batch of 512."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])
    weight = numpy_helper.from_array(np.eye(width, dtype=np.float32), "w")
    nodes, last = [], "x"
    for index in range(layers):
        nodes.append(helper.make_node("MatMul", [last, "w"], [f"h{index}"]))
        nodes.append(helper.make_node("Tanh", [f"h{index}"], [f"t{index}"]))
        last = f"t{index}"
    nodes.append(helper.make_node("Identity", [last], ["y"]))
    graph = helper.make_graph(nodes, "slow", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def put_version(repository, name, version, model, config=None):
    folder = repository / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    if config:
        (repository / name / "config.pbtxt").write_text(config)
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    put_version(folder, "scale", 1, scale_model(2))
    return folder


@pytest.fixture(scope="session")
def server(repository, tmp_path_factory):
    """One server for all wire cases, with short time limits and few connections."""
    log = tmp_path_factory.mktemp("log") / "server.log"
    os.environ["MARTLET_SERVER_REQUEST_SECONDS"] = "2"
    os.environ["MARTLET_SERVER_CONNECTIONS_MAX"] = "64"
    os.environ["MARTLET_SERVER_BODY_BYTES_MAX"] = str(32 << 20)
    try:
        server = Server(repository, log, mode="none").start()
    finally:
        for name in ("REQUEST_SECONDS", "CONNECTIONS_MAX", "BODY_BYTES_MAX"):
            del os.environ[f"MARTLET_SERVER_{name}"]
    yield server
    code = server.stop()
    assert code == 0, f"the server ended with {code}: {server.tail()}"


class Wire:
    """A raw connection to the HTTP port."""

    def __init__(self, server, timeout=10):
        host, port = server.http.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout)
        self.rest = b""

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)
        return self

    def read_all(self):
        """Everything until the server closes."""
        parts = []
        try:
            while part := self.socket.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def read_response(self):
        """One response with a Content-Length: (status, headers, body)."""
        data, self.rest = self.rest, b""
        while b"\r\n\r\n" not in data:
            part = self.socket.recv(65536)
            if not part:
                return None
            data += part
        head, body = data.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:])}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            part = self.socket.recv(65536)
            if not part:
                break
            body += part
        self.rest = body[length:]
        return int(lines[0].split()[1]), headers, body[:length]

    def close(self):
        self.socket.close()


@pytest.fixture
def wire(server):
    opened = []

    def connect(timeout=10):
        opened.append(Wire(server, timeout))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
    assert answers(server), f"the server no longer answers: {server.tail()}"


def post(path, body=b"", headers=()):
    """A request as bytes, Content-Length included unless given."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{k}: {v}" for k, v in headers]
    if not any(k.lower() in ("content-length", "transfer-encoding") for k, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def infer_body(**changes):
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}
    tensor.update(changes)
    return json.dumps({"inputs": [{k: v for k, v in tensor.items() if v is not None}]}).encode()


def answers(server):
    connection = Wire(server)
    connection.send(post("/v2/models/scale/infer", infer_body()))
    reply = connection.read_response()
    connection.close()
    return reply is not None and reply[0] == 200 and \
        json.loads(reply[2])["outputs"][0]["data"] == [2, 4, 6, 8]


@pytest.fixture
def refused():
    """Runs the binary, which must end by itself and not well; gives what it said."""
    def run(*arguments, env=None, limit=30):
        done = subprocess.run(
            [os.environ["MARTLET_BIN"], *map(str, arguments)], capture_output=True, text=True,
            timeout=limit, env={**os.environ, **(env or {})})
        assert done.returncode > 0, f"ended with {done.returncode}: {done.stderr[-2000:]}"
        return done.stdout + done.stderr
    return run


@pytest.fixture
def embedder(tmp_path):
    """A copy of the bundled embedder to break."""
    folder = tmp_path / "embedder"
    shutil.copytree(ROOT / "Examples" / "models" / "tiny-embedder", folder)
    return folder
