# SPDX-License-Identifier: Apache-2.0

import httpx


def test_an_unknown_route_has_openai_s_error(base):
    reply = httpx.post(base + "/v1/chat/nothing", json={})
    assert reply.status_code == 404
    assert reply.json()["error"]["message"]


def test_a_wrong_method_names_the_right_one(base):
    reply = httpx.get(base + "/v1/embeddings")
    assert reply.status_code == 405
    assert reply.headers["allow"] == "POST"


def test_request_ids_are_echoed_or_made(base):
    echoed = httpx.get(base + "/v1/models", headers={"X-Request-Id": "conformance-1"})
    assert echoed.headers["x-request-id"] == "conformance-1"
    assert httpx.get(base + "/v1/models").headers["x-request-id"]


def test_compressed_requests_are_read(base, embedder):
    import gzip
    import json

    body = gzip.compress(json.dumps({"model": embedder, "input": "packed"}).encode())
    reply = httpx.post(
        base + "/v1/embeddings", content=body, headers={"Content-Encoding": "gzip"}, timeout=60)
    assert reply.status_code == 200
