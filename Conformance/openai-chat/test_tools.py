# SPDX-License-Identifier: Apache-2.0

import json

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


def test_a_turn_with_calls_is_read(client, model, prompt_of):
    messages = HELLO + [
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {
            "name": "get_weather", "arguments": '{"city": "Rome", "days": 1}'}}]},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"}]
    prompt = prompt_of(messages=messages, tools=[TOOL])
    call = prompt.split("<tool_call>\n")[1].split("\n</tool_call>")[0]
    # The arguments are values for the template, no text in a text.
    assert json.loads(call) == {"name": "get_weather", "arguments": {"city": "Rome", "days": 1}}
    assert "<|im_start|>tool\nsunny<|im_end|>\n" in prompt
    tools = prompt.split("<tools>")[1].split("</tools>")[0]
    assert json.loads(tools) == [TOOL]
    answer = client.chat.completions.create(model=model, messages=messages, tools=[TOOL], max_tokens=4)
    assert 0 < answer.usage.completion_tokens <= 4


ARGUMENTS = '{"city": "Rome", "days": 12345678901234567890, "x": 1.10}'
CALL = '{"name": "get_weather", "arguments": %s}' % ARGUMENTS
FORMS = [
    "<tool_call>\n" + CALL + "\n</tool_call>", "[TOOL_CALLS] [" + CALL + "]",
    "[TOOL_CALLS]get_weather[ARGS]" + ARGUMENTS, CALL, "<|python_tag|>" + CALL,
    "<function=get_weather>" + ARGUMENTS + "</function>", "<|tool_call|>[" + CALL + "]<|/tool_call|>",
]


@pytest.mark.parametrize("text", FORMS, ids=range(len(FORMS)))
def test_calls_of_the_families(client, model, text):
    options = dict(model=model, messages=HELLO, tools=[TOOL], max_tokens=400,
                   extra_body={"guided_choice": [text]})
    choice = client.chat.completions.create(**options).choices[0]
    assert [c.function.name for c in choice.message.tool_calls] == ["get_weather"]
    assert choice.message.tool_calls[0].function.arguments == ARGUMENTS
    assert not choice.message.content and choice.finish_reason == "tool_calls"
    names, pieces = [], []
    for chunk in client.chat.completions.create(stream=True, **options):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            if call.function.name:
                names.append(call.function.name)
                assert call.id and not pieces
            if call.function.arguments:
                pieces.append(call.function.arguments)
    # As they come: in more than one piece.
    assert names == ["get_weather"] and "".join(pieces) == ARGUMENTS and len(pieces) > 3


def test_one_call_where_no_more_are_wanted(client, model):
    text = "<tool_call>" + CALL + "</tool_call>\n" + "<tool_call>" + CALL + "</tool_call>"
    for parallel in (True, False):
        answer = client.chat.completions.create(
            model=model, messages=HELLO, tools=[TOOL], max_tokens=400, parallel_tool_calls=parallel,
            extra_body={"guided_choice": [text]})
        assert len(answer.choices[0].message.tool_calls) == (2 if parallel else 1)


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
