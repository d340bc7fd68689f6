# SPDX-License-Identifier: Apache-2.0
"""Writes Sources/Compute/MartletGraph/Inference/OperatorSignature+Table.swift: what ONNX's
operators take, from the schemas of the onnx wheel (run with onnx 1.23.2).

  python Scripts/make-operator-signatures.py

A row is "domain.Name formal formal … #count @attribute,attribute,…". A formal is a type variable's
letter and the element types that it may be, as a bit mask in hexadecimal over TensorProto.DataType;
"+" after the last one says that it repeats, "~" that its repeats may differ in type. "#count" is
there where an earlier version took more inputs; the attributes are those of all versions.
"""
import pathlib
import re

from onnx import TensorProto, __version__, defs

NAMES = {name.lower(): number for name, number in TensorProto.DataType.items()}
NAMES["double"], NAMES["float"] = TensorProto.DOUBLE, TensorProto.FLOAT
DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview")

# Operators of ONNX Runtime's that are read too: inputs and attributes as its schemas state them.
MICROSOFT = {
    "BiasGelu": (2, ""),
    "DynamicQuantizeMatMul": (5, ""),
    "FastGelu": (2, ""),
    "FusedConv": (
        4, "activation,activation_params,auto_pad,dilations,group,kernel_shape,pads,strides"),
    "Gelu": (1, ""),
    "MatMulIntegerToFloat": (7, ""),
    "MatMulNBits": (6, "K,N,accuracy_level,bits,block_size,weight_prepacked"),
    "QGemm": (9, "alpha,transA,transB"),
    "QLinearAdd": (8, ""),
    "QLinearGlobalAveragePool": (5, "channels_last"),
    "QLinearLeakyRelu": (5, "alpha"),
    "QLinearMul": (8, ""),
    "QLinearSigmoid": (5, ""),
    "QuickGelu": (1, "alpha"),
    "SkipLayerNormalization": (5, "epsilon"),
}


def mask(types):
    bits = 0
    for text in types:
        # Sequences, optional values and maps count by the elements inside.
        for name in re.findall(r"[a-z0-9]+", text):
            if name in NAMES:
                bits |= 1 << NAMES[name]
    return bits


def row(versions):
    schema = [s for s in versions if not s.deprecated][-1]
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
    count = max(s.max_input for s in versions)
    if count > schema.max_input:
        formals.append(f"#{count}")
    attributes = sorted({name for s in versions for name in s.attributes})
    if attributes:
        formals.append("@" + ",".join(attributes))
    name = f"{schema.domain}.{schema.name}" if schema.domain else schema.name
    return " ".join([name, *formals])


def microsoft(name, count, attributes):
    words = ["com.microsoft." + name, f"#{count}"]
    return " ".join(words + (["@" + attributes] if attributes else []))


history = {}
for schema in defs.get_all_schemas_with_history():
    if schema.domain in DOMAINS:
        history.setdefault((schema.domain, schema.name), []).append(schema)
rows = [row(sorted(versions, key=lambda s: s.since_version)) for versions in history.values()]
rows += [microsoft(name, *what) for name, what in MICROSOFT.items()]
rows.sort()
target = pathlib.Path(__file__).parent.parent / (
    "Sources/Compute/MartletGraph/Inference/OperatorSignature+Table.swift")
lines = "\n".join("        " + line for line in rows)
target.write_text(f'''// SPDX-License-Identifier: Apache-2.0
// Part of Martlet, the AI platform in one Swift binary.

extension OperatorSignature {{
    /// Made by Scripts/make-operator-signatures.py from the schemas of onnx {__version__}.
    static let table = """
{lines}
        """
}}
''')
print(len(rows), "operators")
