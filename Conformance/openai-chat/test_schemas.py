# SPDX-License-Identifier: Apache-2.0
"""Answers of random tokens under random schemas, checked by the jsonschema package; and schemas that
are refused with the place of what is not supported."""

import json

import jsonschema
import openai
import pytest
from schemas import Maker

HELLO = [{"role": "user", "content": "JSON?"}]


def ask(client, model, schema, seed, tokens=1200):
    # All bytes are about as likely: the format alone makes the answer.
    return client.chat.completions.create(
        model=model, messages=HELLO, max_tokens=tokens, seed=seed, temperature=2,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}})


def refusal(error):
    """Refused with its reason, not failed."""
    return error.status_code in (400, 413) and ("schema" in str(error) or "format" in str(error))


def check(client, model, schema, seeds=1):
    done = 0
    for seed in range(seeds):
        choice = ask(client, model, schema, seed).choices[0]
        # A string or list without an end may go on for ever.
        if choice.finish_reason != "stop":
            continue
        value = json.loads(choice.message.content)
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator,
                            format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        done += 1
    return done


def test_random_schemas(client, model):
    done, refused = 0, 0
    for seed in range(200):
        schema = Maker(seed).document()
        try:
            done += check(client, model, schema) > 0
        except openai.APIStatusError as error:
            assert refusal(error), (seed, schema, error)
            refused += 1
        except (jsonschema.ValidationError, json.JSONDecodeError) as error:
            raise AssertionError(f"seed {seed}: {json.dumps(schema)}: {error}") from error
    print(f"{done} answers checked, {refused} schemas refused")
    assert done >= 120 and refused <= 40


AB = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}


@pytest.mark.parametrize("schema", [
    {"type": "string", "pattern": "^\"$"}, {"type": "string", "pattern": r"^\d$"},
    {"type": "string", "pattern": r"^\s{3}$"}, {"type": "string", "enum": ["a", 1]},
    {**AB, "required": ["a", "c"]}, {**AB, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"allOf": [{"$ref": "#/$defs/x"}, {"$ref": "#/$defs/y"}],
     "$defs": {"x": {"type": "object", "properties": {"p": {"type": "integer"}}, "required": ["p"]},
               "y": {"type": "object", "properties": {"q": {"type": "null"}}, "required": ["q"]}}},
    {"allOf": [{"$ref": "#/$defs/A~1B"}], "properties": {"r": {"const": 1}}, "required": ["r"],
     "$defs": {"A/B": {"type": "object", "properties": {"p": {"type": "boolean"}}, "required": ["p"]}}},
    {"type": "array", "items": {"type": "null"}, "minItems": 2, "maxItems": 300},
    {**AB, "minProperties": 2}, {"type": "integer", "minimum": 17, "maximum": 23},
    {"type": "string", "minLength": 300, "maxLength": 301, "pattern": "^[ab]*$"},
], ids=range(12))
def test_schemas_that_were_misread(client, model, schema):
    assert check(client, model, schema, seeds=3) == 3


def nested(depth):
    definitions = {f"d{i}": {"type": "object", "properties": {"n": {"$ref": f"#/$defs/d{i + 1}"}}, "required": ["n"]}
                   for i in range(depth)}
    definitions[f"d{depth}"] = {"const": 1}
    return {"$ref": "#/$defs/d0", "$defs": definitions}


def test_a_long_chain_of_definitions(client, model):
    assert check(client, model, nested(40), seeds=1) == 1


@pytest.mark.parametrize("schema,place", [
    ({**AB, "not": {"required": ["a"]}}, "#/not"), ({**AB, "if": AB, "then": AB}, "#/if"),
    ({"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}, "#/properties/a/uniqueItems"),
    ({"type": "array", "contains": {"type": "null"}}, "#/contains"),
    ({"oneOf": [AB, AB]}, "#/oneOf"), ({"type": "number", "multipleOf": 0.01}, "#/multipleOf"),
    ({"type": "object", "properties": {"x/y": {"type": "wish"}}}, "#/properties/x~1y/type"),
    ({"type": "object", "dependentRequired": {"a": ["b"]}}, "#/dependentRequired"),
])
def test_what_is_not_supported_is_refused_with_its_place(client, model, schema, place):
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, model, schema, 0, tokens=5)
    assert f"'{place}'" in str(caught.value)


@pytest.mark.parametrize("schema", [
    {"type": "string", "minLength": 5, "maxLength": 2}, {"allOf": [{"type": "string"}, {"type": "integer"}]},
    {"type": "integer", "minimum": 5, "maximum": 4},
])
def test_what_allows_nothing_is_refused(client, model, schema):
    with pytest.raises(openai.BadRequestError):
        ask(client, model, schema, 0, tokens=5)
