# SPDX-License-Identifier: Apache-2.0

import httpx
import openai
import pytest


def test_a_completion(client, model):
    answer = client.completions.create(model=model, prompt="once upon", max_tokens=8, seed=1)
    assert answer.object == "text_completion" and answer.choices[0].text
    assert answer.usage.prompt_tokens == 9 and answer.usage.completion_tokens <= 8


def test_prompts_of_every_form(client, model):
    for prompt, count in [("a", 1), (["a", "b"], 2), ([97, 98], 1), ([[97], [98]], 2)]:
        answer = client.completions.create(model=model, prompt=prompt, max_tokens=3)
        assert [choice.index for choice in answer.choices] == list(range(count))


def test_a_stream(client, model):
    options = dict(model=model, prompt="once upon", max_tokens=20, seed=4)
    whole = client.completions.create(**options)
    chunks = list(client.completions.create(
        **options, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].text for c in chunks if c.choices) == whole.choices[0].text
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_log_likelihood_as_harnesses_ask_for_it(client, model):
    answer = client.completions.create(
        model=model, prompt="a text", max_tokens=1, logprobs=1, echo=True, temperature=0)
    scores = answer.choices[0].logprobs
    assert scores.tokens[:6] == list("a text")
    assert scores.token_logprobs[0] is None and all(s < 0 for s in scores.token_logprobs[1:])
    assert scores.text_offset[:6] == [0, 1, 2, 3, 4, 5]
    assert scores.top_logprobs[0] is None
    for token, score, top in list(zip(scores.tokens, scores.token_logprobs, scores.top_logprobs))[1:]:
        assert top[token] == pytest.approx(score) and max(top.values()) >= score
    only = client.completions.create(model=model, prompt="a text", max_tokens=0, logprobs=1, echo=True)
    assert only.choices[0].logprobs.token_logprobs[1:] == pytest.approx(scores.token_logprobs[1:6], abs=1e-3)


def test_tokens_and_back(base, model):
    tokens = httpx.post(f"{base}/tokenize", json={"model": model, "prompt": "héllo"}).json()
    assert tokens["count"] == len(tokens["tokens"]) == 6
    text = httpx.post(f"{base}/detokenize", json={"model": model, "tokens": tokens["tokens"]}).json()
    assert text["prompt"] == "héllo"


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'{"model": 3}', b'{"model":"x","prompt":"\\ud800"}', b"\xff\xfe",
    b'{"model":"x","prompt":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
])
def test_bad_bodies_are_errors(base, body):
    for path in ("/v1/completions", "/v1/chat/completions", "/tokenize"):
        answer = httpx.post(base + path, content=body)
        assert 400 <= answer.status_code < 500
        assert answer.json()["error"]["message"]


def test_langchain_reads_it(base, model):
    import langchain_openai as langchain
    chat = langchain.ChatOpenAI(model=model, base_url=base + "/v1", api_key="none", max_tokens=10, seed=1)
    whole = chat.invoke("hello").content
    assert "".join(part.content for part in chat.stream("hello")) == whole


def test_the_best_of_many(client, model):
    options = dict(model=model, prompt="once upon", max_tokens=10, seed=3, temperature=1.5, logprobs=0)
    every = client.completions.create(**options, n=6).choices
    sums = sorted(((sum(c.logprobs.token_logprobs), c.text) for c in every), reverse=True)
    best = client.completions.create(**options, n=2, best_of=6).choices
    assert [c.text for c in best] == [text for _, text in sums[:2]]
    plain = client.completions.create(model=model, prompt="a", max_tokens=3, best_of=3)
    assert len(plain.choices) == 1 and plain.choices[0].logprobs is None
    for wrong in ({"n": 3, "best_of": 2}, {"best_of": 3, "stream": True}):
        with pytest.raises(openai.BadRequestError) as caught:
            client.completions.create(model=model, prompt="a", **wrong)
        assert caught.value.param == "best_of"


def test_beam_search(client, model):
    options = dict(model=model, prompt="once upon", max_tokens=8, logprobs=1, temperature=0)
    greedy = client.completions.create(**options, extra_body={"ignore_eos": True}).choices[0]
    beams = client.completions.create(
        **options, n=3, best_of=6, extra_body={"use_beam_search": True, "ignore_eos": True}).choices
    sums = [sum(c.logprobs.token_logprobs) for c in beams]
    assert len(beams) == 3 and len({c.text for c in beams}) == 3 and sums == sorted(sums, reverse=True)
    assert sums[0] >= sum(greedy.logprobs.token_logprobs) - 1e-3
    one = client.completions.create(**options, extra_body={"use_beam_search": True, "ignore_eos": True})
    assert one.choices[0].text == greedy.text and one.usage.completion_tokens == 8
    with pytest.raises(openai.BadRequestError):
        client.completions.create(**options, stop=["a"], extra_body={"use_beam_search": True})


def test_grammars(client, model):
    grammar = 'root ::= "say " name\nname ::= "(" name ")" | "x" | "yy"'
    for body in ({"guided_grammar": grammar}, {"structured_outputs": {"grammar": grammar}}, {"grammar": grammar}):
        text = client.completions.create(
            model=model, prompt="a", max_tokens=400, seed=1, extra_body=body).choices[0].text
        name = text.removeprefix("say ")
        while name.startswith("("): assert name.endswith(")") or len(text) > 200; name = name[1:-1]
        assert text.startswith("say ") and (name in ("x", "yy") or len(text) > 200)
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model=model, prompt="a", extra_body={"guided_grammar": "root ::= root"})
    assert "allows nothing" in str(caught.value)
