# SPDX-License-Identifier: Apache-2.0

import base64
import concurrent.futures
import math

import httpx
import numpy as np
import openai
import pytest


def embed(client, model, texts, **options):
    return client.embeddings.create(model=model, input=texts, encoding_format="float", **options)


def vectors(response):
    return np.array([item.embedding for item in response.data])


def cosine(left, right) -> float:
    return float(np.dot(left, right) / (np.linalg.norm(left) * np.linalg.norm(right)))


def test_one_text(client, embedder):
    response = embed(client, embedder, "A small bird crosses the sea.")
    assert response.object == "list"
    assert response.model == embedder
    assert len(response.data) == 1
    assert response.data[0].object == "embedding"
    assert response.data[0].index == 0
    assert all(math.isfinite(value) for value in response.data[0].embedding)


def test_a_list_of_texts_keeps_its_order(client, embedder):
    texts = ["house martin", "stock market", "swallow", "interest rates"]
    together = embed(client, embedder, texts)
    assert [item.index for item in together.data] == [0, 1, 2, 3]
    for text, vector in zip(texts, vectors(together)):
        alone = vectors(embed(client, embedder, text))[0]
        assert cosine(alone, vector) > 0.9999


def test_meaning_is_kept(client, embedder):
    bird, swallow, market = vectors(
        embed(client, embedder, ["a bird in the sky", "a swallow flies", "the stock market fell"]))
    assert cosine(bird, swallow) > cosine(bird, market)


def test_the_client_s_default_is_base64(client, embedder):
    plain = vectors(embed(client, embedder, "the same text"))[0]
    default = client.embeddings.create(model=embedder, input="the same text")
    np.testing.assert_allclose(default.data[0].embedding, plain, rtol=1e-6, atol=1e-7)


def test_base64_is_little_endian_floats(base, client, embedder):
    reply = httpx.post(
        base + "/v1/embeddings", timeout=60,
        json={"model": embedder, "input": "bytes", "encoding_format": "base64"})
    assert reply.status_code == 200
    packed = base64.b64decode(reply.json()["data"][0]["embedding"], validate=True)
    np.testing.assert_allclose(
        np.frombuffer(packed, dtype="<f4"), vectors(embed(client, embedder, "bytes"))[0],
        rtol=1e-6, atol=1e-7)


def test_dimensions_cut_and_normalise(client, embedder):
    whole = vectors(embed(client, embedder, "shorter, please"))[0]
    cut = vectors(embed(client, embedder, "shorter, please", dimensions=64))[0]
    assert cut.shape == (64,)
    assert abs(np.linalg.norm(cut) - 1) < 1e-4
    assert cosine(cut, whole[:64]) > 0.9999


def test_too_many_dimensions_are_refused(client, embedder):
    with pytest.raises(openai.BadRequestError):
        embed(client, embedder, "a", dimensions=1_000_000)


@pytest.mark.parametrize("dimensions", [0, -1])
def test_impossible_dimensions_are_refused(client, embedder, dimensions):
    with pytest.raises(openai.BadRequestError) as caught:
        embed(client, embedder, "a", dimensions=dimensions)
    assert caught.value.param == "dimensions"


def test_a_list_of_tokens_is_one_input(client, embedder):
    response = embed(client, embedder, [101, 7592, 2088, 102])
    assert len(response.data) == 1


def test_lists_of_tokens_are_several_inputs(client, embedder):
    response = embed(client, embedder, [[101, 7592, 102], [101, 2088, 102]])
    assert len(response.data) == 2
    assert cosine(*vectors(response)) < 0.999


def test_usage_counts_tokens(client, embedder):
    short = embed(client, embedder, "one").usage
    long = embed(client, embedder, "one two three four five six seven eight").usage
    assert 0 < short.prompt_tokens < long.prompt_tokens
    assert short.total_tokens == short.prompt_tokens


def test_the_user_field_changes_nothing(client, embedder):
    left = vectors(embed(client, embedder, "who asks", user="somebody"))
    np.testing.assert_allclose(left, vectors(embed(client, embedder, "who asks")), atol=1e-6)


@pytest.mark.parametrize("text", ["Grüße aus Köln", "これは鳥です", "🐦🌊", "line\nbreak\t\"quoted\"", " "])
def test_texts_of_all_kinds(client, embedder, text):
    assert np.isfinite(vectors(embed(client, embedder, text))).all()


def test_a_text_longer_than_the_model_takes(client, embedder):
    response = embed(client, embedder, "word " * 5_000)
    assert np.isfinite(vectors(response)).all()


def test_a_hundred_texts_at_once(client, embedder):
    texts = [f"sentence number {number} " + "and more " * (number % 17) for number in range(100)]
    response = embed(client, embedder, texts)
    assert [item.index for item in response.data] == list(range(100))
    alone = vectors(embed(client, embedder, texts[63]))[0]
    assert cosine(alone, response.data[63].embedding) > 0.9999


def test_many_clients_at_once(client, embedder):
    texts = [f"client {number}" for number in range(24)]
    expected = vectors(embed(client, embedder, texts))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: vectors(embed(client, embedder, text))[0], texts))
    for left, right in zip(found, expected):
        assert cosine(left, right) > 0.9999


@pytest.mark.parametrize("wrong", [[], "", ["a", ""], [[]], ["a", [1]], [1, "a"], [-1], {"a": 1}, None])
def test_wrong_inputs_name_the_field(client, embedder, wrong):
    with pytest.raises(openai.BadRequestError) as caught:
        client.post(
            "/embeddings", body={"model": embedder, "input": wrong}, cast_to=object)
    assert caught.value.param == "input"
    assert caught.value.type == "invalid_request_error"


def test_more_inputs_than_allowed(client, embedder):
    with pytest.raises(openai.BadRequestError):
        embed(client, embedder, ["a"] * 2_049)


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        embed(client, "no-such-model", "a")
    assert caught.value.code == "model_not_found"


def test_a_model_that_does_not_embed(client, not_embedder):
    with pytest.raises(openai.APIStatusError) as caught:
        embed(client, not_embedder, "a")
    assert 400 <= caught.value.status_code < 500


def test_an_unknown_encoding(client, embedder):
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=embedder, input="a", encoding_format="hex")
    assert caught.value.param == "encoding_format"


def test_missing_fields(base):
    for body in ({"model": "m"}, {}):
        reply = httpx.post(base + "/v1/embeddings", json=body)
        assert reply.status_code == 400
        assert reply.json()["error"]["param"] == "input"


def test_the_only_model_need_not_be_named(base):
    reply = httpx.post(base + "/v1/embeddings", json={"input": "a"})
    known = [model["id"] for model in httpx.get(base + "/v1/models").json()["data"]]
    assert reply.status_code == 200 and reply.json()["model"] in known


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"model":"m","input":"a"} x'])
def test_broken_json(base, content):
    reply = httpx.post(base + "/v1/embeddings", content=content)
    assert reply.status_code == 400
    error = reply.json()["error"]
    assert error["message"] and error["type"] == "invalid_request_error"


async def ask(client, model):
    return await client.embeddings.create(model=model, input="asynchronous")


def test_the_asynchronous_client(base, embedder):
    import asyncio

    async def main():
        async with openai.AsyncOpenAI(base_url=base + "/v1", api_key="none") as client:
            return await asyncio.gather(*(ask(client, embedder) for _ in range(4)))

    assert len(asyncio.run(main())) == 4
