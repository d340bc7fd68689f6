# SPDX-License-Identifier: Apache-2.0
"""Makes the small sentence embedder that ./run serves where the real one cannot be fetched.

A static model in BERT's layout, distilled from all-MiniLM-L6-v2 without any corpus: every kept word
piece is embedded alone by the teacher, the vectors are reduced by principal components (the method
of Model2Vec, Tulkens and van Dongen 2024), and one layer whose attention and feed-forward are zero
passes them on. A sentence is the mean of its pieces. Needs torch, transformers,
sentence-transformers, safetensors.

    python Scripts/make-tiny-embedder.py TEACHER_FOLDER TEXT_FOLDER Examples/models/tiny-embedder

TEXT_FOLDER's *.md, *.rst and *.txt files choose which pieces are frequent enough to keep, and give
the sentences on which the rank correlation with the teacher is printed.
"""

import collections
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

teacher_folder, texts, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
vocabulary_size, width = 6000, 64
random.seed(5), torch.manual_seed(5)
lines = set()
for path in sorted(p for p in texts.rglob("*") if p.suffix in (".md", ".rst", ".txt")):
    text = path.read_text(errors="replace")[:300000]
    for block in re.split(r"\n\s*\n|(?<=[.!?])\s+(?=[A-Z])", text):
        line = " ".join(block.split())
        if 30 <= len(line) <= 300 and sum(c.isalpha() or c == " " for c in line) > 0.85 * len(line):
            lines.add(line)
lines = sorted(lines)
random.shuffle(lines)
print(len(lines), "sentences")

full = json.loads((pathlib.Path(teacher_folder) / "tokenizer.json").read_text())
tokenizer = Tokenizer.from_file(str(pathlib.Path(teacher_folder) / "tokenizer.json"))
tokenizer.no_padding(), tokenizer.enable_truncation(128)
counts = collections.Counter(p for line in lines for p in tokenizer.encode(line).tokens)
kept = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
kept += [p for p in full["model"]["vocab"] if len(p.removeprefix("##")) == 1 and ord(p[-1]) < 128]
seen = set(kept)
# Frequent here first, then the teacher's own order, which is roughly by frequency.
for piece in [p for p, _ in counts.most_common(vocabulary_size // 2)] + [
        p for p in full["model"]["vocab"] if p.isascii() and p.removeprefix("##").isalpha()]:
    if piece not in seen and len(kept) < vocabulary_size:
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

teacher = SentenceTransformer(teacher_folder, device="cpu")
teacher.max_seq_length = 128
ids = torch.tensor([[101, tokenizer.token_to_id(p), 102] for p in kept])
with torch.no_grad():
    hidden = torch.cat([
        teacher[0].auto_model(input_ids=part, attention_mask=torch.ones_like(part)).last_hidden_state
        for part in ids.split(256)])
vectors = torch.nn.functional.normalize(hidden.mean(1), dim=1)
vectors[:5] = vectors[5:].mean(0)
centred = vectors - vectors[5:].mean(0)
_, _, components = torch.linalg.svd(centred[5:], full_matrices=False)
reduced = centred @ components[:width].T
reduced = reduced / reduced[5:].std()
# Rare pieces say more (smooth inverse frequency: Arora, Liang, Ma 2017); special ones say nothing.
total = sum(counts.values())
share = torch.tensor([counts[p] / total for p in kept])
reduced = reduced * (1e-3 / (1e-3 + share))[:, None]
reduced[:5] = 0

config = BertConfig(
    vocab_size=len(kept), hidden_size=width, num_hidden_layers=1, num_attention_heads=1,
    intermediate_size=16, max_position_embeddings=128, type_vocab_size=2,
    # So large beside the vectors that normalisation is all but linear and keeps the weighting.
    layer_norm_eps=0.25)
student = BertModel(config, add_pooling_layer=False).eval()
with torch.no_grad():
    for name, weight in student.named_parameters():
        weight.fill_(0.5 if name.endswith("LayerNorm.weight") else 0.0)
    student.embeddings.word_embeddings.weight.copy_(reduced / 64)

sample = lines[:600]
small = Tokenizer.from_file(str(out / "tokenizer.json"))
with torch.no_grad():
    ours = []
    for line in sample:
        row = torch.tensor([small.encode(line).ids])
        ours.append(student(input_ids=row).last_hidden_state.mean(1)[0])
    ours = torch.nn.functional.normalize(torch.stack(ours), dim=1)
    theirs = torch.tensor(teacher.encode(sample, batch_size=32, normalize_embeddings=True))
upper = torch.triu_indices(len(sample), len(sample), 1)
ranks = [np.argsort(np.argsort((m @ m.T)[upper[0], upper[1]].numpy())) for m in (ours, theirs)]
print(f"rank correlation of cosines with the teacher's: {np.corrcoef(*ranks)[0, 1]:.3f}")

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
