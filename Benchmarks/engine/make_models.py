# SPDX-License-Identifier: Apache-2.0
"""Makes the benchmark's models with random weights: make_models.py FOLDER. What is there stays."""
import glob
import math
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper


def encoder(path, layers, width, heads, inner, vocabulary=30522):
    """A BERT-like encoder as torch exports it, weights of MiniLM's or BERT-base's shapes."""
    import torch
    from torch import nn

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
            self.attention_norm, self.out_norm = (nn.LayerNorm(width, eps=1e-12) for _ in range(2))
            self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

        def split(self, x):
            return x.view(x.size(0), x.size(1), heads, width // heads).permute(0, 2, 1, 3)

        def forward(self, x, mask):
            q, k, v = (self.split(f(x)) for f in (self.query, self.key, self.value))
            scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads) + mask
            mixed = (torch.softmax(scores, -1) @ v).permute(0, 2, 1, 3).contiguous()
            mixed = mixed.view(x.size(0), x.size(1), width)
            x = self.attention_norm(self.out(mixed) + x)
            return self.out_norm(self.down(nn.functional.gelu(self.up(x))) + x)

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places, self.kinds = (
                nn.Embedding(n, width) for n in (vocabulary, 512, 2))
            self.norm = nn.LayerNorm(width, eps=1e-12)
            self.layers = nn.ModuleList(Layer() for _ in range(layers))
            self.register_buffer("indices", torch.arange(512).unsqueeze(0))

        def forward(self, input_ids, attention_mask, token_type_ids):
            mask = (1 - attention_mask[:, None, None, :].float()) * -10000.0
            x = self.words(input_ids) + self.places(self.indices[:, : input_ids.size(1)])
            x = self.norm(x + self.kinds(token_type_ids))
            for layer in self.layers:
                x = layer(x, mask)
            return x

    torch.manual_seed(1)
    model = Encoder().eval()
    for parameter in model.parameters():
        if parameter.dim() == 2:
            nn.init.normal_(parameter, 0, 0.02)
    ids = torch.randint(0, vocabulary, (2, 16))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    axes = {name: {0: "batch", 1: "sequence"} for name in names + ["last_hidden_state"]}
    torch.onnx.export(
        model, (ids, torch.ones_like(ids), torch.zeros_like(ids)), path, opset_version=17,
        dynamo=False, input_names=names, output_names=["last_hidden_state"], dynamic_axes=axes)


def quantized(path, source):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, path, weight_type=QuantType.QInt8)


def classifier(path, source, batch):
    """One of the onnx wheel's light models: its networks are real, its weights ConstantOfShape."""
    model = onnx.load(source)
    graph = model.graph
    generator = np.random.default_rng(1)
    given = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    nodes, made = [], {}
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            nodes.append(node)
            continue
        shape = given[node.input[0]].tolist()
        fan = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        scale = math.sqrt(2 / fan) if len(shape) > 1 else 0.1
        made[node.output[0]] = generator.standard_normal(shape).astype(np.float32) * scale
    for node in nodes:
        if node.op_type == "BatchNormalization":
            scale, variance = node.input[1], node.input[4]
            if scale in made:
                made[scale] = (1 + 0.1 * made[scale]).astype(np.float32)
            if variance in made:
                made[variance] = (1 + np.abs(made[variance])).astype(np.float32)
        if node.op_type == "Reshape" and batch != 1 and node.input[1] in given:
            shape = given[node.input[1]].copy()
            if shape[0] == 1:
                shape[0] = batch
                given[node.input[1]] = shape
    inputs = [i for i in graph.input if i.name not in given and i.name not in made]
    for value in inputs + list(graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = batch
    used = {name for node in nodes for name in node.input}
    constants = [
        numpy_helper.from_array(np.ascontiguousarray(array), name)
        for name, array in {**given, **made}.items() if name in used]
    onnx.save(
        onnx.helper.make_model(
            onnx.helper.make_graph(nodes, graph.name, inputs, list(graph.output), constants),
            opset_imports=model.opset_import, ir_version=8), path)


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)

    def make(name, maker, *arguments):
        path = f"{folder}/{name}.onnx"
        if not os.path.exists(path):
            print("making", name, file=sys.stderr)
            maker(path + ".part", *arguments)
            os.rename(path + ".part", path)

    make("minilm", encoder, 6, 384, 12, 1536)
    make("bertbase", encoder, 12, 768, 12, 3072)
    for name in ("minilm", "bertbase"):
        make(name + "_int8", quantized, f"{folder}/{name}.onnx")
    light = os.path.join(os.path.dirname(onnx.__file__), "backend", "test", "data", "light")
    for name in ("resnet50", "vgg19", "densenet121", "shufflenet"):
        for batch in (1, 8):
            source = glob.glob(f"{light}/light_{name}.onnx")[0]
            make(f"{name}_b{batch}", classifier, source, batch)


main()
