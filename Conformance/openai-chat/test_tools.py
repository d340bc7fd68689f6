# SPDX-License-Identifier: Apache-2.0

import json

import httpx
import openai
import pytest

TOOL = {"type": "function", "function": {
    "name": "get_weather", "parameters": {
        "type": "object", "required": ["city", "days"], "additionalProperties": False, "properties": {
            "city": {"type": "string", "enum": ["Rome", "Oslo"]}, "days": {"type": "integer"}}}}}
HELLO = [{"role": "user", "content": "Weather?"}]


def check(arguments):
    value = json.loads(arguments)
    assert value["city"] in ("Rome", "Oslo") and isinstance(value["days"], int)


def test_a_named_tool_is_called(client, model):
    answer = client.chat.completions.create(
        model=model, messages=HELLO, tools=[TOOL], max_tokens=200, seed=1,
        tool_choice={"type": "function", "function": {"name": "get_weather"}})
    call = answer.choices[0].message.tool_calls[0]
    assert call.type == "function" and call.id and call.function.name == "get_weather"
    check(call.function.arguments)


def test_some_tool_is_called_in_a_stream(client, model):
    name, arguments, reason = None, "", None
    for chunk in client.chat.completions.create(
            model=model, messages=HELLO, tools=[TOOL], tool_choice="required", max_tokens=300, seed=2,
            stream=True):
        choice = chunk.choices[0]
        for call in choice.delta.tool_calls or []:
            assert call.index == 0
            name = call.function.name or name
            arguments += call.function.arguments or ""
        reason = choice.finish_reason or reason
    assert name == "get_weather" and reason == "tool_calls"
    check(arguments)


def test_a_turn_with_calls_is_read(client, base, model):
    messages = HELLO + [
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {
            "name": "get_weather", "arguments": '{"city": "Rome", "days": 1}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"}]
    answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL], max_tokens=4)
    assert answer.usage.completion_tokens <= 4
    body = {"model": model, "messages": messages, "tools": [TOOL]}
    tokens = httpx.post(base + "/tokenize", json=body).json()["tokens"]
    prompt = httpx.post(base + "/detokenize", json={"model": model, "tokens": tokens}).json()["prompt"]
    assert answer.usage.prompt_tokens == len(tokens)
    # The template gets the arguments as values.
    call = prompt.split("<tool_call>\n")[1].split("\n</tool_call>")[0]
    assert json.loads(call) == {"name": "get_weather", "arguments": {"city": "Rome", "days": 1}}
    assert "<|im_start|>tool\nsunny<|im_end|>" in prompt
    assert json.loads(prompt.split("<tools>")[1].split("</tools>")[0]) == [TOOL]


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
     "required": ["a", "b"], "additionalProperties": False},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 3},
    {"enum": ["red", "green", 3, None]},
    {"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"const": "y"}}, "required": ["x"]}]},
    {"type": "object", "required": ["s"], "properties": {"s": {"type": "string", "maxLength": 4}}},
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
def test_answers_follow_a_schema(client, model, schema):
    for seed in range(3):
        answer = client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=300, seed=seed, temperature=1,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}})
        choice = answer.choices[0]
        assert choice.finish_reason == "stop"
        value = json.loads(choice.message.content)
        if "enum" in schema:
            assert value in schema["enum"]
        if schema.get("type") == "array":
            assert 2 <= len(value) <= 3 and all(isinstance(v, int) for v in value)
        if "properties" in schema:
            assert set(schema["required"]) <= set(value)


def test_other_forms(client, model):
    def ask(**body):
        return client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=60, seed=1, extra_body=body).choices[0].message.content
    assert ask(guided_choice=["yes", "no"]) in ("yes", "no")
    assert ask(structured_outputs={"choice": ["yes", "no"]}) in ("yes", "no")
    text = ask(guided_regex=r"[a-c]{3}-\d{2}")
    assert len(text) == 6 and text[3] == "-" and set(text[:3]) <= set("abc") and text[4:].isdigit()


@pytest.mark.parametrize("schema", [
    {"type": "wishes"}, {"$ref": "#/nowhere"}, {"type": "array", "minItems": 10**9},
    {"type": "string", "pattern": "(" * 5000}, {"enum": []}, {"$ref": "#"}, False,
    {"type": "object", "properties": {str(i): {"type": "string", "minLength": 200} for i in range(600)}},
])
def test_schemas_that_are_none_are_refused(client, model, schema):
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(
            model=model, messages=HELLO, max_tokens=5,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert caught.value.status_code in (400, 413)
