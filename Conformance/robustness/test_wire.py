# SPDX-License-Identifier: Apache-2.0
"""Requests that no client sends: each is refused, and the server goes on answering others."""

import gzip
import json
import socket
import struct
import time

import pytest

from conftest import answers, infer_body, post

INFER = "/v2/models/scale/infer"
GOOD = infer_body()

SMUGGLING = {
    "both lengths": [("Content-Length", len(GOOD)), ("Transfer-Encoding", "chunked")],
    "two lengths": [("Content-Length", len(GOOD)), ("Content-Length", len(GOOD) + 1)],
    "a list of lengths": [("Content-Length", f"{len(GOOD)}, {len(GOOD)}")],
    "a signed length": [("Content-Length", f"+{len(GOOD)}")],
    "a negative length": [("Content-Length", "-1")],
    "a hexadecimal length": [("Content-Length", "0x10")],
    "an endless length": [("Content-Length", "9" * 40)],
    "an unknown coding": [("Transfer-Encoding", "xchunked")],
    "a coding twice": [("Transfer-Encoding", "chunked, chunked")],
    "identity and chunked": [("Transfer-Encoding", "identity, chunked")],
    "a space before the colon": [("Content-Length ", len(GOOD))],
}


@pytest.mark.parametrize("headers", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_ambiguous_framing_is_refused_and_the_connection_closed(wire, headers):
    reply = wire().send(post(INFER, GOOD, headers) + post(INFER, GOOD)).read_all()
    assert reply.startswith(b"HTTP/1.1 4") or reply.startswith(b"HTTP/1.1 501"), reply[:200]
    assert reply.count(b"HTTP/1.1 ") == 1, "what followed was answered too"


@pytest.mark.parametrize("request_bytes", [
    b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"G" * 100000, b"GET / HTTP/1.1\r\nHost: a\r\nbad\r\n\r\n",
], ids=range(12))
def test_malformed_heads_are_refused(wire, request_bytes):
    reply = wire().send(request_bytes).read_all()
    assert reply == b"" or reply.startswith(b"HTTP/1.1 4") or reply.startswith(b"HTTP/1.1 505")


@pytest.mark.parametrize("chunks", [
    b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\n", b"5\nhello\r\n0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5;" + b"x" * 10000 + b"\r\nhello\r\n0\r\n\r\n", b"7fffffff\r\n"], ids=range(7))
def test_malformed_chunks_are_refused(wire, chunks):
    reply = wire().send(post(INFER, chunks, [("Transfer-Encoding", "chunked")])).read_all()
    assert reply.startswith(b"HTTP/1.1 4"), reply[:200]


def test_a_chunked_body_is_taken(wire):
    half = len(GOOD) // 2
    parts = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (GOOD[:half], GOOD[half:]))
    connection = wire().send(post(INFER, parts + b"0\r\n\r\n", [("Transfer-Encoding", "chunked")]))
    assert connection.read_response()[0] == 200


def test_pipelined_requests_are_answered_in_order(wire):
    connection = wire()
    for value in (1, 2, 3):
        connection.send(post(INFER, infer_body(data=[value] * 4)))
    for value in (1, 2, 3):
        status, _, body = connection.read_response()
        assert status == 200 and json.loads(body)["outputs"][0]["data"] == [2 * value] * 4


def test_a_header_flood_is_refused(wire):
    flood = "".join(f"X-{i}: {'a' * 100}\r\n" for i in range(5000))
    reply = wire().send(f"GET / HTTP/1.1\r\nHost: a\r\n{flood}\r\n").read_all()
    assert reply.startswith(b"HTTP/1.1 431")


def test_a_body_over_the_limit_is_refused_before_it_is_sent(wire):
    reply = wire().send(post(INFER, b"", [("Content-Length", 10 << 30)])).read_all()
    assert reply.startswith(b"HTTP/1.1 413")


def test_a_compressed_bomb_is_refused(wire):
    bomb = gzip.compress(b"[" + b" " * (100 << 20) + b"]", 9)
    assert len(bomb) < 1 << 20
    status, _, _ = wire(30).send(post(INFER, bomb, [("Content-Encoding", "gzip")])).read_response()
    assert status == 413


def test_broken_compression_is_refused(wire):
    broken = gzip.compress(GOOD)[:-6]
    status, _, body = wire().send(post(INFER, broken, [("Content-Encoding", "gzip")])).read_response()
    assert status == 400 and b"error" in body


def test_sixty_megabytes_of_nesting_are_refused_at_once(wire):
    deep = b'{"inputs":' + b"[" * (30 << 20)
    started = time.monotonic()
    status, _, body = wire(30).send(post(INFER, deep)).read_response()
    assert status == 400 and b"error" in body
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("changes, word", [
    ({"shape": [-1, 4]}, "shape"), ({"shape": [1 << 62, 1 << 62]}, "shape"),
    ({"shape": [1 << 40, 4]}, "shape"), ({"shape": [1.5, 4]}, "1.5"), ({"shape": "x"}, "array"),
    ({"shape": [1] * 100}, "shape"), ({"shape": [1, 5], "data": [1] * 5}, "x"),
    ({"data": [1, 2, 3]}, "x"), ({"data": [1, 2, 3, 4, 5]}, "x"), ({"data": ["a", 2, 3, 4]}, "x"),
    ({"data": [[1, 2], [3]]}, "x"), ({"data": None}, "x"), ({"datatype": "FP16"}, "x"),
    ({"datatype": "FP128"}, "FP128"), ({"datatype": "INT64"}, "INT64"), ({"name": "z"}, "z"),
    ({"data": [1e39, 1, 1, 1]}, ""), ({"data": [True, 1, 1, 1]}, "x"),
], ids=str)
def test_tensors_that_cannot_be_right_are_named(wire, changes, word):
    status, _, body = wire().send(post(INFER, infer_body(**changes))).read_response()
    assert status == 400, body
    assert word in json.loads(body)["error"]


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b"{}", b'{"inputs":{}}', b'{"inputs":[]}', b'{"inputs":[1]}', b"\xff\xfe{}",
    b'{"inputs":[{"name":"x"}]}', b'{"inputs":"x"}', b'{"inputs":[null]}', GOOD + b"x", b'{"a":1,}'], ids=range(14))
