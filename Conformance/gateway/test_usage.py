# SPDX-License-Identifier: Apache-2.0
# Part of Martlet, the AI platform in one Swift binary.
"""What is billed and limited, whatever the upstream says of it and however: forms, lies, silence, compression."""
import asyncio
import gzip
import http.client
import json
import time

import httpx
import openai
import pytest

from conftest import SECRETS
from provider import event
from talker import Talker, chat, gateway_with

MODELS = """  told: {versions: {v1: {pool: teller, model: real, price: {input: 1000000, output: 1000000}}}}
  quiet: {versions: {v1: {pool: shy, model: real}}}
  numbers: {versions: {v1: {pool: plain}}}
  careful:
    versions: {little: teller, great: other}
    cascade: {first: little, then: great, confidence: {field: sure, min: 0.5}}
  remembering:
    versions: {v1: {pool: teller, model: real}}
    semantic_cache: {embeddings: other, model: mini, threshold: 0.95, timeout: 2s}
  doubled:
    versions: {v1: teller, v2: other}
    default: v1
    shadow: {to: v2, percent: 100}
"""
KEY = {"Authorization": "Bearer " + SECRETS["alice"]}


class Writer(Talker):
    """Besides what a talker says: a callable of the request's head and body gives bytes, or pieces and seconds."""

    async def write_answer(self, said, reader, writer):
        if not isinstance(said, Pieces):
            return await super().write_answer(said, reader, writer)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + said.fields.encode() + b"\r\n")
        for piece in said:
            if isinstance(piece, float):
                await writer.drain()
                await asyncio.sleep(piece)
            else:
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True


class Pieces(list):
    def __init__(self, pieces, fields="Content-Type: text/event-stream\r\n"):
        super().__init__(pieces)
        self.fields = fields


def named(kind, **more):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **more})}\n\n".encode()


