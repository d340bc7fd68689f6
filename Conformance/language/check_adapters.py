# SPDX-License-Identifier: Apache-2.0
"""check_adapters.py MARTLET - low-rank adapters over HTTP against transformers with the same weights merged: every
adapter's log-probabilities of a text (keys and values in f32), and that answers are the same alone and in one batch of all; loading and unloading.
Last line: "N passed, M failed"."""
import concurrent.futures, json, os, socket, subprocess, sys, tempfile, time, urllib.request
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig
from families import SIZES, make
from gguf_cases import tokenizer
martlet, results, COUNT = sys.argv[1], [], 40


def check(name, good, detail=""):
    results.append(bool(good))
    print(f"{'pass' if good else 'FAIL'}  {name}  {detail}", flush=True)


def post(base, path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer: return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error: return error.code, error.read().decode()


def adapter(folder, model, seed, rank, stabilized):
    """Writes an adapter as PEFT does, and answers the model with it merged."""
    torch.manual_seed(seed)
    alpha, tensors, merged = 2 * rank, {}, {k: v.clone() for k, v in model.state_dict().items()}
    for name, weight in model.state_dict().items():
        if "_proj" not in name: continue
        a, b = torch.randn(rank, weight.shape[1]) * 0.2, torch.randn(weight.shape[0], rank) * 0.2
        stem = "base_model.model." + name.removesuffix(".weight")
        tensors[stem + ".lora_A.weight"], tensors[stem + ".lora_B.weight"] = a, b
        merged[name] += (b @ a) * (alpha / (rank ** 0.5 if stabilized else rank))
    os.makedirs(folder)
    save_file(tensors, os.path.join(folder, "adapter_model.safetensors"))
    with open(os.path.join(folder, "adapter_config.json"), "w") as file:
        json.dump({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": alpha, "use_rslora": stabilized,
                   "target_modules": "all-linear", "bias": "none", "use_dora": False, "rank_pattern": {}, "modules_to_save": None}, file)
    return merged


def scores(model, tokens):
    with torch.inference_mode(): logits = model(torch.tensor([tokens])).logits[0].log_softmax(-1)
    return [float(logits[i, t]) for i, t in enumerate(tokens[1:])]


def main():
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "base")
        model = make(LlamaConfig(**SIZES), 5)
        model.save_pretrained(source); tokenizer(source, SIZES["vocab_size"])
        prompt = [(7 * n) % 300 + 10 for n in range(60)]
        expected = {"base": scores(model, prompt)}
        for number in range(4):
            merged = adapter(os.path.join(folder, f"a{number}"), model, number, 2 + 3 * number, number == 2)
            other = make(LlamaConfig(**SIZES), 5); other.load_state_dict(merged)
            expected[f"a{number}"] = scores(other, prompt)
        with socket.socket() as s: s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
        server = subprocess.Popen([martlet, "serve", source, "--http-port", str(port), "--grpc-port", "-1", "--metrics-port", "-1", "--max-loras", "3", "--allow-adapter-updates", "--kv-cache-dtype", "f32",
                                   "--lora-modules", *[f"a{n}={folder}/a{n}" for n in range(3)]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        base = f"http://127.0.0.1:{port}"
        try:
            for _ in range(200):
                try: urllib.request.urlopen(base + "/v2/health/ready"); break
                except OSError: time.sleep(0.05)
            models = {m["id"]: m["parent"] for m in json.load(urllib.request.urlopen(base + "/v1/models"))["data"]}
            check("models are listed with their parent", models == {"base": None, "a0": "base", "a1": "base", "a2": "base"}, models)

            def ask(name):
                text = post(base, "/v1/completions", {"model": name, "prompt": prompt, "max_tokens": COUNT, "temperature": 0, "ignore_eos": True})[1]
                return json.loads(text)["choices"][0]["text"]

            def apart(name):
                text = post(base, "/v1/completions", {"model": name, "prompt": prompt, "max_tokens": 0, "echo": True, "logprobs": 0})[1]
                found = json.loads(text)["choices"][0]["logprobs"]["token_logprobs"][1:]
                return max(abs(a - b) for a, b in zip(found, expected[name], strict=True))
            spread = max(abs(a - b) for a, b in zip(expected["a0"], expected["a1"]))
            for name in ("base", "a0", "a1", "a2"):
                check(f"{name}: log-probabilities as the merged model", apart(name) < 0.0005, f"{apart(name):.4f} apart; adapters differ by {spread:.1f}")
            alone = {name: ask(name) for name in ("base", "a0", "a1", "a2")}
            check("adapters change the text", len(set(alone.values())) == 4)
            names = ["a1", "base", "a2", "base:a0", "a0", "a2", "base", "base:a1"] * 3
            info = lambda: [line for line in urllib.request.urlopen(base + "/metrics").read().decode().splitlines()
                            if line.startswith("vllm:lora_requests_info{")]
            with concurrent.futures.ThreadPoolExecutor(24) as pool:
                waiting, seen = [pool.submit(ask, name) for name in names], []
                while not all(w.done() for w in waiting): seen += info()
                answers = [w.result() for w in waiting]
            check("metrics tell which adapters are in use", any('running_lora_adapters="a0,a1,a2"' in line for line in seen) and
                  len(info()) == 1 and 'max_lora="3"' in info()[0] and 'running_lora_adapters=""' in info()[0], info())
            wrong = [n for n, a in zip(names, answers) if a != alone[n.split(":")[-1]]]
            check("24 requests of four kinds in one batch answer as each alone", not wrong, wrong)
            status, said = post(base, "/v1/load_lora_adapter", {"lora_name": "a3", "lora_path": f"{folder}/a3"})
            check("no fourth where three have room", status >= 400, said)
            status, said = post(base, "/v1/unload_lora_adapter", {"lora_name": "a0"})
            check("unloaded", status == 200 and "a0" in said, said)
            check("gone", post(base, "/v1/completions", {"model": "a0", "prompt": "x"})[0] == 404)
            status, said = post(base, "/v1/load_lora_adapter", {"lora_name": "a3", "lora_path": f"{folder}/a3"})
            check("loaded while serving", status == 200 and apart("a3") < 0.0005, said)
            check("a folder that is none is an error", post(base, "/v1/load_lora_adapter", {"lora_name": "b", "lora_path": "/nowhere"})[0] in (400, 404))
        finally:
            server.terminate(); server.wait()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) and results else 1)


main()
