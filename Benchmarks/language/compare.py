#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""compare.py MARTLET LLAMA_BENCH FOLDER [MODEL...] - prefill and decoding beside llama.cpp: the same files and
threads, turn by turn, medians, and the ratio. MODEL is a file's name without .gguf; all of FOLDER otherwise."""
import glob, json, os, re, statistics, subprocess, sys
martlet, llama, folder, wanted = *sys.argv[1:4], sys.argv[4:]
PROMPT, GENERATE, ROUNDS, THREADS = 512, 64, 3, os.environ.get("THREADS", str(len(os.sched_getaffinity(0))))


def ours(path):
    text = subprocess.run([martlet, "decode", path, "--bench", "--prompt", str(PROMPT), "--generate", str(GENERATE),
                           "--repeats", "1", "--threads", THREADS], capture_output=True, text=True, check=True).stdout
    return [float(re.search(rf"^{kind}\S+ ([\d.]+)", text, re.M).group(1)) for kind in ("pp", "tg")]


def theirs(path):
    text = subprocess.run([llama, "-m", path, "-t", THREADS, "-p", str(PROMPT), "-n", str(GENERATE), "-r", "1", "-fa", "1", "-o", "json"],
                          capture_output=True, text=True, check=True).stdout
    rates = {bool(r["n_prompt"]): r["avg_ts"] for r in json.loads(text)}
    return [rates[True], rates[False]]


print(f"{THREADS} threads; tokens/s of a prompt of {PROMPT} and of {GENERATE} tokens after it; load {os.getloadavg()[0]:.1f}")
for path in sorted(glob.glob(os.path.join(folder, "*.gguf"))):
    name = os.path.basename(path)[:-5]
    if wanted and name not in wanted: continue
    rounds = [(ours(path), theirs(path)) for _ in range(ROUNDS)]
    for index, kind in enumerate((f"pp{PROMPT}", f"tg{GENERATE}")):
        a, b = (statistics.median(r[side][index] for r in rounds) for side in (0, 1))
        print(f"{name:14} {kind}  martlet {a:8.1f}  llama.cpp {b:8.1f}  {a / b:.2f}x", flush=True)
