# SPDX-License-Identifier: Apache-2.0

import os

import openai
import pytest

# Where a running `martlet serve` answers, and the names of its models.
BASE = os.environ.get("MARTLET_HTTP", "http://127.0.0.1:8000").rstrip("/")
if "://" not in BASE:
    BASE = "http://" + BASE


def make_client(**options) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=BASE + "/v1", api_key="none", max_retries=0, timeout=60, **options)


@pytest.fixture(scope="session")
def base() -> str:
    return BASE


@pytest.fixture(scope="session")
def client():
    with make_client() as client:
        yield client


@pytest.fixture(scope="session")
def embedder(client) -> str:
    """The model that embeds: MARTLET_EMBEDDER, or the first one that answers."""
    named = os.environ.get("MARTLET_EMBEDDER")
    if named:
        return named
    for model in client.models.list().data:
        try:
            client.embeddings.create(model=model.id, input="probe")
        except openai.APIStatusError:
            continue
        return model.id
    pytest.fail("no model of the server embeds texts")


@pytest.fixture(scope="session")
def not_embedder(client, embedder):
    """A model that does not embed, when there is one."""
    for model in client.models.list().data:
        if model.id != embedder:
            return model.id
    pytest.skip("the server has no other model")


@pytest.fixture(scope="session")
def reranker():
    """The cross-encoder, when MARTLET_RERANKER names one."""
    named = os.environ.get("MARTLET_RERANKER")
    if not named:
        pytest.skip("MARTLET_RERANKER names no model")
    return named