def delta(text, finish=None, index=0):
    return event({"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]})


USAGE = event({"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 200}})
DONE = event("[DONE]")
RESPONSE = [named("response.created", response={"usage": None}), named("response.output_text.delta", delta="x"),
            named("response.output_text.delta", delta="y"),
            named("response.completed", response={"error": None, "usage": {"input_tokens": 100, "output_tokens": 200}})]
MESSAGE = [named("message_start", message={"usage": {"input_tokens": 60, "cache_read_input_tokens": 40,
                                                     "output_tokens": 1}}),
           named("content_block_delta", delta={"type": "text_delta", "text": "hi"}),
           named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 200}),
           named("message_stop")]


class House:
    def __init__(self, folder):
        self.teller = Writer("teller", lambda path, request: chat("told"))
        self.shy = Writer("shy", lambda path, request: chat("shy"))
        self.other = Writer("other", lambda path, request: chat("other"))
        self.plain = Writer("plain", lambda path, request: {"outputs": []})
        self.gateway = gateway_with(folder, [self.teller, self.other], MODELS, pools=(
            f"  shy: {{url: 'http://127.0.0.1:{self.shy.port}', stream_usage: false}}\n"
            f"  plain: {{url: 'http://127.0.0.1:{self.plain.port}', protocol: kserve}}\n"
            "pools:\n"))
        self.http = httpx.Client(headers=KEY, timeout=15)

    def ask(self, model="told", path="/v1/chat/completions", headers={}, **more):
        return self.http.post(self.gateway.url + path, headers=headers, json={
            "model": model, "messages": [{"role": "user", "content": "?"}], **more})

    def billed(self, model="told"):
        for _ in range(50):
            rows = [row for row in json.loads(self.gateway.get("/admin/usage"))["usage"] if row["model"] == model]
            if rows:
                break
            time.sleep(0.02)
        return tuple(sum(row[field] for row in rows)
                     for field in ("requests", "input_tokens", "output_tokens", "estimated_requests"))


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    yield house
    house.http.close()
    house.gateway.stop()


@pytest.mark.parametrize("count", [9223372036854775807, 9_000_000_000_000, 10 ** 30, 1e300, -5])
def test_counts_that_cannot_be(house, count):
    """Sums stop at a bound: they neither wrap nor end the process."""
    house.teller.reply = lambda path, request: {**chat("x"), "usage": {"prompt_tokens": count,
                                                                        "completion_tokens": count}}
    for _ in range(3):
        assert house.ask().status_code == 200
    rows = json.loads(house.gateway.get("/admin/usage"))["usage"]
    assert [row["requests"] for row in rows] == [3] and all(row["cost"] >= 0 for row in rows)
    assert house.gateway.process.poll() is None


def test_a_changed_price_loses_nothing(house):
    gateway = house.gateway
    gateway.stop()
    text = gateway.text
    gateway.text = lambda **changes: text(**changes).replace("listen: {", "listen: {threads: 4, ", 1)
    gateway.write()
    gateway.start()
    peers = [http.client.HTTPConnection("127.0.0.1", gateway.port) for _ in range(8)]

    def ask(peer):
        peer.request("POST", "/v1/chat/completions", '{"model": "told", "messages": []}', KEY)
        answer = peer.getresponse()
        answer.read()
        assert answer.status == 200

    asked = 0
    for price in (1, 3, 2):
        changed = gateway.text().replace("price: {input: 1000000", f"price: {{input: {price}")
        status, _ = gateway.admin("PUT", "/admin/config", changed)
        assert status == 200
        for _ in range(10):
            for peer in peers:
                ask(peer)
                asked += 1
    for _ in range(100):
        if house.billed()[0] == asked:
            break
        time.sleep(0.02)
    assert house.billed() == (asked, 7 * asked, 5 * asked, 0)


@pytest.mark.parametrize("path, events", [("/v1/responses", RESPONSE), ("/v1/messages", MESSAGE)])
def test_other_forms(house, path, events):
    """Responses and messages are billed, streamed or not; what breaks off is told in their own form."""
    house.teller.reply = lambda path, request: Pieces(events)
    answer = house.ask(path=path, stream=True)
    assert answer.content == b"".join(events)
    assert house.billed() == (1, 100, 200, 0)
    house.teller.reply = lambda path, request: {"usage": {"input_tokens": 100, "output_tokens": 200}}
    house.ask(path=path)
    assert house.billed() == (2, 200, 400, 0)
    assert "stream_options" not in json.loads(house.teller.requests[0][1])
    # Cut, and the error is the form's own.
    house.teller.reply = lambda path, request: Pieces([*events[:2], 0.2])
    received = b""
    with pytest.raises(httpx.RemoteProtocolError):
        with house.http.stream("POST", house.gateway.url + path,
                               json={"model": "told", "stream": True, "input": "?"}) as answer:
            for piece in answer.iter_raw():
                received += piece
    assert received.startswith(b"".join(events[:2]))
    last = json.loads(received.rsplit(b"data: ", 1)[1])
    assert last["type"] == "error" and b"\nevent: error\n" in received
    requests, _, output, estimated = house.billed()
    assert (requests, output, estimated) == (3, 401, 1)
    # An error at once goes to nobody who would have to be told.
    house.teller.reply = lambda path, request: Pieces([named("error", error={"message": "x"}, message="x")])
    assert house.ask(path=path, stream=True).status_code == 200
    assert house.billed()[0] == 3


def test_nobody_is_asked_for_compressed_answers(house):
    heads = house.teller.heads
    client = openai.OpenAI(base_url=house.gateway.url + "/v1", api_key=SECRETS["alice"], max_retries=0)
    assert client.chat.completions.create(model="told", messages=[]).usage.completion_tokens == 5
    assert b"\r\nAccept-Encoding: identity\r\n" in heads[-1] and heads[-1].lower().count(b"accept-encoding") == 1
    house.ask("numbers", "/v2/models/numbers/infer", {"Accept-Encoding": "br"})
    assert b"\r\nAccept-Encoding: br\r\n" in house.plain.heads[-1]


def test_compressed_all_the_same(house):
    """Passed through whole, billed by its reservation, and never taken for broken off."""
    body = gzip.compress(b"".join([delta("x"), delta("", "stop"), USAGE, DONE]))
    house.teller.reply = lambda path, request: Pieces(
        [body[:30], body[30:]], "Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n")
    answer = house.ask(stream=True, max_tokens=77)
    assert answer.status_code == 200 and answer.text.endswith("data: [DONE]\n\n")
    requests, prompt, output, estimated = house.billed()
    assert (requests, output, estimated) == (1, 77, 1) and prompt > 0
    body = gzip.compress(json.dumps(chat("x" * 1000)).encode())
    house.teller.reply = lambda path, request: (body, 200, "Content-Encoding: gzip\r\n")
    assert house.ask().json()["choices"][0]["message"]["content"] == "x" * 1000
    assert house.billed()[2:] == (77 + 256, 2), "what limits reserve for it"
    assert house.ask("doubled").status_code == 200
    house.other.reply = lambda path, request: {"data": [{"index": 0, "embedding": [1.0, 0.0]}]}
    for _ in range(2):
        assert "x-martlet-cache" not in house.ask("remembering").headers
    status, _ = house.gateway.admin("GET", "/admin/compare/doubled")
    assert status == 404, "nothing is compared with what nobody can read"


def test_streams_are_asked_for_their_usage(house):
    def reply(path, request):
        asked = (request.get("stream_options") or {}).get("include_usage")
        return Pieces([delta("x"), delta("y"), delta("", "stop"), *([USAGE] if asked else []), DONE])

    house.teller.reply = house.shy.reply = reply
    plain = b"".join([delta("x"), delta("y"), delta("", "stop"), DONE])
    assert house.ask(stream=True).content == plain, "a client gets what it asked for"
    assert house.billed() == (1, 100, 200, 0)
    sent = json.loads(house.teller.requests[0][1])
    assert sent == {"model": "real", "messages": [{"role": "user", "content": "?"}], "stream": True,
                    "stream_options": {"include_usage": True}}
    for options in (None, {}, {"include_usage": False}, {"include_usage": None, "more": [1]}):
        assert house.ask(stream=True, stream_options=options).content == plain
    assert json.loads(house.teller.requests[-1][1])["stream_options"] == {"include_usage": True, "more": [1]}
    asking = house.ask(stream=True, stream_options={"include_usage": True})
    assert USAGE in asking.content and asking.content.endswith(DONE)
    assert house.billed() == (6, 600, 1200, 0)
    # Where asking is not allowed, what came is counted.
    assert house.ask("quiet", stream=True).content == plain
    assert "stream_options" not in json.loads(house.shy.requests[-1][1])
    assert house.billed("quiet")[2:] == (2, 1)
    client = openai.OpenAI(base_url=house.gateway.url + "/v1", api_key=SECRETS["alice"], max_retries=0)
    chunks = list(client.chat.completions.create(model="told", messages=[], stream=True))
    assert len(chunks) == 3 and all(chunk.usage is None for chunk in chunks)


def test_every_request_counts(house):
    silent = {key: value for key, value in chat("word " * 400).items() if key != "usage"}
    house.teller.reply = lambda path, request: silent
    house.ask()
    requests, prompt, output, estimated = house.billed()
    assert (requests, estimated) == (1, 1) and prompt > 0 and 500 < output < 700
    house.ask(path="/v1/embeddings", input="?")
    assert house.billed()[2:] == (output, 2), "embeddings put nothing out"
    house.ask(path="/v1/audio/speech", input="?")
    assert house.billed()[3] == 2 and house.billed()[0] == 3, "no tokens, nothing to guess"
    for _ in range(2):
        assert house.ask("numbers", "/v2/models/numbers/infer", inputs=[]).status_code == 200
    assert house.billed("numbers") == (2, 0, 0, 0)


def stream(house, **more):
    """What a client reads of a stream, and whether it ended as it should."""
    received = b""
    try:
        with house.http.stream("POST", house.gateway.url + "/v1/chat/completions",
                               json={"model": "told", "messages": [], "stream": True, **more}) as answer:
            for piece in answer.iter_raw():
                received += piece
        return answer.status_code, received, True
    except httpx.RemoteProtocolError:
        return 200, received, False


def test_ends_of_streams(house):
    first, second = delta("a", "stop", 0), delta("b", None, 1)
    for pieces, choices, is_whole in (
            ([first, second], 2, False), ([first], 2, False), ([first, delta("b", "stop", 1)], 2, True),
            ([delta("x"), delta("y" * 300_000, "stop")], 1, True),
            ([piece.replace(b"\n", b"\r") for piece in (delta("x"), delta("", "stop"), DONE)], 1, True)):
        house.teller.reply = lambda path, request: Pieces([*pieces, 0.1])
        status, received, ended = stream(house, n=choices)
        if is_whole:
            assert ended and received.rstrip().endswith(b"data: [DONE]") and received.count(b"[DONE]") == 1
        else:
            assert not ended or status == 502, (choices, received)
            assert b"[DONE]" not in received


def test_comments_are_signs_of_life(house):
    """A pool that waits for one second, and a model that thinks for three, saying so."""
    gateway = house.gateway
    status, _ = gateway.admin("PUT", "/admin/config", gateway.text().replace(
        "told: {versions: {v1: {pool: teller", "told: {versions: {v1: {pool: hasty").replace(
        "\nmodels:\n", "\n  hasty: {members: [teller], attempts: 1, timeout: 1s}\nmodels:\n", 1))
    assert status == 200
    house.teller.reply = lambda path, request: Pieces(
        [b": thinking\n\n", 0.7] * 4 + [delta("x"), delta("", "stop"), DONE])
    began, first = time.monotonic(), None
    with house.http.stream("POST", gateway.url + "/v1/chat/completions",
                           json={"model": "told", "messages": [], "stream": True}) as answer:
        received = b""
        for piece in answer.iter_raw():
            first = first or time.monotonic() - began
            received += piece
    assert answer.status_code == 200 and received.endswith(DONE) and received.count(b": thinking") == 4
    assert first < 2, "the client hears of it too"
    # While nothing else has come, an error still turns to somebody else.
    house.teller.reply = lambda path, request: Pieces([b": thinking\n\n", 0.2, event({"error": {"message": "x"}})])
    assert b"error" in house.ask(stream=True).content


def test_a_failed_stream_says_nothing_of_the_next_answer(house):
    house.teller.reply = lambda path, request: (
        Pieces([delta("x"), event({"error": {"message": "gone wrong"}})]) if request.get("stream")
        else {**chat("sure"), "sure": 0.9})
    for _ in range(2):
        house.ask(stream=True)
        assert house.ask("careful").json()["sure"] == 0.9
    assert sum(b'"stream"' not in body for _, body, _ in house.teller.requests) == 2 and not house.other.requests


@pytest.mark.parametrize("limit", [
    {"max_tokens": 2000.0}, {"max_tokens": 2e3}, {"max_tokens": 9223372036854775806}, {"max_tokens": 10 ** 30},
    {"max_tokens": -1}, {"max_output_tokens": 5000}, {"max_tokens": 500, "best_of": 50},
    {"max_tokens": 10, "max_completion_tokens": 5000}])
def test_limits_however_written(house, limit):
    """Bob has 1000 tokens a minute."""
    bob = {"Authorization": "Bearer " + SECRETS["bob"]}
    house.ask("solo", headers=bob)  # the gateway is there
    assert house.ask("solo", headers=bob, **limit).status_code == 429
    assert house.ask("solo", headers=bob, max_tokens=100).status_code != 429


def test_errors_are_not_kept(house):
    house.other.reply = lambda path, request: {"data": [{"index": 0, "embedding": [1.0, 0.0]}]}
    house.teller.reply = lambda path, request: {"error": {"message": "overloaded"}}
    house.ask("remembering")
    house.teller.reply = lambda path, request: chat("better")
    answer = house.ask("remembering")
    assert "x-martlet-cache" not in answer.headers and answer.json()["choices"]
    assert "x-martlet-cache" in house.ask("remembering").headers
