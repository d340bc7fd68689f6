#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""serve.py MARTLET LLAMA_SERVER FOLDER WHAT [ARGUMENT...] - language models behind their servers, beside llama.cpp's:
the same files, threads and requests, turn by turn (ROUNDS=2, THREADS=all), and the ratios. FOLDER is make_served.py's.

  clients MODEL COUNT...   COUNT streaming clients, each twice or more: prompts of about 123 tokens, 64 out, greedy
  shared [CLIENTS]         prompts of 1 000 tokens that share 900, 16 out; 8 clients after one that came before
  copy                     one client, a text that copies itself but for one token in ten, beside llama.cpp with and without guesses
  start MODEL...           from the program's start to the first token, and peak memory
  adapters                 32 clients with none, and with 8 adapters

`clients 125m-hf COUNT...` (BF16) is measured beside vLLM's CPU build; VLLM names a Python with it.
"""
import json, os, random, resource, signal, socket, statistics, subprocess, sys, time, urllib.request
from streams import figures, load
martlet, llama, folder, what, *arguments = sys.argv[1:]
THREADS, ROUNDS = os.environ.get("THREADS", str(len(os.sched_getaffinity(0)))), int(os.environ.get("ROUNDS", "2"))
WORDS = ("def return self import class none true false for while with open file data value list dict index error raise except assert print string "
         "bytes object method lambda yield async await range length buffer parse token stream socket server client request response header cache "
         "page block layer weight batch queue thread lock atomic memory").split()
COMPLETIONS = "/v1/completions"


class Server:
    """A server for as long as a `with` lasts; `seconds` it took to be ready."""

    def __init__(self, kind, model, slots=1, context=512, more=(), adapters=0, keep=True):
        with socket.socket() as s: s.bind(("127.0.0.1", 0)); self.port = s.getsockname()[1]
        path = os.path.join(folder, model + ("" if model.endswith("-hf") else ".gguf"))
        port, self.kind, environment = str(self.port), kind, dict(os.environ)
        if kind == "martlet":
            command = [martlet, "serve", path, "--http-port", port, "--grpc-port", "-1", "--metrics-port", "-1", "--threads", THREADS,
                       "--log-level", "warning", "--plan-cache", os.path.join(folder, "kept") if keep else "off"]
            if adapters: command += ["--lora-modules"] + [f"a{i}={folder}/lora/{i}" for i in range(adapters)]
        elif kind == "llama.cpp":
            command = [llama, "-m", path, "--host", "127.0.0.1", "--port", port, "-t", THREADS, "-tb", THREADS, "-np", str(slots),
                       "-c", str(context * slots), "-fa", "on", "--no-ui"]
            if adapters: command += ["--lora-init-without-apply", "--lora", ",".join(f"{folder}/lora/{i}.gguf" for i in range(adapters))]
        else:
            command = [os.environ["VLLM"], "-m", "vllm.entrypoints.openai.api_server", "--model", path, "--host", "127.0.0.1", "--port", port, "--dtype", "bfloat16",
                       "--max-model-len", "1024", "--max-num-seqs", "32", "--enforce-eager", "--no-enable-prefix-caching", "--disable-uvicorn-access-log"]
            environment |= {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_LOGGING_LEVEL": "ERROR", "VLLM_CPU_OMP_THREADS_BIND": f"0-{int(THREADS) - 1}", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        self.command, self.environment = command + list(more), environment

    def __enter__(self):
        start = time.perf_counter()
        self.log = open(os.path.join(folder, f"{self.kind}.log"), "w")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env=self.environment, start_new_session=True)
        ready = "/v2/health/ready" if self.kind == "martlet" else "/health"
        while True:
            if self.process.poll() is not None: raise SystemExit(f"{self.kind} ended: {open(self.log.name).read()[-800:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{ready}", timeout=5): break
            except OSError: time.sleep(0.002)
        self.seconds = time.perf_counter() - start
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models") as answer: self.name = json.load(answer)["data"][0]["id"]
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGTERM)
        try: self.process.wait(10)
        except subprocess.TimeoutExpired: os.killpg(self.process.pid, signal.SIGKILL); self.process.wait()

    def memory(self):
        """Peak memory of the server's processes, in MiB."""
        total = 0
        for line in subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)], capture_output=True, text=True).stdout.split():
            text = open(f"/proc/{line}/status").read()
            total += int(text.split("VmHWM:")[1].split()[0]) // 1024
        return total

    def processor(self):
        return sum(sum(map(int, open(f"/proc/{p}/stat").read().rsplit(")", 1)[1].split()[11:13]))
                   for p in subprocess.run(["ps", "-o", "pid=", "-s", str(self.process.pid)], capture_output=True, text=True).stdout.split()) / os.sysconf("SC_CLK_TCK")

    def ask(self, prompts, clients, tokens, **fields):
        """Figures of these prompts; a list of fields goes round."""
        bodies = []
        for i, prompt in enumerate(prompts):
            body = {"model": self.name, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True,
                    "stream_options": {"include_usage": True}, "seed": i}
            bodies.append(body | {k: v[i % len(v)] if isinstance(v, list) else v for k, v in fields.items()})
        before, mine = self.processor(), resource.getrusage(resource.RUSAGE_SELF).ru_utime + resource.getrusage(resource.RUSAGE_SELF).ru_stime
        results, seconds = load(self.port, COMPLETIONS, bodies, clients)
        made = figures(results, seconds)
        # Of one client: tokens after the first, by the time that they took.
        made["decode"] = sum(r["tokens"] - 1 for r in results) / max(sum(r["times"][-1] - r["times"][0] for r in results), 1e-9)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return made | {"cpu": self.processor() - before, "client": usage.ru_utime + usage.ru_stime - mine, "seconds": seconds,
                       "memory": self.memory(), "start": self.seconds}


