# SPDX-License-Identifier: Apache-2.0
"""Makes random JSON Schemas of what the documentation lists as supported."""

import random
import string

WORDS = ["id", "name", "a/b", "say \"x\"", "größe", "x_1", "kind"]
PATTERNS = [
    r"^\"$", r"^\d$", r"^\s{3}$", r"^[a-c]{2,4}$", r"^(x|yy)+\\?$", r"b", r"^a", r"[0-9]{2}$",
    r"^[^a-z]{2}$", r"^\S{1,3}$", r"(^|,)q", r"^[\u4e00-\u9fff]{1,2}$", r"^[\n\t/]{2}$"]


class Maker:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.definitions: dict = {}

    def document(self):
        schema = self.schema(0)
        if self.definitions:
            schema = {**schema, "$defs": self.definitions} if isinstance(schema, dict) else schema
        return schema

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def schema(self, depth: int):
        kinds = [self.string, self.integer, self.number, self.values, self.plain]
        if depth < 3:
            kinds += [self.object, self.object, self.array, self.any_of, self.all_of, self.one_of,
                      self.map, self.beside, self.reference]
        return self.random.choice(kinds)(depth)

    def plain(self, depth):
        return {"type": self.random.choice(["boolean", "null", ["null", "boolean"], ["integer", "null"]])}

    def string(self, depth):
        schema = {"type": "string"}
        if self.chance(0.4):
            schema["pattern"] = self.random.choice(PATTERNS)
        if self.chance(0.4):
            schema["maxLength"] = self.random.randint(3, 12)
        if self.chance(0.3):
            schema["minLength"] = self.random.randint(0, 2)
        if "pattern" not in schema and "maxLength" not in schema:
            if self.chance(0.5):
                schema["format"] = self.random.choice(["date", "date-time", "uuid", "ipv4", "email", "time"])
            else:
                schema["maxLength"] = 8
        return schema

    def integer(self, depth):
        schema = {"type": "integer"}
        if self.chance(0.5):
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = self.random.randint(-120, 120)
            if self.chance(0.5):
                low = schema.get("minimum", schema.get("exclusiveMinimum"))
                schema[self.random.choice(["maximum", "exclusiveMaximum"])] = low + self.random.randint(2, 300)
        elif self.chance(0.3):
            schema["multipleOf"] = self.random.choice([1, 2, 5, 7, 12])
        return schema

    def number(self, depth):
        schema = {"type": "number"}
        low = self.random.choice([0, -1.5, 2.25, -100, 0.001, 99])
        if self.chance(0.7):
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = low
        if self.chance(0.7):
            schema[self.random.choice(["maximum", "exclusiveMaximum"])] = low + self.random.choice([0.5, 1, 10, 1234.5])
        return schema

    def values(self, depth):
        all_values = ["red", "gr\u00fcn", 3, 4.5, None, True, {"a": [1, "x"]}, [], "say \"x\"", "\\", "a\nb"]
        chosen = self.random.sample(all_values, self.random.randint(1, 4))
        if self.chance(0.2):
            return {"const": chosen[0]}
        schema = {"enum": chosen}
        if self.chance(0.3) and any(isinstance(v, str) for v in chosen):
            schema["type"] = "string"
        return schema

    def object(self, depth):
        names = self.random.sample(WORDS, self.random.randint(1, 4))
        schema = {"type": "object", "properties": {name: self.schema(depth + 1) for name in names}}
        if self.chance(0.7):
            schema["required"] = self.random.sample(names, self.random.randint(0, len(names)))
            if self.chance(0.2):
                schema["required"].append("more")
        if self.chance(0.4) and "more" not in schema.get("required", []):
            schema["additionalProperties"] = False
        elif self.chance(0.2):
            schema["additionalProperties"] = {"type": "integer"}
        if self.chance(0.2):
            schema["minProperties"] = self.random.randint(0, len(names))
        if self.chance(0.2):
            schema["maxProperties"] = max(len(schema.get("required", [])), self.random.randint(1, len(names)))
        if self.chance(0.1):
            schema["patternProperties"] = {"^n": {}}
        return schema

    def map(self, depth):
        schema = {"type": "object", "additionalProperties": self.schema(depth + 1),
                  "maxProperties": self.random.randint(1, 3)}
        if self.chance(0.3):
            schema["propertyNames"] = {"pattern": "^[a-z]{1,3}$"}
        if self.chance(0.3):
            schema["minProperties"] = 1
        return schema

    def array(self, depth):
        schema = {"type": "array", "items": self.schema(depth + 1)}
        if self.chance(0.3):
            schema["prefixItems"] = [self.schema(depth + 1) for _ in range(self.random.randint(1, 2))]
        if self.chance(0.5):
            schema["minItems"] = self.random.randint(0, 3)
        schema["maxItems"] = schema.get("minItems", 0) + self.random.randint(0, 2)
        return schema

    def any_of(self, depth):
        return {"anyOf": [self.schema(depth + 1) for _ in range(self.random.randint(1, 3))]}

    def beside(self, depth):
        """Options beside properties."""
        schema = self.object(depth)
        names = list(schema["properties"])
        schema["anyOf"] = [{"required": [self.random.choice(names)]} for _ in range(2)]
        return schema

    def one_of(self, depth):
        return {"oneOf": [
            {"type": "object", "properties": {"kind": {"const": word}, "v": self.schema(depth + 1)},
             "required": ["kind"]} for word in ("one", "two")]}

    def all_of(self, depth):
        parts = [self.object(depth), self.object(depth)]
        for part in parts:
            part.pop("additionalProperties", None)
            part.pop("maxProperties", None)
        if self.chance(0.5):
            return {"allOf": [self.define(parts[0]), self.define(parts[1])]}
        return {"allOf": [self.define(parts[0])], **parts[1]}

    def define(self, schema):
        name = self.random.choice(["A/B", "with space", "t~x"]) + "".join(self.random.choices(string.ascii_letters, k=4))
        self.definitions[name] = schema
        return {"$ref": "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace(" ", "%20")}

    def reference(self, depth):
        return self.define(self.schema(depth + 1))
