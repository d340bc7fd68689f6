# SPDX-License-Identifier: Apache-2.0
"""Both doors over TLS, with a certificate made for the purpose."""

import socket
import ssl
import subprocess

import numpy as np
import pytest
import tritonclient.grpc as grpcclient
import tritonclient.http as httpclient

import models
from server import Server


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    (folder / "repository").mkdir()
    models.identity(folder / "repository", "FP32")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    server = Server(folder / "repository", folder / "server.log",
                    "--tls-certificate", str(certificate), "--tls-key", str(key))
    server.is_ready = lambda: listens(server.http) and listens(server.grpc)
    server.start()
    yield server, certificate
    assert server.stop() == 0


def listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
        return True
    except OSError:
        return False


VALUES = np.arange(8, dtype=np.float32).reshape(2, 4)


def echo(client, module):
    tensor = module.InferInput("INPUT0", [2, 4], "FP32")
    tensor.set_data_from_numpy(VALUES)
    return client.infer("identity_fp32", [tensor]).as_numpy("OUTPUT0")


def test_grpc(secure):
    server, certificate = secure
    client = grpcclient.InferenceServerClient(
        server.grpc, ssl=True, root_certificates=str(certificate))
    assert client.is_server_live()
    np.testing.assert_array_equal(echo(client, grpcclient), VALUES)
    client.close()


def test_grpc_negotiates_http2(secure):
    server, certificate = secure
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["h2"])
    host, port = server.grpc.split(":")
    with socket.create_connection((host, int(port))) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as wrapped:
            assert wrapped.selected_alpn_protocol() == "h2"
            assert wrapped.version() in ("TLSv1.2", "TLSv1.3")


def test_rest(secure):
    server, certificate = secure
    client = httpclient.InferenceServerClient(
        server.http, ssl=True, ssl_options={"ca_certs": str(certificate)},
        ssl_context_factory=None)
    assert client.is_server_live()
    np.testing.assert_array_equal(echo(client, httpclient), VALUES)
    client.close()


def test_plain_text_is_not_served(secure):
    server, _ = secure
    client = grpcclient.InferenceServerClient(server.grpc)
    with pytest.raises(Exception):
        client.is_server_live(client_timeout=3)
    client.close()
