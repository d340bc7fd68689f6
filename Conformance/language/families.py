# SPDX-License-Identifier: Apache-2.0
"""Tiny decoders of every family, with random weights that give clear choices, as transformers saves them."""
import torch
from transformers import (Gemma2Config, Gemma3TextConfig, LlamaConfig, MistralConfig, Phi3Config,
                          MixtralConfig, Qwen2Config, Qwen2MoeConfig, Qwen3Config, Qwen3MoeConfig, AutoModelForCausalLM)

SIZES = dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
             intermediate_size=160, vocab_size=331, max_position_embeddings=512,
             initializer_range=0.15, tie_word_embeddings=False)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=10000.0, **more))


def families():
    s = SIZES
    yield "llama", LlamaConfig(**s), {}
    yield "llama-one-kv-head", LlamaConfig(**{**s, "num_key_value_heads": 1}), {}
    yield "llama-odd-sizes", LlamaConfig(**{**s, "hidden_size": 60, "num_attention_heads": 5, "num_key_value_heads": 5, "intermediate_size": 75}), {}
    yield "llama-biases", LlamaConfig(**s, attention_bias=True, mlp_bias=True), {}
    yield "llama-bf16", LlamaConfig(**s), dict(dtype=torch.bfloat16)
    yield "llama-f16-shards", LlamaConfig(**s), dict(dtype=torch.float16, shard="100KB")
    yield "smollm-tied", LlamaConfig(**{**s, "tie_word_embeddings": True}), {}
    yield "llama3-scaling", LlamaConfig(**s, **rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)), {}
    yield "linear-scaling", LlamaConfig(**s, **rope("linear", factor=4.0)), {}
    yield "dynamic-scaling", LlamaConfig(**s, **rope("dynamic", factor=4.0)), {}
    yield "yarn-scaling", LlamaConfig(**s, **rope("yarn", factor=4.0, original_max_position_embeddings=128)), {}
    yield "mistral", MistralConfig(**s, sliding_window=None), {}
    yield "mistral-window", MistralConfig(**s, sliding_window=24), {}
    yield "qwen2", Qwen2Config(**s), {}
    yield "qwen2-window", Qwen2Config(**s, use_sliding_window=True, sliding_window=20, max_window_layers=1), {}
    yield "qwen3", Qwen3Config(**s, head_dim=32), {}
    yield "gemma2", Gemma2Config(**{**s, "tie_word_embeddings": True, "num_hidden_layers": 4}, head_dim=32, query_pre_attn_scalar=24, sliding_window=24, attn_logit_softcapping=20.0, final_logit_softcapping=15.0), {}
    yield "gemma3", Gemma3TextConfig(**{**s, "tie_word_embeddings": True, "num_hidden_layers": 7}, head_dim=32, query_pre_attn_scalar=32, sliding_window=24), {}
    yield "mixtral", MixtralConfig(**s, num_local_experts=5, num_experts_per_tok=2, sliding_window=None), {}
    yield "qwen2-moe", Qwen2MoeConfig(**s, num_experts=6, num_experts_per_tok=3, moe_intermediate_size=48, shared_expert_intermediate_size=80), {}
    yield "qwen3-moe", Qwen3MoeConfig(**s, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=48, head_dim=32, norm_topk_prob=True, mlp_only_layers=[1]), {}
    yield "phi3", Phi3Config(**s, pad_token_id=0, sliding_window=None), {}
    yield "phi3-window", Phi3Config(**s, pad_token_id=0, sliding_window=30), {}


def make(config, seed, dtype=torch.float32, **_):
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1:  # norms and biases begin as ones and zeros: nothing would be seen of them
                weight.add_(torch.randn_like(weight) * 0.2)
        head = model.get_output_embeddings().weight
        if not config.tie_word_embeddings: head.mul_(3)
        # As stored, so that both sides compute from the same numbers.
        for weight in model.parameters(): weight.copy_(weight.to(dtype).float())
    return model
