# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""Providers that are spoken to over HTTP/2 (`http: 2`): one connection, a stream for each request. The provider here
is the h2 package's, so that both sides are not ours."""
import asyncio
import json
import threading
import time

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from conftest import SECRETS, Gateway
from provider import TOKENS, Provider, delta, event, usage
from talker import chat

KEY = {"Authorization": "Bearer " + SECRETS["alice"]}
MODELS = """  modern: {versions: {v1: {pool: modern, model: real}}}
  either: {versions: {v1: {pool: either, model: real}}}
"""
POOLS = """pools:
  modern: {members: [new], attempts: 2, timeout: 3s, health: {path: /health, interval: 200ms}, breaker: {calls_min: 1000000}, outliers: {failures_in_row: 1000000}}
  either: {members: [{upstream: new}, {upstream: b, priority: 1}], attempts: 2, timeout: 1s, breaker: {calls_min: 1000000}, outliers: {failures_in_row: 1000000}}
"""


class Modern:
    """Speaks HTTP/2 only; `said` is what it answers: a document, a list of events, a status, or one of its troubles."""

    def __init__(self):
        self.connections, self.requests, self.resets, self.together, self.open = 0, [], [], 0, 0
        self.said = chat("modern")
        self.writers = []
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.start()

    def start(self, port=0):
        async def listen():
            return await asyncio.start_server(self.serve, "127.0.0.1", port)
        self.server = asyncio.run_coroutine_threadsafe(listen(), self.loop).result()
        self.port = self.server.sockets[0].getsockname()[1]

    def reset(self):
        self.requests.clear()
        self.resets.clear()
        self.together, self.said = 0, chat("modern")

    def drop(self):
        """Every connection ends without a word."""
        for writer in self.writers:
            self.loop.call_soon_threadsafe(writer.transport.abort)
        time.sleep(0.1)

    async def serve(self, reader, writer):
        self.connections += 1
        self.writers.append(writer)
        machine = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        machine.initiate_connection()
        state = {"machine": machine, "writer": writer, "room": asyncio.Event(), "heads": {}, "bodies": {}}
        writer.write(machine.data_to_send())
        try:
            while data := await reader.read(65536):
                for happened in machine.receive_data(data):
                    if isinstance(happened, h2.events.RequestReceived):
                        state["heads"][happened.stream_id] = dict(happened.headers)
                        state["bodies"][happened.stream_id] = b""
                        self.open += 1
                        self.together = max(self.together, self.open)
                    elif isinstance(happened, h2.events.DataReceived):
                        state["bodies"][happened.stream_id] += happened.data
                        machine.acknowledge_received_data(happened.flow_controlled_length, happened.stream_id)
                    elif isinstance(happened, h2.events.StreamEnded):
                        asyncio.ensure_future(self.answer(state, happened.stream_id))
                    elif isinstance(happened, h2.events.StreamReset):
                        self.resets.append(time.perf_counter())
                    elif isinstance(happened, h2.events.WindowUpdated):
                        state["room"].set()
                writer.write(machine.data_to_send())
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError, h2.exceptions.ProtocolError):
            pass
        writer.close()

    async def send(self, state, stream, data, end):
        machine, writer = state["machine"], state["writer"]
        while True:
            size = min(len(data), machine.local_flow_control_window(stream), machine.max_outbound_frame_size)
            if size or not data:
                machine.send_data(stream, data[:size], end_stream=end and size == len(data))
                data = data[size:]
                writer.write(machine.data_to_send())
                await writer.drain()
                if not data:
                    return
            else:
                state["room"].clear()
                await state["room"].wait()

    async def answer(self, state, stream):
        machine, writer, head = state["machine"], state["writer"], state["heads"][stream]
        said, fields = self.said, [("content-type", "application/json")]
        if head[":path"] == "/health":
            said = {}
        else:
            self.requests.append((head, state["bodies"][stream]))
        try:
            if said == "refuse":
                machine.reset_stream(stream, 7)
            elif said == "go away":
                self.said = chat("modern")
                machine.close_connection(last_stream_id=stream - 2)
            elif said == "silent":
                return
            elif isinstance(said, int):
                machine.send_headers(stream, [(":status", str(said)), *fields], end_stream=True)
            elif isinstance(said, list):
                machine.send_headers(stream, [(":status", "200"), ("content-type", "text/event-stream")])
                for place, piece in enumerate(said):
                    if piece == "cut":
                        machine.reset_stream(stream, 2)
                        break
                    await self.send(state, stream, event(piece), place + 1 == len(said))
                    await asyncio.sleep(0.002)
            else:
                if isinstance(said, tuple):
                    said, delay = said
                    await asyncio.sleep(delay)
                text = json.dumps(said).encode()
                machine.send_headers(stream, [(":status", "200"), ("content-length", str(len(text))), *fields])
                await self.send(state, stream, text, True)
            writer.write(machine.data_to_send())
        except (h2.exceptions.ProtocolError, ConnectionError):
            pass
        finally:
            self.open -= 1


