# SPDX-License-Identifier: Apache-2.0
"""Writes a tiny Llama with random weights and a token a byte: make_model.py FOLDER."""

import json
import os
import struct
import sys

import numpy as np

HIDDEN, LAYERS, HEADS, KV_HEADS, INNER, VOCAB = 64, 2, 4, 2, 128, 264
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + (message.content or '') }}"
    "{% for call in message.tool_calls or [] %}{{ '<tool_call>\\n' + call.function | tojson + '\\n</tool_call>' }}{% endfor %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if tools %}{{ '<tools>' + tools | tojson + '</tools>\\n' }}{% endif %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def spelling():
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    names, extra = {}, 0
    for byte in range(256):
        if byte in printable:
            names[byte] = chr(byte)
        else:
            names[byte] = chr(256 + extra)
            extra += 1
    return names


def tokenizer():
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return {
        "added_tokens": [
            {"id": 256 + i, "content": text, "special": True, "single_word": False,
             "lstrip": False, "rstrip": False, "normalized": False} for i, text in enumerate(specials)],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {name: byte for byte, name in spelling().items()}, "merges": []}}


def weights():
    random = np.random.default_rng(7)

    def matrix(rows, columns, scale=1.0):
        return (random.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)

    yield "model.embed_tokens.weight", matrix(VOCAB, HIDDEN, 8)
    width = HIDDEN // HEADS
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", np.ones(HIDDEN, np.float32)
        yield prefix + "post_attention_layernorm.weight", np.ones(HIDDEN, np.float32)
        yield prefix + "self_attn.q_proj.weight", matrix(HEADS * width, HIDDEN)
        yield prefix + "self_attn.k_proj.weight", matrix(KV_HEADS * width, HIDDEN)
        yield prefix + "self_attn.v_proj.weight", matrix(KV_HEADS * width, HIDDEN)
        yield prefix + "self_attn.o_proj.weight", matrix(HIDDEN, HEADS * width)
        yield prefix + "mlp.gate_proj.weight", matrix(INNER, HIDDEN)
        yield prefix + "mlp.up_proj.weight", matrix(INNER, HIDDEN)
        yield prefix + "mlp.down_proj.weight", matrix(HIDDEN, INNER)
    yield "model.norm.weight", np.ones(HIDDEN, np.float32)
    head = matrix(VOCAB, HIDDEN, 2)
    # Mostly letters, so that answers are text.
    letters = [*range(97, 123), 32]
    head[letters] *= 2
    head[[i for i in range(VOCAB) if i not in letters]] *= 0.05
    yield "lm_head.weight", head


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)

    def write(name, value):
        with open(os.path.join(folder, name), "w") as file:
            json.dump(value, file)

    write("config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS,
        "intermediate_size": INNER, "vocab_size": VOCAB, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "torch_dtype": "float32",
        "tie_word_embeddings": False, "bos_token_id": 256, "eos_token_id": 258})
    write("tokenizer.json", tokenizer())
    write("tokenizer_config.json", {
        "chat_template": TEMPLATE, "bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"})
    header, data = {}, b""
    for name, values in weights():
        header[name] = {"dtype": "F32", "shape": list(values.shape),
                        "data_offsets": [len(data), len(data) + values.nbytes]}
        data += values.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(folder, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main()
