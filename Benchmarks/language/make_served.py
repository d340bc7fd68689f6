#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_served.py FOLDER [NAME...] - the models that serve.py serves: make_models.py's, with a vocabulary.

125m-Q4_0.gguf and 1b-Q4_0.gguf as there. 125m-copy.gguf is as large and as slow, but copies: its attention and
inner layers add nothing, its embeddings are +1 and -1, and its head makes the next token of a document of 200
likely by nine to one; a token from anywhere else leads back into the document. 125m-hf is a Hugging Face folder in
BF16, lora/0 to lora/7 are adapters of rank 16 for every product of the 125 M models (PEFT's files; lora/0.gguf
the same ones for llama.cpp). The vocabulary: byte pairs of the sources of Python's standard library.
Needs gguf, numpy, safetensors and tokenizers.
"""
import glob, json, os, struct, sys, sysconfig
import gguf, numpy as np
from make_models import SHAPES, blocks, make, rng
from safetensors.numpy import save_file

HIDDEN, LAYERS, HEADS, KV, INNER, VOCABULARY = SHAPES["125m"]
HEAD = HIDDEN // HEADS
DOCUMENT, COPIES = 200, 0.9
SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>"]
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def tokenizer(path):
    """tokenizer.json, trained once: pairs of bytes, split as Llama 3 splits."""
    if os.path.exists(path): return json.load(open(path))
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    made = Tokenizer(models.BPE(ignore_merges=True))
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    files = sorted(glob.glob(os.path.join(sysconfig.get_paths()["stdlib"], "*", "*.py")))
    texts = (open(f, encoding="utf-8", errors="replace").read() for f in files if "site-packages" not in f)
    made.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIALS, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    if made.get_vocab_size() < VOCABULARY: made.add_tokens([f"<unused{i}>" for i in range(VOCABULARY - made.get_vocab_size())])
    made.save(path)
    return json.load(open(path))


def write_vocabulary(data):
    def write(out):
        names = data["model"]["vocab"] | {t["content"]: t["id"] for t in data["added_tokens"]}
        tokens = sorted(names, key=names.get)
        special = {t["id"] for t in data["added_tokens"]}
        out.add_tokenizer_model("gpt2"); out.add_tokenizer_pre("llama-bpe"); out.add_token_list(tokens)
        out.add_token_types([gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(tokens))])
        out.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in data["model"]["merges"]])
        out.add_bos_token_id(0); out.add_eos_token_id(1); out.add_add_bos_token(True)
    return write


def document_tokens(): return np.random.default_rng(2).permutation(np.arange(300, VOCABULARY))[:DOCUMENT]


def make_copying(path, write):
    signs = np.random.default_rng(3).integers(0, 2, (VOCABULARY, HIDDEN)).astype(np.uint8)
    document = document_tokens()
    # Any other token means what some token of the document means.
    others = np.setdiff1d(np.arange(VOCABULARY), document)
    signs[others] = signs[document[others * 37 % DOCUMENT]]
    rows = np.zeros((VOCABULARY, HIDDEN), np.int8)
    rows[np.roll(document, -1)] = signs[document].astype(np.int8) * 2 - 1
    # All logits but one are 0 or near it.
    gap = np.log(COPIES / (1 - COPIES) * VOCABULARY)
    scale = gap / HIDDEN
    out = gguf.GGUFWriter(path, "llama")
    out.add_block_count(LAYERS); out.add_context_length(4096); out.add_embedding_length(HIDDEN)
    out.add_feed_forward_length(INNER); out.add_head_count(HEADS); out.add_head_count_kv(KV)
    out.add_layer_norm_rms_eps(1e-5); out.add_rope_dimension_count(HEAD); out.add_vocab_size(VOCABULARY)
    write(out)
    def matrix(name, data, kind): out.add_tensor(name + ".weight", data, raw_dtype=gguf.GGMLQuantizationType[kind])
    def norm(name): out.add_tensor(name + ".weight", np.ones(HIDDEN, np.float32))
    def silent(rows, columns):
        data = blocks("Q4_0", rows, columns).copy(); data.reshape(-1, 18)[:, 0:2] = 0
        return data
    # Q4_0: the scale 1/4 and nibbles of 8 ± 4.
    nibbles = (signs * 8 + 4).reshape(-1, 2, 16)
    data = np.empty((len(nibbles), 18), np.uint8)
    data[:, 0:2] = np.frombuffer(np.float16(0.25).tobytes(), np.uint8)
    data[:, 2:] = nibbles[:, 0] | nibbles[:, 1] << 4
    matrix("token_embd", data.reshape(VOCABULARY, -1), "Q4_0")
    for i in range(LAYERS):
        norm(f"blk.{i}.attn_norm"); norm(f"blk.{i}.ffn_norm")
        for name, height, width in (("attn_q", HIDDEN, HIDDEN), ("attn_k", KV * HEAD, HIDDEN), ("attn_v", KV * HEAD, HIDDEN),
                                    ("ffn_gate", INNER, HIDDEN), ("ffn_up", INNER, HIDDEN)):
            matrix(f"blk.{i}.{name}", blocks("Q4_0", height, width), "Q4_0")
        matrix(f"blk.{i}.attn_output", silent(HIDDEN, HIDDEN), "Q4_0"); matrix(f"blk.{i}.ffn_down", silent(HIDDEN, INNER), "Q4_0")
    norm("output_norm")
    # Q6_K: 6 bits less 32 times 8-bit scales of 1 times f16: 32 + 16, 32 and 32 - 16 have no low four bits.
    high = (rows + 2).astype(np.uint8).reshape(-1, 2, 4, 32)
    data = np.zeros((len(high), 210), np.uint8)
    data[:, 128:192] = (high[:, :, 0] | high[:, :, 1] << 2 | high[:, :, 2] << 4 | high[:, :, 3] << 6).reshape(-1, 64)
    data[:, 192:208] = 1
    data[:, 208:210] = np.frombuffer(np.float16(scale / 16).tobytes(), np.uint8)
    matrix("output", data.reshape(VOCABULARY, -1), "Q6_K")
    out.write_header_to_file(); out.write_kv_data_to_file(); out.write_tensors_to_file(); out.close()


PRODUCTS = {"self_attn.q_proj": (HIDDEN, HIDDEN, "attn_q"), "self_attn.k_proj": (KV * HEAD, HIDDEN, "attn_k"),
            "self_attn.v_proj": (KV * HEAD, HIDDEN, "attn_v"), "self_attn.o_proj": (HIDDEN, HIDDEN, "attn_output"),
            "mlp.gate_proj": (INNER, HIDDEN, "ffn_gate"), "mlp.up_proj": (INNER, HIDDEN, "ffn_up"), "mlp.down_proj": (HIDDEN, INNER, "ffn_down")}


def plain(height, width): return rng.standard_normal((height, width), dtype=np.float32) * np.float32(width ** -0.5)


def make_folder(path, data):
    os.makedirs(path)
    ones = np.ones(HIDDEN, np.float32)
    tensors = {"model.embed_tokens.weight": plain(VOCABULARY, HIDDEN), "lm_head.weight": 2 * plain(VOCABULARY, HIDDEN), "model.norm.weight": ones}
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        tensors |= {at + "input_layernorm.weight": ones, at + "post_attention_layernorm.weight": ones}
        tensors |= {at + name + ".weight": plain(height, width) for name, (height, width, _) in PRODUCTS.items()}
    head, end = {"__metadata__": {"format": "pt"}}, 0
    for name, value in tensors.items():
        head[name] = {"dtype": "BF16", "shape": value.shape, "data_offsets": [end, end + 2 * value.size]}; end += 2 * value.size
    head = json.dumps(head).encode(); head += b" " * (-len(head) % 8)
    with open(os.path.join(path, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for value in tensors.values(): file.write((value.view(np.uint32) >> 16).astype(np.uint16).tobytes())
    json.dump({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
               "num_attention_heads": HEADS, "num_key_value_heads": KV, "intermediate_size": INNER, "vocab_size": VOCABULARY,
               "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
               "tie_word_embeddings": False, "torch_dtype": "bfloat16", "bos_token_id": 0, "eos_token_id": 1}, open(os.path.join(path, "config.json"), "w"))
    json.dump(data, open(os.path.join(path, "tokenizer.json"), "w"))
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIALS[0], "eos_token": SPECIALS[1]}, open(os.path.join(path, "tokenizer_config.json"), "w"))


def make_adapter(path, rank=16):
    os.makedirs(path, exist_ok=True)
    pairs = {(i, name): (plain(rank, width), plain(height, rank) * np.float32(0.1))
             for i in range(LAYERS) for name, (height, width, _) in PRODUCTS.items()}
    tensors = {}
    for (i, name), (down, up) in pairs.items():
        at = f"base_model.model.model.layers.{i}.{name}.lora_"
        tensors |= {at + "A.weight": down, at + "B.weight": up}
    save_file(tensors, os.path.join(path, "adapter_model.safetensors"))
    json.dump({"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": "all-linear", "bias": "none"}, open(os.path.join(path, "adapter_config.json"), "w"))
    out = gguf.GGUFWriter(path + ".gguf", "llama")
    out.add_type("adapter"); out.add_string("adapter.type", "lora"); out.add_float32("adapter.lora.alpha", float(rank))
    for (i, name), (down, up) in pairs.items():
        at = f"blk.{i}.{PRODUCTS[name][2]}.weight.lora_"
        out.add_tensor(at + "a", down.astype(np.float16)); out.add_tensor(at + "b", up.astype(np.float16))
    out.write_header_to_file(); out.write_kv_data_to_file(); out.write_tensors_to_file(); out.close()


def main():
    folder, wanted = sys.argv[1], sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    data = tokenizer(os.path.join(folder, "tokenizer.json"))
    write = write_vocabulary(data)
    makers = {"125m-Q4_0.gguf": lambda p: make(p, "125m", "Q4_0", write), "1b-Q4_0.gguf": lambda p: make(p, "1b", "Q4_0", write),
              "125m-copy.gguf": lambda p: make_copying(p, write), "125m-hf": lambda p: make_folder(p, data)}
    makers |= {f"lora/{i}": make_adapter for i in range(8)}
    for name, maker in makers.items():
        path = os.path.join(folder, name)
        if (wanted and name not in wanted) or os.path.exists(path): continue
        if "lora" in name: maker(path)
        else: maker(path + ".part"); os.rename(path + ".part", path)
        print(path, flush=True)


if __name__ == "__main__":
    main()