def test_bodies_that_are_not_requests_are_refused(wire, body):
    status, _, reply = wire().send(post(INFER, body)).read_response()
    assert status == 400 and json.loads(reply)["error"]


@pytest.mark.parametrize("length", ["-1", "999999", "x", "1e3", "18446744073709551616", "3"])
def test_binary_headers_that_do_not_add_up_are_refused(wire, length):
    header = [("Inference-Header-Content-Length", length)]
    status, _, body = wire().send(post(INFER, GOOD + bytes(16), header)).read_response()
    assert status == 400, body


@pytest.mark.parametrize("size, sent", [(16, 12), (16, 20), (12, 12), (1 << 40, 16), (-4, 16)])
def test_binary_tensors_of_the_wrong_size_are_refused(wire, size, sent):
    header = json.dumps({"inputs": [{
        "name": "x", "datatype": "FP32", "shape": [1, 4],
        "parameters": {"binary_data_size": size}}]}).encode()
    request = post(INFER, header + bytes(sent), [("Inference-Header-Content-Length", len(header))])
    status, _, body = wire().send(request).read_response()
    assert status == 400, body


def test_a_byte_string_longer_than_its_tensor_is_refused(wire):
    header = json.dumps({"inputs": [{
        "name": "x", "datatype": "BYTES", "shape": [1, 4],
        "parameters": {"binary_data_size": 8}}]}).encode()
    body = header + struct.pack("<I", 1 << 31) + b"abcd"
    status, _, _ = wire().send(
        post(INFER, body, [("Inference-Header-Content-Length", len(header))])).read_response()
    assert status == 400


@pytest.mark.parametrize("path, status", [
    ("/v2/models/nothing/infer", 404), ("/v2/models/scale/versions/9/infer", 404),
    ("/v2/models/scale/versions/x/infer", (400, 404)), ("/v2/nowhere", 404), ("/v3", 404),
    ("/v2/models/%00/infer", (400, 404)), ("/v2/models/..%2f..%2fetc/infer", 404),
    ("/" + "a/" * 3000, (400, 404, 414))])
def test_unknown_places_are_named(wire, path, status):
    reply = wire().send(post(path, GOOD)).read_response()
    wanted = status if isinstance(status, tuple) else (status,)
    assert reply[0] in wanted, reply[2]


def test_the_wrong_method_is_told_the_right_one(wire):
    status, headers, _ = wire().send(
        b"DELETE /v2/models/scale/infer HTTP/1.1\r\nHost: a\r\n\r\n").read_response()
    assert status == 405 and "POST" in headers["allow"]


def test_a_client_that_dribbles_its_head_is_cut_off(wire):
    connection = wire(20)
    connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
    started = time.monotonic()
    try:
        while time.monotonic() - started < 15:
            connection.send(b"X-A: b\r\n")
            time.sleep(0.2)
    except OSError:
        pass
    else:
        pytest.fail("the connection was kept open")
    assert time.monotonic() - started < 15


def test_a_client_that_dribbles_its_body_is_cut_off(wire, server):
    connection = wire(20)
    connection.send(post(INFER, b"", [("Content-Length", 1000)]))
    started = time.monotonic()
    try:
        while time.monotonic() - started < 15:
            connection.send(b" ")
            time.sleep(0.2)
            assert answers(server)
    except OSError:
        pass
    else:
        pytest.fail("the connection was kept open")


def test_a_client_gone_in_mid_body_harms_nobody(wire, server):
    for _ in range(20):
        connection = wire()
        connection.send(post(INFER, GOOD[:10], [("Content-Length", len(GOOD))]))
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    assert answers(server)


def test_connections_over_the_limit_are_refused_and_room_comes_back(wire, server):
    crowd = []
    for _ in range(100):
        try:
            crowd.append(socket.create_connection(tuple(server.http.split(":")), 5))
        except OSError:
            break
    time.sleep(0.3)
    for connection in crowd:
        connection.close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if answers(server):
                return
        except OSError:
            pass
        time.sleep(0.1)
    pytest.fail("no room came back")
