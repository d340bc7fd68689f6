# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import time

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello there"}]


def text_of(chunks):
    return "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)


def test_a_completion_has_every_field(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=12, seed=1)
    assert answer.object == "chat.completion"
    assert answer.id.startswith("chatcmpl-") and answer.model == model and answer.created > 1e9
    choice = answer.choices[0]
    assert choice.index == 0 and choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    usage = answer.usage
    assert usage.prompt_tokens > 0 and 0 < usage.completion_tokens <= 12
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_a_stream_says_the_same_as_one_answer(client, model):
    options = dict(model=model, messages=HELLO, max_tokens=24, seed=2)
    whole = client.chat.completions.create(**options)
    chunks = list(client.chat.completions.create(
        **options, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text_of(chunks) == whole.choices[0].message.content
    assert len({chunk.id for chunk in chunks}) == 1 and len({chunk.created for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == whole.usage.total_tokens
    reasons = [c.choices[0].finish_reason for c in chunks if c.choices]
    assert reasons[-1] == whole.choices[0].finish_reason and set(reasons[:-1]) == {None}


def test_a_stream_without_usage_has_none(client, model):
    chunks = list(client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=4, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_seed_decides(client, model):
    def ask(seed):
        return client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=24, seed=seed, temperature=1.0
        ).choices[0].message.content
    assert ask(5) == ask(5)
    assert len({ask(seed) for seed in range(6)}) > 1


def test_zero_temperature_is_greedy(client, model):
    def ask(seed):
        return client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=16, temperature=0, seed=seed
        ).choices[0].message.content
    assert ask(1) == ask(2)


def test_several_choices(client, model):
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=12, n=3, seed=1, temperature=1)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1
    chunks = list(client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=12, n=3, seed=1, temperature=1, stream=True))
    for index in range(3):
        text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices[0].index == index)
        assert text == answer.choices[index].message.content


def test_a_stop_text_ends_the_answer(client, model):
    whole = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=40, temperature=0).choices[0].message.content
    stop = whole[10:13]
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=40, temperature=0, stop=[stop]).choices[0]
    assert answer.finish_reason == "stop"
    assert answer.message.content == whole[:whole.index(stop)]


def test_log_probabilities(client, model):
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=6, logprobs=True, top_logprobs=3, temperature=0)
    scores = answer.choices[0].logprobs.content
    assert len(scores) == answer.usage.completion_tokens
    for score in scores:
        assert score.logprob <= 0 and len(score.top_logprobs) == 3
        assert score.top_logprobs[0].logprob == pytest.approx(score.logprob)
        assert bytes(score.bytes).decode(errors="replace") == score.token
    streamed = list(client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=6, logprobs=True, temperature=0, stream=True))
    tokens = [s.token for c in streamed if c.choices[0].logprobs for s in c.choices[0].logprobs.content]
    assert tokens == [score.token for score in scores]


def test_logit_bias_forces_a_token(client, model):
    answer = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=5, logit_bias={"122": 100})
    assert answer.choices[0].message.content == "zzzzz"


def test_a_prompt_is_cached(client, model):
    messages = [{"role": "user", "content": "A long beginning that many requests share. " * 8}]
    client.chat.completions.create(model=model, messages=messages, max_tokens=2)
    again = client.chat.completions.create(model=model, messages=messages, max_tokens=2)
    assert again.usage.prompt_tokens_details.cached_tokens > 200


@pytest.mark.parametrize("change, status, parameter", [
    ({"messages": []}, 400, "messages"),
    ({"temperature": 1000}, 400, "temperature"),
    ({"max_tokens": -5}, 400, "max_tokens"),
    ({"n": 0}, 400, "n"),
    ({"model": "nobody"}, 404, "model"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, 400, "messages"),
])
def test_errors_name_the_field(client, model, change, status, parameter):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(**({"model": model, "messages": HELLO} | change))
    assert caught.value.status_code == status and caught.value.param == parameter


def test_a_prompt_over_the_context_is_refused(client, model):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "x" * 100_000}])
    assert caught.value.code == "context_length_exceeded"


def test_many_streams_at_once(client, model):
    def ask(number):
        chunks = list(client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": f"Number {number % 4}"}],
            max_tokens=20, seed=9, stream=True))
        return number % 4, text_of(chunks)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = set(pool.map(ask, range(32)))
    assert len(answers) == 4


def test_a_stream_that_is_left_is_ended(client, model):
    started = time.monotonic()
    stream = client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=1500, stream=True, extra_body={"ignore_eos": True})
    for _, chunk in zip(range(5), stream):
        assert chunk.choices
    stream.close()
    # Somebody else is answered at once.
    client.chat.completions.create(model=model, messages=HELLO, max_tokens=2)
    assert time.monotonic() - started < 20


def test_messages_in_parts_and_newer_roles(client, model):
    answer = client.chat.completions.create(model=model, max_completion_tokens=3, messages=[
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "three"}, {"role": "user", "content": "é 日本 🎉"}])
    assert answer.usage.completion_tokens <= 3