class Fronted(Gateway):
    modern = None

    def text(self, **changes):
        line = f"  new: {{url: \"http://127.0.0.1:{self.modern.port}\", http: 2, key_env: UPSTREAM_KEY}}\n"
        return super().text(**{"more": MODELS, **changes}).replace("pools:\n", line + POOLS, 1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    modern = Fronted.modern = Modern()
    gateway = Fronted(tmp_path_factory.mktemp("modern"), *(Provider(name) for name in "abc"))
    yield gateway, modern
    gateway.stop()


@pytest.fixture(autouse=True)
def well(pair):
    pair[1].reset()
    pair[0].b.reset()


def post(gateway, client=httpx, model="modern", **body):
    return client.post(gateway.url + "/v1/chat/completions", headers=KEY, timeout=10,
                       json={"model": model, "messages": [], **body})


@pytest.mark.parametrize("is_new", [False, True])
def test_answers(pair, is_new):
    gateway, modern = pair
    with httpx.Client(http1=not is_new, http2=is_new) as client:
        for _ in range(20):
            answer = post(gateway, client)
            assert answer.status_code == 200 and answer.json() == chat("modern")
            assert int(answer.headers["content-length"]) == len(answer.content)
    head, body = modern.requests[-1]
    assert head[":method"] == "POST" and head[":path"] == "/v1/chat/completions" and head[":scheme"] == "http"
    assert head["authorization"] == "Bearer " + SECRETS["upstream"] and head["x-forwarded-for"] == "127.0.0.1"
    assert head[":authority"] == f"127.0.0.1:{modern.port}" and "te" not in head and "transfer-encoding" not in head
    assert json.loads(body)["model"] == "real" and int(head["content-length"]) == len(body)
    assert modern.connections == 1, "health checks included"


def test_many_at_once_on_one_connection(pair):
    gateway, modern = pair
    modern.said = (chat("modern"), 1)
    codes, threads = [], []
    for _ in range(40):
        threads.append(threading.Thread(target=lambda: codes.append(post(gateway).status_code)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert codes == [200] * 40 and modern.together >= 10 and modern.connections == 1


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_long_bodies(pair, size):
    """Longer than every window, in both directions."""
    gateway, modern = pair
    modern.said = chat("x" * size)
    answer = post(gateway, messages=[{"role": "user", "content": "y" * size}])
    assert answer.status_code == 200 and answer.json() == chat("x" * size)
    assert len(modern.requests[-1][1]) > size


def test_streams(pair):
    gateway, modern = pair
    events = [delta(f"t{index} ") for index in range(TOKENS)]
    modern.said = [*events, delta("", finish="stop"), {"choices": [], "usage": usage()}, "[DONE]"]
    before = gateway.billed().get(("alice", "modern"), {}).get("output_tokens", 0)
    found = list(gateway.client().chat.completions.create(model="modern", messages=[], stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in found if chunk.choices) == "".join(
        f"t{index} " for index in range(TOKENS))
    assert gateway.billed()[("alice", "modern")]["output_tokens"] - before == TOKENS
    modern.said = [*events[:30], "cut"]
    text = ""
    with pytest.raises(httpx.HTTPError):
        with httpx.stream("POST", gateway.url + "/v1/chat/completions", headers=KEY, timeout=10,
                          json={"model": "modern", "messages": [], "stream": True}) as answer:
            for piece in answer.iter_text():
                text += piece
    assert "t29" in text and "upstream_stream_cut" in text and "[DONE]" not in text
    # The connection outlives a stream that was broken off.
    modern.said = chat("modern")
    assert post(gateway).status_code == 200 and modern.connections == 1


def test_a_client_that_goes(pair):
    gateway, modern = pair
    modern.said = "silent"
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(gateway.url + "/v1/chat/completions", headers=KEY, timeout=0.3,
                   json={"model": "modern", "messages": []})
    gone = time.perf_counter()
    while not modern.resets:
        assert time.perf_counter() - gone < 2, "its stream is still open"
        time.sleep(0.01)
    assert modern.resets[0] - gone < 0.2


def test_trouble(pair):
    """What was not looked at is asked elsewhere, or again; a connection that ends is made anew."""
    gateway, modern = pair
    modern.said = "refuse"
    assert post(gateway, model="either").json()["choices"][0]["message"]["content"] == "b"
    modern.said = 500
    assert post(gateway, model="either").json()["choices"][0]["message"]["content"] == "b"
    modern.said = "silent"
    assert post(gateway, model="either").json()["choices"][0]["message"]["content"] == "b"
    modern.said = 400
    assert post(gateway, model="either").status_code == 400
    before = modern.connections
    modern.said = "go away"
    assert post(gateway).json() == chat("modern") and modern.connections == before + 1
    modern.drop()
    modern.said = chat("modern")
    assert [post(gateway).status_code for _ in range(3)] == [200] * 3 and modern.connections == before + 2
    modern.server.close()
    modern.drop()
    assert post(gateway, model="either").json()["choices"][0]["message"]["content"] == "b"
    modern.start(modern.port)
    for _ in range(100):
        if post(gateway).status_code == 200:
            break
        time.sleep(0.05)
    assert post(gateway).json() == chat("modern")


def test_wrong_words(pair):
    gateway, _ = pair
    for line, wanted in (("{url: 'http://h:1', http: 3}", "http"), ("{url: 'http://h:1', protocol: grpc, http: 1}", "HTTP/2"),
                         ("{local: m, http: 2}", "local")):
        status, answer = gateway.admin("PUT", "/admin/config", gateway.text().replace(
            "upstreams:\n", f"upstreams:\n  odd: {line}\n", 1))
        assert status == 422 and wanted in json.dumps(answer), answer
