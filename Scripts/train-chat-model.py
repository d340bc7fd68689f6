# SPDX-License-Identifier: Apache-2.0
"""Trains the small language model that ./run --chat talks with, on this project's own documents.

A Llama over 1 024 byte pairs learns README, Documentation and the comments of Sources: as plain text,
and as conversations in which somebody asks what a declaration or a section is about and its comment or
first paragraph answers. Nothing else is read, so that it knows of nothing else. Needs torch, tokenizers,
transformers; CPU only, minutes on two cores.

    python Scripts/train-chat-model.py FOLDER [--steps 1500] [--hidden 128] [--layers 4]

FOLDER becomes a Hugging Face folder in f32; `martlet quantize FOLDER FILE.gguf --type Q8_0` makes of it the
file in Examples/models.
"""

import argparse
import json
import math
import pathlib
import random
import re
import time

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

END, START, TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
KINDS = "struct|class|enum|protocol|actor|func|var|let|case|typealias|init"


def turns(question, answer):
    return f"{START}user\n{question}{TURN}\n{START}assistant\n{answer}{TURN}\n"


def comments(path):
    """The comments of a source file with what each is of: (kind, name, text)."""
    lines, text = path.read_text(errors="replace").splitlines(), []
    for line in lines:
        line = line.strip()
        if line.startswith("///"):
            text.append(line[3:].strip())
            continue
        if text:
            found = re.search(rf"\b({KINDS})\b\s*`?(\w*)", line)
            if found:
                yield found[1], found[2], re.sub(r"\s+", " ", " ".join(text)).strip()
            if not line.startswith("@"):
                text = []


def sections(path):
    """A document's headings, each with the paragraphs below it."""
    heading, body, fenced = path.stem, [], False
    for line in path.read_text().splitlines():
        fenced ^= line.startswith("```")
        if re.match(r"#+ ", line) and not fenced:
            yield heading, "\n".join(body).strip()
            heading, body = line.lstrip("# "), []
        else:
            body.append(line)
    yield heading, "\n".join(body).strip()


def corpus(root):
    """Texts to read, and conversations."""
    texts, talks = [], []
    documents = [root / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    for path in documents + sorted((root / "Documentation").rglob("*.md")):
        for heading, body in sections(path):
            if not body: continue
            texts.append(f"# {heading}\n{body}\n")
            first = re.sub(r"\s+", " ", body.split("\n\n")[0])
            if 30 < len(first) < 600 and "|" not in first and "```" not in first:
                talks += [turns(f"{ask}{heading}{mark}", first) for ask, mark in [("Tell me about ", "."), ("", "?")]]
    for path in sorted((root / "Sources").rglob("*.swift")):
        module, found = path.parts[len(root.parts) + 2], list(comments(path))
        if found: texts.append(f"{module}: " + " ".join(text for *_, text in found) + "\n")
        for kind, name, text in found:
            if kind in ("struct", "class", "enum", "protocol", "actor") and 20 < len(text) < 600:
                talks += [turns(f"What is {name}?", text), turns(f"Tell me about {name}.", text)]
    return texts, talks


def tokenizer(texts):
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1024, special_tokens=[END, START, TURN], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return made


def train(ids, wish):
    torch.manual_seed(3)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=1024, hidden_size=wish.hidden, intermediate_size=wish.hidden * 8 // 3 // 32 * 32,
        num_hidden_layers=wish.layers, num_attention_heads=wish.hidden // 32, num_key_value_heads=wish.hidden // 64,
        max_position_embeddings=1024, tie_word_embeddings=True, bos_token_id=0, eos_token_id=2, pad_token_id=0))
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(ids):,} tokens", flush=True)
    best = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.05)
    data, began = torch.tensor(ids), time.monotonic()
    for step in range(wish.steps):
        rate = min(1, (step + 1) / 50) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / wish.steps)))
        for group in best.param_groups: group["lr"] = 3e-3 * rate
        starts = torch.randint(0, len(data) - 257, (16,))
        loss = model(input_ids=torch.stack([data[s:s + 256] for s in starts]),
                     labels=torch.stack([data[s:s + 256] for s in starts])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        best.step(), best.zero_grad()
        if step % 50 == 0 or step == wish.steps - 1:
            print(f"step {step}: loss {loss.item():.3f}, {time.monotonic() - began:.0f} s", flush=True)
    return model


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    wish = parser.parse_args()
    texts, talks = corpus(pathlib.Path(__file__).resolve().parent.parent)
    random.seed(1)
    made = tokenizer(texts)
    pieces = [END + text for text in texts] + [END + talk for talk in talks]
    random.shuffle(pieces)
    model = train(made.encode("".join(pieces), add_special_tokens=False).ids, wish).eval()
    wish.folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(wish.folder)
    made.save(str(wish.folder / "tokenizer.json"))
    (wish.folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "chat_template": TEMPLATE, "bos_token": END, "eos_token": TURN, "model_max_length": 1024}))
    for question in ("What is GenerationScheduler?", "Tell me about Doors."):
        prompt = made.encode(turns(question, "").rsplit(TURN, 1)[0], add_special_tokens=False).ids
        out = model.generate(torch.tensor([prompt]), max_new_tokens=60, do_sample=False)
        print(f"> {question}\n{made.decode(out[0, len(prompt):].tolist())}")


main()
