# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""The same door behind TLS: answers, streams, large answers, and a client that goes."""
import subprocess
import time

import httpx
import pytest

from conftest import SECRETS, Gateway
from provider import TOKENS, Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-days", "2", "-subj", "/CN=localhost"],
                   check=True, capture_output=True)

    class Secure(Gateway):
        def text(self, **changes):
            return super().text(**changes).replace(
                "listen: {", f"listen: {{certificate: {folder}/cert.pem, key: {folder}/key.pem, ", 1)
    gateway = Secure(folder, *(Provider(name) for name in "abc"))
    gateway.url = gateway.url.replace("http:", "https:")
    yield gateway
    gateway.stop()


def post(client, gateway, **body):
    return client.post(gateway.url + "/v1/chat/completions", headers=KEY, json={"messages": [], **body})


def test_answers(secure):
    with httpx.Client(verify=False) as client:
        for _ in range(20):
            assert post(client, secure, model="solo").json()["choices"][0]["message"]["content"] == "a"
        assert post(client, secure, model="nobody").status_code == 404
    assert b"X-Forwarded-Proto: https" in secure.a.heads[0]


def test_large_bodies(secure):
    with httpx.Client(verify=False, timeout=20) as client:
        for size in (1_000, 100_000, 3_000_000):
            answer = client.post(secure.url + "/v1/chat/completions", headers=KEY, json={
                "messages": [{"role": "user", "content": "x" * size}], "model": "big"})
            assert answer.status_code == 200
            assert len(secure.a.requests[-1][1]) > size


def test_streams(secure):
    with httpx.Client(verify=False) as client:
        text = post(client, secure, model="solo", stream=True).text
        assert text.count('"content": "t') == TOKENS and text.endswith("data: [DONE]\n\n")
        secure.a.reset("cut")
        with pytest.raises(httpx.HTTPError):
            post(client, secure, model="solo", stream=True)


def test_large_answer(secure):
    """More than the socket takes at once, and all of it arrives."""
    secure.a.reset("flood:1000")
    total = 0
    with pytest.raises(httpx.HTTPError):  # the provider's flood ends without its last chunk
        with httpx.stream("POST", secure.url + "/v1/chat/completions", verify=False, timeout=20, headers=KEY,
                          json={"model": "big", "messages": [], "stream": True}) as answer:
            for piece in answer.iter_raw():
                total += len(piece)
                time.sleep(0.001)
    assert total > 4_000_000


def test_disconnect(secure):
    secure.a.reset("silent")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(secure.url + "/v1/chat/completions", verify=False, timeout=0.3, headers=KEY,
                   json={"model": "solo", "messages": []})
    for _ in range(100):
        if secure.a.cancelled:
            break
        time.sleep(0.005)
    assert secure.a.cancelled
