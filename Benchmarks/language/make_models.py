#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_models.py FOLDER [SHAPE-TYPE...] - Llama models with random weights, as GGUF, for measuring speed.

Shapes: 125m (768 wide, 12 layers, 12 heads / 4) and 1b (TinyLlama's: 2048, 22, 32 / 4); types BF16, Q8_0,
Q4_0 and Q4_K_M, mixed as llama-quantize mixes them (head, half of the values and of the down matrices in
Q6_K). Random blocks: speed does not depend on what they hold. Needs gguf and numpy.
"""
import os, sys
import gguf, numpy as np

SHAPES = {"125m": (768, 12, 12, 4, 2048, 32000), "1b": (2048, 22, 32, 4, 5632, 32000)}
TYPES = ["BF16", "Q8_0", "Q4_0", "Q4_K_M"]
rng = np.random.default_rng(1)


def blocks(kind, rows, columns):
    """Random bits with scales that make the values about 1/sqrt(columns)."""
    count, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]]
    spread = columns ** -0.5
    if kind == "BF16":
        return (rng.standard_normal((rows, columns), dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    data = rng.integers(0, 256, (rows * columns // count, size), dtype=np.uint8)
    def half(value): return np.frombuffer(np.float16(value).tobytes(), np.uint8)
    if kind == "Q8_0": data[:, 0:2] = half(spread / 74)
    if kind == "Q4_0": data[:, 0:2] = half(spread / 4.6)
    if kind == "Q4_K": data[:, 0:2] = half(spread / 150); data[:, 2:4] = half(spread / 20)
    if kind == "Q6_K": data[:, 208:210] = half(spread / 1400)
    return data.reshape(rows, -1)


def make(path, shape, kind, write_vocabulary=lambda out: out.add_tokenizer_model("no_vocab")):
    hidden, layers, heads, kv, inner, vocabulary = SHAPES[shape]
    head = hidden // heads
    out = gguf.GGUFWriter(path, "llama")
    out.add_block_count(layers); out.add_context_length(4096); out.add_embedding_length(hidden)
    out.add_feed_forward_length(inner); out.add_head_count(heads); out.add_head_count_kv(kv)
    out.add_layer_norm_rms_eps(1e-5); out.add_rope_dimension_count(head); out.add_vocab_size(vocabulary)
    write_vocabulary(out)
    mixed = kind == "Q4_K_M"
    plain = "Q4_K" if mixed else kind
    def matrix(name, rows, columns, kind):
        out.add_tensor(name + ".weight", blocks(kind, rows, columns), raw_dtype=gguf.GGMLQuantizationType[kind])
    def norm(name): out.add_tensor(name + ".weight", np.ones(hidden, np.float32))
    matrix("token_embd", vocabulary, hidden, plain)
    for i in range(layers):
        more = mixed and (i < layers // 8 or i >= 7 * layers // 8 or (i - layers // 8) % 3 == 2)
        norm(f"blk.{i}.attn_norm"); norm(f"blk.{i}.ffn_norm")
        matrix(f"blk.{i}.attn_q", hidden, hidden, plain); matrix(f"blk.{i}.attn_k", kv * head, hidden, plain)
        matrix(f"blk.{i}.attn_v", kv * head, hidden, "Q6_K" if more else plain)
        matrix(f"blk.{i}.attn_output", hidden, hidden, plain)
        matrix(f"blk.{i}.ffn_gate", inner, hidden, plain); matrix(f"blk.{i}.ffn_up", inner, hidden, plain)
        matrix(f"blk.{i}.ffn_down", hidden, inner, "Q6_K" if more else plain)
    norm("output_norm")
    matrix("output", vocabulary, hidden, kind if kind in ("BF16", "Q8_0") else "Q6_K")
    out.write_header_to_file(); out.write_kv_data_to_file(); out.write_tensors_to_file(); out.close()


if __name__ == "__main__":
    folder, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    for shape in SHAPES:
        for kind in TYPES:
            name = f"{shape}-{kind}"
            path = os.path.join(folder, name + ".gguf")
            if (not wanted or name in wanted) and not os.path.exists(path):
                make(path + ".part", shape, kind); os.rename(path + ".part", path)
                print(path, os.path.getsize(path) >> 20, "MiB", flush=True)
