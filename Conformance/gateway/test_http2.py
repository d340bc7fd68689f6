# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Plain REST over HTTP/2: the same door, found by what a client begins with, or by ALPN behind TLS."""
import json
import socket
import subprocess
import time

import h2.connection
import h2.events
import httpx
import openai
import pytest

from conftest import SECRETS, Gateway
from provider import TOKENS, Provider

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


def clear():
    """Speaks HTTP/2 from the first byte."""
    return httpx.Client(http1=False, http2=True, timeout=20)


def post(client, gateway, **body):
    return client.post(gateway.url + "/v1/chat/completions", headers=KEY, json={"messages": [], **body})


def test_answers_and_refusals(gateway):
    with clear() as client:
        for _ in range(20):
            answer = post(client, gateway, model="solo")
            assert answer.http_version == "HTTP/2" and answer.status_code == 200
            assert answer.json()["choices"][0]["message"]["content"] == "a"
        assert post(client, gateway, model="nobody").status_code == 404
        assert client.get(gateway.url + "/healthz").json() == {"status": "ok"}
        assert client.get(gateway.url + "/v1/models").status_code == 401
        assert client.get(gateway.url + "/none/at-all", headers=KEY).status_code == 404
    head = gateway.a.heads[0]
    assert b"Host: " in head and b"x-forwarded-for: 127.0.0.1" in head.lower()


@pytest.mark.parametrize("size", [10, 100_000, 1_000_000, 5_000_000])
def test_large_bodies(gateway, size):
    with clear() as client:
        answer = client.post(gateway.url + "/v1/chat/completions", headers=KEY, json={
            "messages": [{"role": "user", "content": "x" * size}], "model": "big"})
        assert answer.status_code == 200
        assert len(gateway.a.requests[-1][1]) > size


def test_a_body_that_is_too_long(gateway):
    """Refused by its announced length, before it comes."""
    with socket.create_connection(("127.0.0.1", gateway.port)) as peer:
        machine = h2.connection.H2Connection()
        machine.initiate_connection()
        machine.send_headers(1, [(":method", "POST"), (":path", "/v1/embeddings"), (":scheme", "http"),
                                 (":authority", "g"), ("content-length", "30000000")])
        peer.sendall(machine.data_to_send())
        peer.settimeout(5)
        status = None
        while status is None:
            for event in machine.receive_data(peer.recv(65536)):
                if isinstance(event, h2.events.ResponseReceived):
                    status = dict(event.headers)[b":status"]
    assert status == b"413"


def test_streams(gateway):
    with clear() as client:
        text = post(client, gateway, model="solo", stream=True).text
        assert text.count('"content": "t') == TOKENS and text.endswith("data: [DONE]\n\n")
        gateway.a.reset("cut")
        with pytest.raises(httpx.HTTPError):
            post(client, gateway, model="solo", stream=True)
        # The connection outlives the stream that was broken off.
        assert post(client, gateway, model="solo").status_code == 200


def test_openai_client(gateway):
    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=SECRETS["alice"], max_retries=0, http_client=clear())
    answer = client.chat.completions.create(model="solo", messages=[])
    assert answer.choices[0].message.content == "a"
    tokens = [event for event in client.chat.completions.create(model="duo", messages=[], stream=True)
              if event.choices and event.choices[0].delta.content]
    assert len(tokens) == TOKENS


def test_cancel(gateway):
    gateway.a.reset("silent")
    with clear() as client:
        begin = time.perf_counter()
        with pytest.raises(httpx.ReadTimeout):
            client.post(gateway.url + "/v1/chat/completions", timeout=0.3, headers=KEY,
                        json={"model": "solo", "messages": []})
    for _ in range(200):
        if gateway.a.cancelled:
            break
        time.sleep(0.005)
    assert gateway.a.cancelled and time.perf_counter() - begin < 1


def test_slow_reader_is_bounded(gateway):
    gateway.a.reset("flood:2000")
    before = gateway.rss()
    with clear() as client:
        with client.stream("POST", gateway.url + "/v1/chat/completions", headers=KEY,
                           json={"model": "big", "messages": [], "stream": True}) as answer:
            next(answer.iter_raw())
            time.sleep(0.5)
            grown = gateway.rss() - before
    assert grown < 16, grown


def test_alpn(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)

    class Secure(Gateway):
        def text(self, **changes):
            return super().text(**changes).replace(
                "listen: {", f"listen: {{certificate: {tmp_path}/cert.pem, key: {tmp_path}/key.pem, ", 1)
    gateway = Secure(tmp_path, *(Provider(name) for name in "abc"))
    gateway.url = gateway.url.replace("http:", "https:")
    try:
        for both in (True, False):
            with httpx.Client(http2=both, verify=False) as client:
                answer = post(client, gateway, model="solo")
                assert answer.http_version == ("HTTP/2" if both else "HTTP/1.1")
                assert json.loads(answer.content)["choices"]
                assert post(client, gateway, model="solo", stream=True).text.endswith("data: [DONE]\n\n")
    finally:
        gateway.stop()
