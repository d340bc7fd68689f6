# SPDX-License-Identifier: Apache-2.0
"""Writes Sources/Compute/MartletGraph/Inference/TypeRules+Table.swift: which element types ONNX's
operators take, from the schemas of the onnx wheel (run with onnx 1.23.2).

  python Scripts/make-operator-types.py

A row is "domain.Name formal formal …". A formal is a type variable's letter and the element types
that it may be, as a bit mask in hexadecimal over TensorProto.DataType; "+" after the last one says
that it repeats, "~" that its repeats may differ in type.
"""
import pathlib
import re

import onnx
from onnx import TensorProto, defs

NAMES = {name.lower(): number for name, number in TensorProto.DataType.items()}
NAMES["double"], NAMES["float"] = TensorProto.DOUBLE, TensorProto.FLOAT


def mask(types):
    bits = 0
    for text in types:
        # Sequences, optional values and maps count by the elements inside.
        for name in re.findall(r"[a-z0-9]+", text):
            if name in NAMES:
                bits |= 1 << NAMES[name]
    return bits


def row(schema):
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    letters = {}
    formals = []
    for formal in schema.inputs:
        kind = formal.type_str
        letter = letters.setdefault(kind, chr(ord("a") + len(letters)))
        text = f"{letter}{mask(allowed.get(kind, [kind])):x}"
        if formal.option == defs.OpSchema.FormalParameterOption.Variadic:
            text += "+" if formal.is_homogeneous else "~"
        formals.append(text)
    name = f"{schema.domain}.{schema.name}" if schema.domain else schema.name
    return " ".join([name, *formals])


rows = sorted(
    row(s) for s in defs.get_all_schemas()
    if s.domain in ("", "ai.onnx.ml") and not s.deprecated and s.inputs)
target = pathlib.Path(__file__).parent.parent / (
    "Sources/Compute/MartletGraph/Inference/TypeRules+Table.swift")
lines = "\n".join("        " + line for line in rows)
target.write_text(f'''// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension TypeRules {{
    /// Made by Scripts/make-operator-types.py from the schemas of onnx {onnx.__version__}.
    static let table = """
{lines}
        """
}}
''')
print(len(rows), "operators")
