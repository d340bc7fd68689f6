# SPDX-License-Identifier: Apache-2.0

import httpx
import pytest

DOCUMENTS = [
    "The stock market fell sharply.", "A house martin builds its nest of mud.",
    "Recipes for apple pie."]


def post(base, **body):
    return httpx.post(base + "/v1/rerank", json=body, timeout=60)


def test_the_best_document_comes_first(base, reranker):
    reply = post(base, model=reranker, query="How do martins build nests?", documents=DOCUMENTS)
    assert reply.status_code == 200
    results = reply.json()["results"]
    assert [item["index"] for item in results][0] == 1
    scores = [item["relevance_score"] for item in results]
    assert scores == sorted(scores, reverse=True)
    assert len(results) == 3


def test_top_n_and_documents(base, reranker):
    reply = post(base, model=reranker, query="pie", documents=[{"text": text} for text in DOCUMENTS],
                 top_n=1, return_documents=True)
    results = reply.json()["results"]
    assert len(results) == 1
    assert results[0]["document"]["text"] == DOCUMENTS[2]


@pytest.mark.parametrize("body", [
    {"query": "q"}, {"model": "m", "documents": ["a"]},
    {"model": "m", "query": "q"}, {"model": "m", "query": "q", "documents": []},
    {"model": "m", "query": "q", "documents": [1]},
    {"model": "m", "query": "q", "documents": ["a"], "top_n": 0}])
def test_wrong_requests(base, body):
    reply = post(base, **body)
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_an_unknown_model(base):
    assert post(base, model="no-such-model", query="q", documents=["a"]).status_code == 404


def test_a_model_that_does_not_rank(base, embedder):
    reply = post(base, model=embedder, query="q", documents=["a"])
    assert 400 <= reply.status_code < 500
