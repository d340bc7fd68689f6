#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check_decoders.py MARTLET [NAME...] - decoders against transformers in f32, on random weights of every family.

For each: logits of a 40-token prompt within TOLERANCE of the largest logit; 200 greedy tokens the same;
the same bits whatever the prompt's chunks; as stored and with an f16 cache within the bounds of LOOSE. GGUF files of every
block type, and those that `martlet quantize` writes, against transformers with the weights that gguf-py decodes: where products
round activations to 8 bits, against transformers that rounds them so too. Last line: "N passed, M failed".
"""
import copy, os, subprocess, sys, tempfile
import numpy as np, torch
from families import families, make
TOLERANCE, STEPS = 1e-5, 200
LOOSE = {"f16": 5e-3, "bf16": 4e-2}  # by what activations are rounded to; largest error of the largest logit
ROUNDED = 3e-3  # 8 bits: root mean square of the difference; a value that rounds the other way is a step off
martlet, wanted = sys.argv[1], sys.argv[2:]
results = []


def check(name, good, detail=""):
    results.append(good)
    print(f"{'pass' if good else 'FAIL'}  {name}  {detail}", flush=True)


def decode(path, prompt, count, *options):
    with tempfile.NamedTemporaryFile() as file:
        run = subprocess.run([martlet, "decode", path, "--tokens", ",".join(map(str, prompt)), "--max-tokens", str(count),
                              "--logits", file.name, *options], capture_output=True, text=True, timeout=120)
        if run.returncode: raise RuntimeError(run.stderr.strip()[-400:])
        tokens = [int(t) for t in run.stdout.strip().split(",") if t]
        return tokens, np.fromfile(file.name, dtype=np.float32).reshape(len(prompt), -1)


def reference(model, prompt, count):
    with torch.inference_mode():
        out = model(torch.tensor([prompt]), use_cache=True)
        logits, tokens = out.logits[0].float().numpy(), []
        for _ in range(count):
            tokens.append(int(out.logits[0, -1].argmax()))
            out = model(torch.tensor([[tokens[-1]]]), past_key_values=out.past_key_values, use_cache=True)
    return tokens, logits


def round_groups(_, arguments):
    """Activations as 8 bits by groups of 32 with a scale each."""
    groups = arguments[0].reshape(*arguments[0].shape[:-1], -1, 32)
    scale = groups.abs().amax(-1, keepdim=True) / 127
    return ((groups / scale.clamp(min=1e-30)).round() * scale).reshape(arguments[0].shape), *arguments[1:]


def rounded_logits(model, prompt):
    hooks = [m.register_forward_pre_hook(round_groups) for m in model.modules() if isinstance(m, torch.nn.Linear)]
    with torch.inference_mode(): logits = model(torch.tensor([prompt])).logits[0].float().numpy()
    for hook in hooks: hook.remove()
    return logits


def compare(name, path, model, vocabulary, precise=("--precision", "f32", "--cache", "f32")):
    prompt = np.random.default_rng(7).integers(1, vocabulary, 40).tolist()
    tokens, logits = reference(model, prompt, STEPS)
    try:
        ours, got = decode(path, prompt, STEPS, *precise)
    except RuntimeError as error:
        return check(name, False, str(error))
    largest = np.abs(logits).max()
    error = np.abs(got - logits).max() / largest
    check(f"{name}: logits", error < TOLERANCE, f"error {error:.1e} of the largest, {largest:.1f}")
    same = next((i for i, (a, b) in enumerate(zip(tokens, ours)) if a != b), min(len(tokens), len(ours)))
    check(f"{name}: greedy", tokens == ours, f"{same} of {STEPS} the same")
    again = [decode(path, prompt, 1, *precise, "--chunk", str(chunk))[1] for chunk in (1, 7, 13)]
    check(f"{name}: chunks", all(np.array_equal(got, other) for other in again), "the same bits")
    _, narrow = decode(path, prompt, 1)
    error = np.abs(narrow - logits).max() / largest
    if "-Q" in name:
        rounded = rounded_logits(model, prompt)
        own = np.abs(rounded - logits).max() / largest
        apart = np.sqrt(((decode(path, prompt, 1, "--cache", "f32")[1] - rounded) ** 2).mean()) / largest
        check(f"{name}: as stored", apart < ROUNDED, f"{apart:.1e} from transformers with activations of 8 bits, whose own error is {own:.1e}")
        check(f"{name}: f16 cache", error < 1.5 * own, f"error {error:.1e}")
        return
    kind = "bf16" if "bf16" in name.lower() else "f16"
    check(f"{name}: as stored, f16 cache", error < LOOSE[kind], f"error {error:.1e}, activations of {kind}")


def long_positions(folder):
    """LongRoPE: short factors where the context served is no longer than the trained one, long ones beyond."""
    from transformers import Phi3Config
    from families import SIZES
    config = Phi3Config(
        **{**SIZES, "max_position_embeddings": 256}, pad_token_id=0, sliding_window=None, original_max_position_embeddings=64,
        rope_parameters=dict(rope_type="longrope", rope_theta=10000.0, short_factor=[1 + 0.1 * i for i in range(8)],
                             long_factor=[2 + 0.3 * i for i in range(8)]))
    model, path = make(config, 3), os.path.join(folder, "phi3-longrope")
    model.save_pretrained(path)
    for length, options in ((40, ("--max-model-len", "64")), (100, ())):
        prompt = np.random.default_rng(7).integers(1, config.vocab_size, length).tolist()
        with torch.inference_mode(): logits = model(torch.tensor([prompt])).logits[0].numpy()
        got = decode(path, prompt, 1, "--precision", "f32", "--cache", "f32", *options)[1]
        error = np.abs(got - logits).max() / np.abs(logits).max()
        check(f"phi3-longrope: {length} tokens", error < TOLERANCE, f"error {error:.1e} of the largest")


def main():
    with tempfile.TemporaryDirectory() as folder:
        for seed, (name, config, options) in enumerate(families()):
            if wanted and not any(w in name for w in wanted): continue
            model = make(config, seed, **options)
            path = os.path.join(folder, name)
            # A copy: buffers of rotary angles would be rounded with the weights.
            copy.deepcopy(model).to(options.get("dtype", torch.float32)).save_pretrained(path, max_shard_size=options.get("shard", "5GB"))
            compare(name, path, model, config.vocab_size)
        if not wanted or any(w in "phi3-longrope" for w in wanted): long_positions(folder)
        try:
            import gguf_cases
        except ImportError as error:
            check("gguf", False, f"gguf-py is needed: {error}")
        else:
            for name, path, model, vocabulary in gguf_cases.cases(folder, wanted):
                compare(name, path, model, vocabulary)
            run = lambda *arguments: subprocess.run([martlet, *arguments], check=True, capture_output=True, timeout=120)
            for name, path, model, vocabulary in gguf_cases.quantized(folder, wanted, run, check):
                compare(name, path, model, vocabulary)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) and results else 1)


main()
