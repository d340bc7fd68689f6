# SPDX-License-Identifier: Apache-2.0
"""GGUF files of every block type, and transformers models with the very weights that gguf-py reads from them."""
import os
import gguf, numpy as np, torch
from families import SIZES, make
from transformers import LlamaConfig, Qwen2Config, Qwen3Config

TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]
WIDE = {**SIZES, "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "initializer_range": 0.07}
NAMES = {"input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
         "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm"}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem in TOP: return f"{TOP[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.{kind}"


def interleave(weight, heads):  # what llama.cpp's converter does to Llama's queries and keys
    return weight.reshape(heads, 2, -1, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


def blocks(kind, weight, rng):
    """Bytes of the weight in a type. gguf-py cannot write K types: those get random blocks of the same size of values."""
    kind = gguf.GGMLQuantizationType[kind]
    try:
        return gguf.quants.quantize(weight, kind)
    except NotImplementedError:
        pass
    _, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (weight.size // 256, size), dtype=np.uint8)
    scale = np.float16(weight.std() / (300 if kind.name != "Q6_K" else 1100))
    if kind.name == "Q6_K":
        data[:, 208:210] = np.frombuffer(scale.tobytes(), np.uint8)
    else:
        data[:, 0:2] = np.frombuffer(scale.tobytes(), np.uint8)
        low = np.float16(float(scale) * (7.5 if kind.name == "Q4_K" else 15.5))  # minimums that balance the values
        data[:, 2:4] = np.frombuffer(low.tobytes(), np.uint8)
    return data.reshape(weight.shape[0], -1)


def write(path, arch, config, model, kind, rng):
    out = gguf.GGUFWriter(path, arch)
    out.add_block_count(config.num_hidden_layers); out.add_context_length(config.max_position_embeddings)
    out.add_embedding_length(config.hidden_size); out.add_feed_forward_length(config.intermediate_size)
    out.add_head_count(config.num_attention_heads); out.add_head_count_kv(config.num_key_value_heads)
    out.add_layer_norm_rms_eps(config.rms_norm_eps); out.add_rope_freq_base(config.rope_parameters["rope_theta"])
    out.add_key_length(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
    state = model.state_dict()
    for name, value in state.items():
        weight = value.float().numpy()
        if weight.ndim == 1:
            out.add_tensor(gguf_name(name), weight); continue
        data = blocks(kind, weight, rng)
        state[name] = torch.from_numpy(gguf.quants.dequantize(data, gguf.GGMLQuantizationType[kind]).astype(np.float32).reshape(weight.shape).copy())
        if arch == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            data = interleave(data, heads)
        out.add_tensor(gguf_name(name), data, raw_dtype=gguf.GGMLQuantizationType[kind])
    model.load_state_dict(state)
    out.write_header_to_file(); out.write_kv_data_to_file(); out.write_tensors_to_file(); out.close()


def tokenizer(folder, size):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator([open(__file__).read()], trainers.BpeTrainer(
        vocab_size=size, special_tokens=["<|end|>"], show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made.save(os.path.join(folder, "tokenizer.json"))
    return made


def quantized(folder, wanted, run, check):
    """Files that `martlet quantize` writes: blocks as gguf-py makes them, tokens, and models that hold them.
    `run` starts martlet, `check` takes a name, whether it is good, and what was seen."""
    for index, (arch, config) in enumerate([("llama", LlamaConfig(**WIDE)), ("qwen2", Qwen2Config(**WIDE)), ("qwen3", Qwen3Config(**WIDE, head_dim=64))]):
        source = os.path.join(folder, f"source-{arch}")
        model = make(config, 200 + index)
        model.save_pretrained(source)
        made = tokenizer(source, config.vocab_size)
        for kind in TYPES if arch == "llama" else ["Q8_0", "Q4_K"]:
            name = f"quantize-{arch}-{kind}"
            if wanted and not any(w in name for w in wanted): continue
            path = os.path.join(folder, name + ".gguf")
            run("quantize", source, path, "--type", kind)
            mask = os.umask(0); os.umask(mask)
            if kind == "Q8_0": check(f"{name}: readable as any file", os.stat(path).st_mode & 0o777 == 0o666 & ~mask)
            file = gguf.GGUFReader(path)
            stored = {t.name: t for t in file.tensors}
            state, worst, exact = make(config, 200 + index).state_dict(), 0.0, True
            for key, value in state.items():
                weight, found = value.float().numpy(), stored[gguf_name(key)]
                back = gguf.quants.dequantize(found.data, found.tensor_type).astype(np.float32).reshape(weight.shape)
                heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(key.split(".")[-2]) if arch == "llama" else None
                laid = interleave(weight, heads) if heads else weight
                try:
                    exact &= bool(np.array_equal(np.ascontiguousarray(found.data).view(np.uint8).ravel(), np.ascontiguousarray(gguf.quants.quantize(laid, found.tensor_type)).view(np.uint8).ravel()))
                except NotImplementedError:
                    worst = max(worst, float(np.sqrt(((back - laid) ** 2).mean() / (laid ** 2).mean())))
                if heads: back = back.reshape(heads, -1, 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)
                state[key] = torch.from_numpy(back.copy())
            bound = {"Q4_K": 0.085, "Q5_K": 0.045, "Q6_K": 0.025}.get(kind, 0.025)
            check(f"{name}: blocks", exact and worst < bound, f"those that gguf-py writes the same: {exact}; K error {worst:.3f}")
            tokens = [file.fields["tokenizer.ggml.tokens"].contents(i) for i in range(config.vocab_size)]
            ids = made.encode("def check(name): éa\U0001f600").ids
            check(f"{name}: tokens", tokens == [made.id_to_token(i) or f"[PAD{i}]" for i in range(config.vocab_size)] and len(ids) > 3)
            model.load_state_dict(state)
            yield name, path, model, config.vocab_size


def cases(folder, wanted):
    for index, (kind, arch, config) in enumerate([(t, "llama", LlamaConfig(**WIDE)) for t in TYPES] +
                                                 [("Q8_0", "qwen2", Qwen2Config(**WIDE)), ("Q4_K", "qwen3", Qwen3Config(**WIDE, head_dim=64))]):
        name = f"gguf-{arch}-{kind}"
        if wanted and not any(w in name for w in wanted): continue
        path = os.path.join(folder, name + ".gguf")
        model = make(config, 100 + index)
        write(path, arch, config, model, kind, np.random.default_rng(index))
        yield name, path, model, config.vocab_size
