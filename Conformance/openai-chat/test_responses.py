# SPDX-License-Identifier: Apache-2.0

import json

import openai
import pydantic
import pytest

TOOL = {"type": "function", "name": "get_weather", "strict": True, "parameters": {
    "type": "object", "required": ["city", "days"], "additionalProperties": False, "properties": {
        "city": {"type": "string", "enum": ["Rome", "Oslo"]}, "days": {"type": "integer", "enum": [1, 2]}}}}


def ask(client, model, **more):
    return client.responses.create(**({"model": model, "input": "Hello there", "max_output_tokens": 20} | more))


def test_a_response_has_every_field(client, model):
    answer = ask(client, model, instructions="Be brief.", metadata={"a": "b"})
    assert answer.object == "response" and answer.id.startswith("resp_") and answer.model == model
    assert answer.created_at > 1e9 and answer.instructions == "Be brief." and answer.metadata == {"a": "b"}
    assert answer.output[0].type == "message" and answer.output[0].content[0].type == "output_text"
    assert answer.output_text and answer.error is None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert 0 < answer.usage.output_tokens <= 20
    if answer.usage.output_tokens == 20:
        assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens"
    else:
        assert answer.status == "completed"


def test_it_says_what_a_chat_says(client, model):
    chat = client.chat.completions.create(model=model, max_tokens=20, temperature=0, messages=[
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"}, {"role": "user", "content": "three"}])
    answer = ask(client, model, instructions="Be brief.", temperature=0, input=[
        {"role": "user", "content": [{"type": "input_text", "text": "one"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "two"}]},
        {"role": "user", "content": "three"}])
    assert answer.output_text == chat.choices[0].message.content
    assert answer.usage.input_tokens == chat.usage.prompt_tokens


def test_events_come_in_order(client, model):
    events = list(ask(client, model, stream=True, temperature=0))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert kinds[-4:-1] == ["response.output_text.done", "response.content_part.done", "response.output_item.done"]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    final = events[-1].response
    assert final.output_text == text == ask(client, model, temperature=0).output_text
    assert final.usage.output_tokens > 0 and len({e.item_id for e in events if hasattr(e, "item_id")}) == 1


def test_the_streaming_helper_takes_it(client, model):
    with client.responses.stream(model=model, input="Hello", max_output_tokens=300, tools=[TOOL],
                                 tool_choice="required") as stream:
        deltas = [e.delta for e in stream if e.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    call = final.output[0]
    assert call.type == "function_call" and call.name == "get_weather" and call.call_id
    assert "".join(deltas) == call.arguments and json.loads(call.arguments)["city"] in ("Rome", "Oslo")


def test_a_named_tool_and_its_result(client, model):
    call = ask(client, model, tools=[TOOL], tool_choice={"type": "function", "name": "get_weather"},
               max_output_tokens=200).output[0]
    assert json.loads(call.arguments)["days"] in (1, 2)
    answer = ask(client, model, tools=[TOOL], tool_choice="none", input=[
        {"role": "user", "content": "Weather?"}, call.model_dump(),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}])
    assert answer.output_text


def test_an_answer_of_a_type(client, model):
    class Wish(pydantic.BaseModel):
        kind: bool
        number: int | None
    parsed = client.responses.parse(model=model, input="Hello", text_format=Wish, max_output_tokens=600)
    assert isinstance(parsed.output_parsed, Wish)


def test_log_probabilities(client, model):
    answer = ask(client, model, top_logprobs=2, include=["message.output_text.logprobs"], temperature=0)
    scores = answer.output[0].content[0].logprobs
    assert len(scores) == answer.usage.output_tokens and all(len(s.top_logprobs) == 2 for s in scores)


@pytest.mark.parametrize("change, parameter", [
    ({"input": []}, "input"), ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"background": True}, "background"), ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"tools": [{"type": "web_search"}]}, "tools"), ({"temperature": 1000}, "temperature"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input"),
])
def test_errors_name_the_field(client, model, change, parameter):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, model, **change)
    assert caught.value.param == parameter


def test_a_prompt_over_the_context_is_refused(client, model):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, model, input="x" * 100_000, stream=True)
    assert caught.value.code == "context_length_exceeded"
