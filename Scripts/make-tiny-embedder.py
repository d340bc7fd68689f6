# SPDX-License-Identifier: Apache-2.0
"""Makes the small sentence embedder that ./run serves where the real one cannot be fetched.

A BERT with one narrow layer and a vocabulary of the most frequent word pieces learns to place
sentences as all-MiniLM-L6-v2 does: for each batch the matrix of cosines between its sentences is
drawn towards the teacher's (similarity-preserving distillation, Tung and Mori 2019). The corpus is
documentation found on the machine. Needs torch, transformers, sentence-transformers, safetensors.

    python Scripts/make-tiny-embedder.py TEACHER_FOLDER Examples/models/tiny-embedder

prints the rank correlation of its cosines with the teacher's on held-out sentences.
"""

import collections
import glob
import json
import pathlib
import random
import re
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

teacher_folder, out = sys.argv[1], pathlib.Path(sys.argv[2])
vocabulary_size, width, sentences_max = 5000, 64, 40000
random.seed(5), torch.manual_seed(5)


def corpus():
    patterns = [
        "/usr/share/doc/**/*.md", "/usr/share/doc/**/README*", "/usr/share/doc/**/*.txt",
        "/usr/share/perl/**/*.pod", sys.prefix + "/lib/**/*.md", sys.prefix + "/lib/**/*.rst",
        "/root/.pyenv/versions/*/lib/python3*/**/*.py", sys.prefix + "/lib/python3*/site-packages/[a-t]*/**/*.py"]
    found = set()
    for pattern in patterns:
        for path in glob.glob(pattern, recursive=True)[:4000]:
            try:
                text = pathlib.Path(path).read_text(errors="strict")[:200000]
            except (OSError, UnicodeDecodeError):
                continue
            if path.endswith(".py"):
                text = "\n\n".join(re.findall(r'"""(.+?)"""', text, re.S))
            for block in re.split(r"\n\s*\n|(?<=[.!?])\s+(?=[A-Z])", text):
                line = " ".join(block.split())
                letters = sum(c.isalpha() or c == " " for c in line)
                if 30 <= len(line) <= 300 and letters > 0.85 * len(line) and line.count(" ") >= 5:
                    found.add(line)
    lines = sorted(found)
    random.shuffle(lines)
    return lines[:sentences_max]


lines = corpus()
print(len(lines), "sentences")
teacher = SentenceTransformer(teacher_folder, device="cpu")
teacher.max_seq_length = 64
with torch.no_grad():
    targets = torch.tensor(teacher.encode(lines, batch_size=64, normalize_embeddings=True))

full = json.loads((pathlib.Path(teacher_folder) / "tokenizer.json").read_text())
tokenizer = Tokenizer.from_file(str(pathlib.Path(teacher_folder) / "tokenizer.json"))
tokenizer.no_padding(), tokenizer.enable_truncation(64)
counts = collections.Counter(p for line in lines for p in tokenizer.encode(line).tokens)
specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
letters = [p for p in full["model"]["vocab"] if len(p.removeprefix("##")) == 1 and ord(p[-1]) < 128]
kept = specials + letters
seen = set(kept)
for piece, _ in counts.most_common():
    if len(kept) == vocabulary_size:
        break
    if piece not in seen:
        kept.append(piece), seen.add(piece)
full["model"]["vocab"] = {piece: i for i, piece in enumerate(kept)}
full["padding"] = None
full["truncation"] = {"direction": "Right", "max_length": 128, "strategy": "LongestFirst", "stride": 0}
for added in full["added_tokens"]:
    added["id"] = kept.index(added["content"])
full["added_tokens"].sort(key=lambda a: a["id"])
for name, special in full["post_processor"].get("special_tokens", {}).items():
    special["ids"] = [kept.index(name)]
out.mkdir(parents=True, exist_ok=True)
(out / "tokenizer.json").write_text(json.dumps(full, ensure_ascii=False, separators=(",", ":")))
small = Tokenizer.from_file(str(out / "tokenizer.json"))
encoded = [torch.tensor(e.ids) for e in small.encode_batch(lines)]

config = BertConfig(
    vocab_size=len(kept), hidden_size=width, num_hidden_layers=1, num_attention_heads=2,
    intermediate_size=128, max_position_embeddings=128, type_vocab_size=2,
    hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.0)
student = BertModel(config, add_pooling_layer=False)


def embed(rows):
    ids = torch.nn.utils.rnn.pad_sequence([encoded[i] for i in rows], batch_first=True)
    mask = (torch.arange(ids.shape[1])[None] < torch.tensor([len(encoded[i]) for i in rows])[:, None]).long()
    hidden = student(input_ids=ids, attention_mask=mask).last_hidden_state
    pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(pooled, dim=1)


held = 1000
train = np.arange(held, len(lines))
epochs, size = 12, 256
optimizer = torch.optim.AdamW(student.parameters(), 2e-3, weight_decay=1e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs * (len(train) // size))
for epoch in range(epochs):
    student.train()
    np.random.default_rng(epoch).shuffle(train)
    total = 0.0
    for start in range(0, len(train) - size + 1, size):
        rows = train[start:start + size]
        ours, theirs = embed(rows), targets[rows]
        wanted = theirs @ theirs.T
        loss = (((ours @ ours.T) - wanted) ** 2 * (1 + 4 * wanted.clamp(0))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(), schedule.step()
        total += float(loss)
    print(f"epoch {epoch}: {total / (len(train) // size):.5f}", flush=True)
student.eval()
with torch.no_grad():
    ours = embed(np.arange(held))
upper = torch.triu_indices(held, held, 1)
ranks = [np.argsort(np.argsort((m @ m.T)[upper[0], upper[1]].numpy())) for m in (ours, targets[:held])]
print(f"held-out rank correlation with the teacher: {np.corrcoef(*ranks)[0, 1]:.3f}")

weights = {k: v.half().contiguous() for k, v in student.state_dict().items() if "position_ids" not in k}
save_file(weights, str(out / "model.safetensors"), metadata={"format": "pt"})
settings = {k: v for k, v in config.to_dict().items() if k in (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "pad_token_id", "model_type")}
settings["architectures"] = ["BertModel"]
(out / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
(out / "modules.json").write_text(json.dumps([
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}], indent=2) + "\n")
(out / "1_Pooling").mkdir(exist_ok=True)
(out / "1_Pooling" / "config.json").write_text(json.dumps({
    "word_embedding_dimension": width, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False}, indent=2) + "\n")
(out / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 128, "do_lower_case": False}, indent=2) + "\n")