def text(source, words): return " ".join(source.choice(WORDS) for _ in range(words))


def median(rounds): return {k: statistics.median(r[k] for r in rounds) for k in rounds[0]}


def show(label, by):
    """A line for each server, and ratios of the first to the others."""
    names = list(by)
    for name in names:
        f = median(by[name])
        print(f"{label:26} {name:18} {f['rate']:7.1f} tok/s (a stream {f['decode']:6.1f})  first {f['ttft50']:7.1f} / {f['ttft95']:7.1f} ms  between {f['itl50']:6.2f} / {f['itl99']:6.2f} ms "
              f"({f['itl99'] / max(f['itl50'], 1e-9):.1f})  prompt {f['prompt']:.0f} ({f['cached']:.0f} cached)  {f['memory']:.0f} MiB  ready {f['start']:.2f} s  "
              f"cpu {f['cpu']:.1f} + {f['client']:.1f} of {f['seconds']:.1f} s", flush=True)
    ours = median(by[names[0]])
    for name in names[1:]:
        f = median(by[name])
        print(f"{label:26} against {name:10} {ours['rate'] / f['rate']:.2f}x tokens/s (a stream {ours['decode'] / f['decode']:.2f}x), first token {f['ttft50'] / ours['ttft50']:.2f}x (median) {f['ttft95'] / ours['ttft95']:.2f}x (95 %), "
              f"memory {ours['memory'] / f['memory']:.2f}x", flush=True)


def peers(model): return ["martlet", "vLLM" if model.endswith("-hf") else "llama.cpp"]


def clients(model, *counts):
    for count in map(int, counts):
        by = {kind: [] for kind in peers(model)}
        for turn in range(ROUNDS):
            for kind in by:
                source = random.Random(turn)
                prompts = [text(source, 120) for _ in range(max(4, 2 * count))]
                with Server(kind, model, slots=count) as server:
                    server.ask([text(random.Random(99), 120)], 1, 4)
                    by[kind].append(server.ask(prompts, count, 64))
        show(f"{model}, {count} clients", by)


def shared(count="8"):
    by, count = {}, int(count)
    for turn in range(ROUNDS):
        for kind in ["martlet", "martlet, no sharing", "llama.cpp"]:
            source = random.Random(turn)
            common = text(source, 900)
            prompts = [common + " " + text(source, 100) for _ in range(1 + count)]
            fields = {"cache_salt": [str(i) for i in range(count)]} if "no" in kind else {}
            with Server(kind.split(",")[0], "125m-Q4_0", slots=count, context=2048) as server:
                server.ask(prompts[:1], 1, 4)
                by.setdefault(kind, []).append(server.ask(prompts[1:], count, 16, **fields))
    show(f"90 % shared, {count} clients", by)


def copy():
    from make_served import COPIES, DOCUMENT, VOCABULARY, document_tokens
    document, by = [int(t) for t in document_tokens()], {}
    for turn in range(ROUNDS):
        source, prompts = random.Random(turn), []
        for _ in range(8):
            place, prompt = source.randrange(DOCUMENT), []
            while len(prompt) < 2 * DOCUMENT:
                token = document[place % DOCUMENT] if source.random() < COPIES else source.randrange(300, VOCABULARY)
                prompt.append(token)
                place = (document.index(token) if token in document else token * 37) + 1
            prompts.append(prompt)
        for kind, more in (("martlet", ()), ("llama.cpp", ()), ("llama.cpp, ngram", ("--spec-type", "ngram-simple"))):
            with Server(kind.split(",")[0], "125m-copy", context=1024, more=more) as server:
                server.ask(prompts[:1], 1, 4, temperature=1.0)
                by.setdefault(kind, []).append(server.ask(prompts, 1, 128, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0))
    show("copying", by)


def start(*models):
    for model in models:
        size = os.path.getsize(os.path.join(folder, model + ".gguf")) / 2**20
        for kind, keep in (("martlet", True), ("martlet", False), ("llama.cpp", True)):
            rounds = []
            for _ in range(ROUNDS + 1):
                with Server(kind, model, keep=keep) as server: rounds.append(server.ask([text(random.Random(1), 10)], 1, 2))
            f = median(rounds[1:])
            print(f"{model:10} {kind:10} {'kept' if keep and kind == 'martlet' else '':5} ready {f['start']:.3f} s, first token {f['ttft50']:.0f} ms later; "
                  f"peak {f['memory']:.0f} MiB, {f['memory'] / size:.2f} of the file", flush=True)


def adapters():
    by = {}
    for turn in range(ROUNDS):
        for kind, count in (("martlet", 0), ("martlet", 8), ("llama.cpp", 0), ("llama.cpp", 8)):
            source = random.Random(turn)
            prompts = [text(source, 120) for _ in range(32)]
            with Server(kind, "125m-Q4_0", slots=32, adapters=8) as server:
                fields = {}
                if count: fields = {"model": [f"a{i}" for i in range(8)]} if kind == "martlet" else {"lora": [[{"id": i, "scale": 1.0}] for i in range(8)]}
                server.ask([text(random.Random(99), 120)], 1, 4)
                by.setdefault(f"{kind}, {count}", []).append(server.ask(prompts, 32, 64, **fields))
    show("adapters, 32 clients", by)


print(f"{THREADS} threads, {ROUNDS} rounds, load {os.getloadavg()[0]:.1f}")
{"clients": clients, "shared": shared, "copy": copy, "start": start, "adapters": adapters}[what](*arguments)
