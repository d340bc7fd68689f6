# SPDX-License-Identifier: Apache-2.0

import os

import httpx
import openai
import pytest

BASE = os.environ.get("MARTLET_HTTP", "http://127.0.0.1:8000").rstrip("/")


@pytest.fixture(scope="session")
def base() -> str:
    return BASE


@pytest.fixture(scope="session")
def client():
    with openai.OpenAI(base_url=BASE + "/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def model(client) -> str:
    """The model that generates: MARTLET_MODEL, or the server's first."""
    return os.environ.get("MARTLET_MODEL") or client.models.list().data[0].id


@pytest.fixture(scope="session")
def prompt_of(base, model):
    """What the model reads for a chat request."""
    def render(**body):
        answer = httpx.post(f"{base}/tokenize", json={"model": model, **body}, timeout=30)
        tokens = answer.raise_for_status().json()["tokens"]
        body = {"model": model, "tokens": tokens}
        return httpx.post(f"{base}/detokenize", json=body, timeout=30).raise_for_status().json()["prompt"]
    return render
