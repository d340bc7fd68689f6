# SPDX-License-Identifier: Apache-2.0

import concurrent.futures
import json
import socket
import time
import urllib.parse

import httpx
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


def counted(base, name, **labels):
    """The sum of a metric's series that have these labels."""
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in httpx.get(base + "/metrics").text.splitlines()
        if line.startswith(name + "{") and all(label in line for label in wanted))


def until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_a_stream_that_is_left_is_ended(client, base, model):
    def aborted():
        return counted(base, "vllm:request_success_total", finished_reason="abort")
    def made():
        return counted(base, "vllm:generation_tokens_total")
    # The model is fast: several streams of all that the context holds are left early.
    before, tokens, count = aborted(), made(), 8
    for _ in range(count):
        stream = client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=1900, stream=True, extra_body={"ignore_eos": True})
        for _, chunk in zip(range(2), stream):
            assert chunk.choices
        stream.close()
    assert until(lambda: aborted() == before + count, 10), "left streams were not aborted"
    assert until(lambda: counted(base, "vllm:num_requests_running") == 0, 10)
    assert made() - tokens < count * 1900 / 2


def test_a_client_that_stops_reading_is_cut_off(base, model):
    address = urllib.parse.urlsplit(base)
    before = counted(base, "vllm:request_success_total", finished_reason="abort")
    body = json.dumps({
        "model": model, "prompt": "go on", "max_tokens": 1900, "n": 4, "stream": True,
        "logprobs": 20, "ignore_eos": True}).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect((address.hostname, address.port))
        client.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        # Well before the time that any client has for taking an answer.
        assert until(
            lambda: counted(base, "vllm:request_success_total", finished_reason="abort") > before, 15)
        rest = b""
        try:
            while piece := client.recv(1 << 16):
                rest += piece
        except ConnectionResetError:
            pass
        assert b"[DONE]" not in rest and len(rest) < 12 << 20


def test_beams_and_long_prompts_always_end(client, model):
    def ask(prompt, **more):
        return client.completions.create(
            model=model, prompt=prompt, timeout=20, extra_body={"use_beam_search": True}, best_of=2, **more)
    assert ask([100] * 2047, max_tokens=50).usage.completion_tokens == 1
    assert ask([100] * 10, max_tokens=0).choices[0].text == ""
    with pytest.raises(openai.BadRequestError) as caught:
        ask([100] * 2048, max_tokens=5)
    assert caught.value.code == "context_length_exceeded"


def test_names_that_would_be_kept_are_bounded(client, model):
    client.chat.completions.create(model=model, messages=HELLO, max_tokens=1, user="u" * 256)
    for wrong in ({"user": "u" * 257}, {"extra_body": {"cache_salt": "s" * 257}}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model=model, messages=HELLO, max_tokens=1, **wrong)


def test_the_only_model_needs_no_name(base):
    answer = httpx.post(base + "/v1/chat/completions", json={"messages": HELLO, "max_tokens": 2})
    assert answer.status_code == 200 and answer.json()["model"]
    assert httpx.get(base + "/health").status_code == httpx.get(base + "/ping").status_code == 200
    assert httpx.get(base + "/version").json()["version"]


def test_large_texts_are_refused_as_texts(base, model):
    for body in ({"prompt": "x " * 15_000_000}, {"messages": [{"role": "user", "content": "x " * 15_000_000}]}):
        answer = httpx.post(base + "/tokenize", json={"model": model} | body, timeout=60)
        assert 400 <= answer.status_code < 500, answer.text[:200]


def test_messages_in_parts_and_newer_roles(client, base, model):
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "three"}, {"role": "user", "content": "é 日本 🎉"}]
    tokens = httpx.post(base + "/tokenize", json={"model": model, "messages": messages}).json()["tokens"]
    prompt = httpx.post(base + "/detokenize", json={"model": model, "tokens": tokens}).json()["prompt"]
    assert prompt == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\none\ntwo<|im_end|>\n"
        "<|im_start|>assistant\nthree<|im_end|>\n<|im_start|>user\né 日本 🎉<|im_end|>\n"
        "<|im_start|>assistant\n")
    answer = client.chat.completions.create(model=model, max_completion_tokens=3, messages=messages)
    assert answer.usage.completion_tokens <= 3 and answer.usage.prompt_tokens == len(tokens)


def test_steps_and_guesses_are_counted(client, base, model):
    names = ("vllm:iteration_tokens_total_sum", "vllm:iteration_tokens_total_count",
             "vllm:spec_decode_num_drafts_total", "vllm:spec_decode_num_draft_tokens_total",
             "vllm:spec_decode_num_accepted_tokens_total")
    before = [counted(base, name) for name in names]
    # A text that repeats itself is guessed.
    answer = client.completions.create(
        model=model, prompt="abcabcabcabcabcabc", max_tokens=60, temperature=0, logit_bias={"122": 100})
    tokens, steps, drafts, drafted, accepted = (counted(base, n) - b for n, b in zip(names, before))
    assert tokens >= 60 + answer.usage.prompt_tokens - answer.usage.prompt_tokens_details.cached_tokens
    assert 0 < steps < 60 and 0 < drafts <= drafted and 0 < accepted <= drafted
