# SPDX-License-Identifier: Apache-2.0
"""Scores of a small cross-encoder against transformers' own (see make_reranker.py)."""

import json
import pathlib

import httpx
import numpy as np
import pytest

CASES = json.loads((pathlib.Path(__file__).parent / "reranker" / "expected.json").read_text())
# Sigmoids of float32 logits that were summed in another order.
TOLERANCE = 2e-5


@pytest.fixture(scope="module")
def cross_encoder(client) -> str:
    if "reranker" not in [model.id for model in client.models.list().data]:
        pytest.skip("the server has no model 'reranker'")
    return "reranker"


def rerank(base, **body):
    reply = httpx.post(base + "/v1/rerank", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    return reply.json()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"])
def test_scores_and_order_are_transformers_own(base, cross_encoder, case):
    answer = rerank(
        base, model=cross_encoder, query=case["query"], documents=case["documents"])
    found = {item["index"]: item["relevance_score"] for item in answer["results"]}
    np.testing.assert_allclose(
        [found[index] for index in range(len(case["scores"]))], case["scores"],
        atol=TOLERANCE, rtol=0)
    order = sorted(range(len(case["scores"])), key=lambda index: -case["scores"][index])
    assert [item["index"] for item in answer["results"]] == order


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["query"])
def test_a_document_s_score_does_not_depend_on_its_company(base, cross_encoder, case):
    for document, score in zip(case["documents"], case["scores"]):
        answer = rerank(base, model=cross_encoder, query=case["query"], documents=[document])
        assert abs(answer["results"][0]["relevance_score"] - score) <= TOLERANCE


def test_the_best_n_are_the_first_n(base, cross_encoder):
    case = CASES[0]
    everything = rerank(
        base, model=cross_encoder, query=case["query"], documents=case["documents"])
    some = rerank(
        base, model=cross_encoder, query=case["query"], documents=case["documents"], top_n=2)
    assert [item["index"] for item in some["results"]] == [
        item["index"] for item in everything["results"][:2]]


def test_logits_over_the_inference_protocol(base, cross_encoder):
    case = CASES[1]
    count = len(case["documents"])
    reply = httpx.post(f"{base}/v2/models/{cross_encoder}/infer", timeout=60, json={"inputs": [
        {"name": "text", "datatype": "BYTES", "shape": [count], "data": [case["query"]] * count},
        {"name": "text_pair", "datatype": "BYTES", "shape": [count], "data": case["documents"]}]})
    assert reply.status_code == 200, reply.text
    output = reply.json()["outputs"][0]
    assert output["name"] == "logits"
    np.testing.assert_allclose(output["data"], case["logits"], atol=2e-4, rtol=1e-4)
