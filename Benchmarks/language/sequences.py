#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sequences.py MARTLET LLAMA_BATCHED_BENCH MODEL [COUNT...] - decoding many sequences at once after 128 tokens each,
beside llama.cpp: turn by turn, medians of ROUNDS=3, tokens/s. llama.cpp with flash attention and a cache for each
sequence: with neither (its -kvu, and -fa off) it decodes 32 sequences at a third of the speed."""
import json, os, re, statistics, subprocess, sys
martlet, llama, model, *counts = sys.argv[1:]
THREADS, PROMPT, GENERATE = os.environ.get("THREADS", str(len(os.sched_getaffinity(0)))), "128", "64"


def ours(count):
    text = subprocess.run([martlet, "decode", model, "--bench", "--threads", THREADS, "--prompt", PROMPT, "--generate", GENERATE, "--sequences", count, "--repeats", "1"],
                          capture_output=True, text=True, check=True).stdout
    return float(re.search(r"^tg\S+ ([\d.]+)", text, re.M).group(1))


def theirs(count):
    text = subprocess.run([llama, "-m", model, "-t", THREADS, "-c", str(256 * int(count)), "-b", "2048", "-ub", "512", "-npp", PROMPT, "-ntg", GENERATE, "-npl", count,
                           "-fa", "on", "-no-kvu", "--output-format", "jsonl"], capture_output=True, text=True, check=True).stdout
    return json.loads(next(line for line in text.splitlines() if line.startswith("{")))["speed_tg"]


for count in counts or ["1", "4", "8", "16", "32"]:
    rounds = [(ours(count), theirs(count)) for _ in range(int(os.environ.get("ROUNDS", "3")))]
    a, b = (statistics.median(r[side] for r in rounds) for side in (0, 1))
    print(f"{count:>3} sequences  martlet {a:8.1f}  llama.cpp {b:8.1f}  {a / b:.2f}x", flush=True)
