# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Upstreams behind TLS, by a private authority: trusted where the file says so, and never asked in the clear."""
import asyncio
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import SECRETS, Gateway, free_port
from provider import Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


def run(folder, *command):
    subprocess.run(command, check=True, capture_output=True, cwd=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("authority")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    (folder / "inside").write_text("subjectAltName=DNS:models.internal\n")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for authority in ("ca", "other"):
        run(folder, "openssl", "req", "-x509", *new, "-keyout", authority + ".key", "-out", authority + ".pem", "-days",
            "2", "-subj", "/CN=" + authority)
    for name, names in (("server", "names"), ("client", "names"), ("internal", "inside")):
        run(folder, "openssl", "req", *new, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
        run(folder, "openssl", "x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", name + ".pem", "-days", "2", "-extfile", names)
    return folder


class Secure(Provider):
    """A provider behind TLS."""

    def __init__(self, name, folder, asks=False, certificate="server"):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
        if asks:
            self.context.load_verify_locations(folder / "ca.pem")
            self.context.verify_mode = ssl.CERT_REQUIRED
        super().__init__(name)

    def start(self, port=0):
        async def listen():
            return await asyncio.start_server(self.serve, "127.0.0.1", port or 0, ssl=self.context)
        self.server = asyncio.run_coroutine_threadsafe(listen(), self.loop).result()
        self.port = self.server.sockets[0].getsockname()[1]


class Reader:
    """Takes down what comes, whatever it is."""

    def __init__(self):
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            peer, _ = self.listener.accept()
            peer.settimeout(1)
            try:
                self.seen.append(peer.recv(4096))
            except OSError:
                pass
            peer.close()


class TLSGateway(Gateway):
    upstreams = ""
    top = ""
    environment = {}

    def text(self, **changes):
        text = super().text(**changes).replace("upstreams:\n", "upstreams:\n" + self.upstreams, 1)
        names = [line.split(":")[0].strip() for line in self.upstreams.splitlines()]
        return text.replace("models:\n", "models:\n" + "".join(f"  {name}: {name}\n" for name in names), 1) + self.top

    def start(self):
        os.environ.update(self.environment)
        try:
            super().start()
        finally:
            for name in self.environment:
                os.environ.pop(name)

    def ask(self, model, **headers):
        return httpx.post(self.url + "/v1/chat/completions", headers={**KEY, **headers}, timeout=20,
                          json={"model": model, "messages": []})

    def put(self, upstreams):
        self.upstreams = upstreams
        return self.admin("PUT", "/admin/config", self.text())


def make(tmp_path, upstreams="", environment=None, top=""):
    class Made(TLSGateway):
        pass
    Made.upstreams, Made.environment, Made.top = upstreams, environment or {}, top
    return Made(tmp_path, *(Provider(name) for name in "abc"))


def content(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def test_private_authority(tmp_path, folder):
    t, u = Secure("t", folder), Secure("u", folder, asks=True)
    v = Secure("v", folder, certificate="internal")
    gateway = make(tmp_path, (
        f"  t: {{url: 'https://localhost:{t.port}', key_env: UPSTREAM_KEY, tls: {{ca: {folder}/ca.pem}}}}\n"
        f"  address: {{url: 'https://127.0.0.1:{t.port}', tls: {{ca: {folder}/ca.pem}}}}\n"
        f"  u: {{url: 'https://localhost:{u.port}', tls: {{ca: {folder}/ca.pem, certificate: {folder}/client.pem,"
        f" key: {folder}/client.key}}}}\n"
        f"  unknown: {{url: 'https://localhost:{t.port}'}}\n"
        f"  other: {{url: 'https://localhost:{t.port}', tls: {{ca: {folder}/other.pem}}}}\n"
        f"  nameless: {{url: 'https://localhost:{u.port}', tls: {{ca: {folder}/ca.pem}}}}\n"
        f"  named: {{url: 'https://localhost:{v.port}', tls: {{ca: {folder}/ca.pem, server_name: models.internal}}}}\n"
        f"  misnamed: {{url: 'https://localhost:{v.port}', tls: {{ca: {folder}/ca.pem}}}}\n"))
    try:
        assert content(gateway.ask("t")) == "t" and content(gateway.ask("address")) == "t"
        assert b"Authorization: Bearer " + SECRETS["upstream"].encode() in t.heads[0]
        assert content(gateway.ask("u")) == "u" and content(gateway.ask("named")) == "v"
        seen = len(t.heads), len(v.heads)
        for model in ("unknown", "other", "nameless", "misnamed"):
            answer = gateway.ask(model)
            assert answer.status_code == 502, (model, answer.text)
            # The client learns nothing of where the server is, the log all of it.
            assert "localhost" not in answer.text and "127.0.0.1" not in answer.text
            assert answer.headers["x-request-id"] in answer.text
        assert (len(t.heads), len(v.heads)) == seen, "nothing may reach a server that is not trusted"
        log = gateway.log.read_text()
        assert "its certificate is not trusted" in log and f"TLS with localhost:{t.port}" in log
    finally:
        gateway.stop()


def test_authorities_of_the_environment(tmp_path, folder):
    t = Secure("t", folder)
    gateway = make(tmp_path, f"  t: 'https://localhost:{t.port}'\n", {"SSL_CERT_FILE": str(folder / "ca.pem")})
    try:
        assert content(gateway.ask("t")) == "t"
    finally:
        gateway.stop()


@pytest.mark.parametrize("by", ["put", "file"])
def test_added_by_a_reload(tmp_path, folder, by):
    """Without any upstream behind TLS at the start: what is added later is behind TLS all the same."""
    t, plain = Secure("t", folder), Reader()
    gateway = make(tmp_path)
    try:
        assert content(gateway.ask("solo")) == "a"
        more = (f"  t: {{url: 'https://localhost:{t.port}', tls: {{ca: {folder}/ca.pem}}}}\n"
                f"  plain: {{url: 'https://localhost:{plain.port}', key_env: UPSTREAM_KEY}}\n")
        if by == "put":
            assert gateway.put(more)[0] == 200
        else:
            gateway.upstreams = more
            gateway.write()
            time.sleep(1)
        assert content(gateway.ask("t")) == "t"
        assert gateway.ask("plain").status_code == 502
        assert plain.seen and all(SECRETS["upstream"].encode() not in seen and b"POST" not in seen for seen in plain.seen)
    finally:
        gateway.stop()


def test_keys_of_an_issuer_added_by_a_reload(tmp_path, folder):
    """A token's keys over https, when the gateway began without any TLS."""
    secret = ec.generate_private_key(ec.SECP256R1())
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(secret.public_key()))
    issuer = Secure("issuer", folder)

    async def answer(behaviour, path, body, reader, writer):
        text = json.dumps({"keys": [{**key, "kid": "k", "alg": "ES256", "use": "sig"}]}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        await writer.drain()
        return True
    issuer.answer = answer
    gateway = make(tmp_path, environment={"SSL_CERT_FILE": str(folder / "ca.pem")})
    try:
        Made = type(gateway)
        Made.top = (f"jwt: {{good: {{issuer: 'https://issuer', audience: martlet, keys: 'https://localhost:{issuer.port}/keys'}}}}\n")
        gateway.write()
        token = jwt.encode({"iss": "https://issuer", "aud": "martlet", "sub": "u", "exp": int(time.time()) + 600}, secret,
                           algorithm="ES256", headers={"kid": "k"})
        status = 0
        for _ in range(60):
            status = gateway.ask("solo", Authorization="Bearer " + token).status_code
            if status == 200:
                break
            time.sleep(0.1)
        assert status == 200, gateway.log.read_text()[-1000:]
    finally:
        gateway.stop()


def test_files_that_are_not_there(tmp_path, folder):
    bad = "  t: {url: 'https://localhost:1', tls: {ca: /nowhere/ca.pem}}\n"
    with pytest.raises(RuntimeError, match="/nowhere/ca.pem"):
        make(tmp_path, bad)
    (tmp_path / "second").mkdir()
    gateway = make(tmp_path / "second")
    try:
        status, answer = gateway.put(bad)
        assert status == 422 and "/nowhere/ca.pem" in json.dumps(answer)
        assert content(gateway.ask("solo")) == "a", "what was in force stays"
    finally:
        gateway.stop()


@pytest.mark.parametrize("value", [None, "", "sk-x\r\nX-Evil: 1", "sk-x\n"])
def test_keys_that_cannot_be_sent(tmp_path, value):
    """A key that is configured and not there: nobody is asked, and the client's own key least of all."""
    line = "  keyed: {url: 'http://127.0.0.1:PORT', key_env: MARTLET_TEST_KEY}\n".replace("PORT", str(free_port()))
    with pytest.raises(RuntimeError, match="upstream 'keyed' has key_env: MARTLET_TEST_KEY"):
        make(tmp_path, line, {} if value is None else {"MARTLET_TEST_KEY": value})
    (tmp_path / "second").mkdir()
    gateway = make(tmp_path / "second")
    try:
        status, answer = gateway.put("  keyed: {url: 'http://127.0.0.1:1', key_env: MARTLET_OTHER_KEY}\n")
        assert status == 422 and "MARTLET_OTHER_KEY" in json.dumps(answer)
        assert content(gateway.ask("solo")) == "a"
        check = subprocess.run([os.environ["MARTLET_BIN"], "gateway", "check", gateway.file], capture_output=True,
                               text=True, env={k: v for k, v in os.environ.items() if k != "UPSTREAM_KEY"})
        assert check.returncode == 0 and "UPSTREAM_KEY" in check.stdout and "is not set" in check.stdout
    finally:
        gateway.stop()


def test_client_certificates_over_http2(tmp_path, folder):
    """A certificate stands for a key over HTTP/2 as over HTTP/1.1."""
    class Mutual(Gateway):
        def text(self, **changes):
            return super().text(**changes).replace(
                "listen: {", f"listen: {{certificate: {folder}/server.pem, key: {folder}/server.key, "
                f"client_ca: {folder}/ca.pem, ", 1).replace("keys:\n", "keys:\n  node: {certificate: [CN=client]}\n", 1)
    gateway = Mutual(tmp_path, *(Provider(name) for name in "abc"))
    try:
        trust = ssl.create_default_context(cafile=folder / "ca.pem")
        trust.load_cert_chain(folder / "client.pem", folder / "client.key")
        for version in (False, True):
            with httpx.Client(http1=not version, http2=version, verify=trust) as client:
                for _ in range(3):
                    answer = client.post(f"https://localhost:{gateway.port}/v1/chat/completions",
                                         json={"model": "solo", "messages": []})
                    assert answer.status_code == 200, answer.text
                    assert answer.http_version == ("HTTP/2" if version else "HTTP/1.1")
    finally:
        gateway.stop()
