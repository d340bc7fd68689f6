# SPDX-License-Identifier: Apache-2.0

import json

import anthropic
import httpx
import pytest

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def claude(base):
    with anthropic.Anthropic(base_url=base, api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_a_message(claude, model):
    message = claude.messages.create(model=model, max_tokens=12, messages=HELLO, system="Be brief.")
    assert message.type == "message" and message.role == "assistant" and message.model == model
    assert message.content[0].type == "text" and message.content[0].text
    assert message.stop_reason in ("end_turn", "max_tokens")
    assert message.usage.output_tokens <= 12


def test_a_stream(claude, model):
    with claude.messages.stream(model=model, max_tokens=16, messages=HELLO, extra_body={"temperature": 0}) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text and final.usage.output_tokens <= 16
    whole = claude.messages.create(model=model, max_tokens=16, messages=HELLO, extra_body={"temperature": 0})
    assert whole.content[0].text == text and whole.stop_reason == final.stop_reason


def test_a_stop_sequence(claude, model):
    whole = claude.messages.create(
        model=model, max_tokens=40, messages=HELLO, extra_body={"temperature": 0}).content[0].text
    message = claude.messages.create(
        model=model, max_tokens=40, messages=HELLO, extra_body={"temperature": 0}, stop_sequences=[whole[8:11]])
    assert message.stop_reason == "stop_sequence" and message.stop_sequence == whole[8:11]
    assert whole.startswith(message.content[0].text)


def test_tokens_are_counted(claude, model):
    count = claude.messages.count_tokens(model=model, messages=HELLO).input_tokens
    message = claude.messages.create(model=model, max_tokens=1, messages=HELLO)
    usage = message.usage
    assert count == usage.input_tokens + (usage.cache_read_input_tokens or 0)


TOOL = {"name": "look_up", "description": "d", "input_schema": {
    "type": "object", "properties": {"word": {"type": "string", "enum": ["a", "b"]}},
    "required": ["word"], "additionalProperties": False}}


def test_a_tool_is_used(claude, model):
    options = dict(model=model, max_tokens=200, messages=HELLO, tools=[TOOL],
                   tool_choice={"type": "tool", "name": "look_up"}, extra_body={"temperature": 0})
    message = claude.messages.create(**options)
    block = message.content[0]
    assert block.type == "tool_use" and block.name == "look_up" and block.input["word"] in ("a", "b")
    assert message.stop_reason == "tool_use"
    with claude.messages.stream(**options) as stream:
        final = stream.get_final_message()
    assert final.content[0].input == block.input
    turns = HELLO + [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look_up", "input": {"word": "a"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "found"}]}]
    assert claude.messages.create(model=model, max_tokens=3, messages=turns, tools=[TOOL]).content


def test_errors(claude, model, base):
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="nobody", max_tokens=1, messages=HELLO)
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model=model, max_tokens=1, messages=[])
    answer = httpx.post(base + "/v1/messages", json={"model": model, "messages": HELLO})
    assert answer.status_code == 400 and answer.json()["type"] == "error"


def test_kserve_generate(base, model):
    answer = httpx.post(f"{base}/v2/models/{model}/generate", json={
        "text_input": "once", "parameters": {"max_tokens": 6, "temperature": 0}}).json()
    assert answer["model_name"] == model and answer["text_output"]
    pieces = []
    with httpx.stream("POST", f"{base}/v2/models/{model}/generate_stream", json={
            "text_input": "once", "max_tokens": 6, "temperature": 0}) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                pieces.append(json.loads(line[6:])["text_output"])
    assert "".join(pieces) == answer["text_output"]
    formed = httpx.post(f"{base}/v2/models/{model}/generate", json={
        "text_input": "once", "parameters": {"max_tokens": 20, "guided_regex": "[0-9]{4}"}}).json()
    assert len(formed["text_output"]) == 4 and formed["text_output"].isdigit()
