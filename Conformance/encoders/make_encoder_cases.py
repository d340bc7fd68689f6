#!/usr/bin/env python3
"""Writes small random encoders, and what transformers and sentence-transformers answer for them.

    python3 make_encoder_cases.py OUT [--model FOLDER]

OUT gets one Hugging Face folder a case (BERT, RoBERTa, DistilBERT as plain encoders with every
pooling, as sentence embedders with Dense and Normalize modules, as classifiers) with cases.json in it:
texts, token ids and expected outputs; and `minilm.json` with FOLDER's path (MiniLM's by default) and
sentence-transformers' vectors of 100 sentences. The Swift side is the suite "Encoder conformance",
which reads the folder named by MARTLET_ENCODER_CASES.
"""
import argparse
import json
import os

import torch
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (BertConfig, BertForSequenceClassification, BertModel, DistilBertConfig,
                          DistilBertForSequenceClassification, DistilBertModel, RobertaConfig,
                          RobertaForSequenceClassification, RobertaModel)

from make_tokenizer_cases import SENTENCES, default_model

TEXTS = SENTENCES + ["a", "", "hello world", "one two three four five six seven eight nine ten " * 8]
PAIRS = [("what is a fox?", text) for text in SENTENCES[:8]]


def tokenizer(kind):
    specials = ["<s>", "<pad>", "</s>", "<unk>"] if kind == "roberta" else ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    if kind == "roberta":
        result = Tokenizer(models.BPE())
        result.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        result.train_from_iterator(SENTENCES, trainers.BpeTrainer(
            vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=specials))
        result.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    else:
        result = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        result.normalizer = normalizers.BertNormalizer()
        result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        result.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=500, special_tokens=specials))
        result.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return result


def configuration(kind, vocabulary, **extra):
    if kind == "distilbert":
        return DistilBertConfig(vocab_size=vocabulary, dim=32, n_layers=2, n_heads=4, hidden_dim=48,
                                max_position_embeddings=64, **extra)
    common = dict(vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                  intermediate_size=48, max_position_embeddings=64 + (2 if kind == "roberta" else 0), **extra)
    if kind == "roberta":
        return RobertaConfig(type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2, **common)
    return BertConfig(pad_token_id=0, **common)


CLASSES = {
    "bert": (BertModel, BertForSequenceClassification),
    "roberta": (RobertaModel, RobertaForSequenceClassification),
    "distilbert": (DistilBertModel, DistilBertForSequenceClassification),
}


def randomise(model):
    generator = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        noise = torch.randn(parameter.shape, generator=generator) * 0.15
        parameter.data = noise + (1 if parameter.dim() == 1 and parameter.data.mean() > 0.5 else 0)
    return model.eval()


def pool(hidden, mask, mode):
    mask = mask.unsqueeze(-1).float()
    if mode == "cls":
        return hidden[:, 0]
    if mode == "max":
        return hidden.masked_fill(mask == 0, -1e9).max(1).values
    total = (hidden * mask).sum(1)
    return total / mask.sum(1) if mode == "mean" else total / mask.sum(1).sqrt()


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False)


def sentence_modules(folder, mode, dense, normalize):
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
               {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    names = {"cls": "cls_token", "mean": "mean_tokens", "max": "max_tokens", "mean_sqrt": "mean_sqrt_len_tokens"}
    write_json(f"{folder}/1_Pooling/config.json", {"word_embedding_dimension": 32} | {
        f"pooling_mode_{name}": key == mode for key, name in names.items()})
    if dense is not None:
        modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
        write_json(f"{folder}/2_Dense/config.json", {
            "in_features": 32, "out_features": 12, "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh"})
        from safetensors.torch import save_file
        save_file({"linear.weight": dense.weight.data, "linear.bias": dense.bias.data},
                  f"{folder}/2_Dense/model.safetensors")
    if normalize:
        modules.append({"idx": 3, "name": "3", "path": "3_Normalize", "type": "sentence_transformers.models.Normalize"})
    write_json(f"{folder}/modules.json", modules)


def write_case(folder, kind, head, dtype, modules, shards=False):
    made = tokenizer(kind)
    size = made.get_vocab_size()
    extra = {"num_labels": 3} if head else {}
    model = randomise(CLASSES[kind][1 if head else 0](configuration(kind, size, **extra)))
    if dtype != torch.float32:
        model = model.to(dtype)
    model.save_pretrained(folder, max_shard_size="20KB" if shards else "1GB")
    model = model.float()
    made.save(f"{folder}/tokenizer.json")
    dense = None
    if modules:
        mode, has_dense, normalize = modules
        if has_dense:
            torch.manual_seed(3)
            dense = torch.nn.Linear(32, 12)
        sentence_modules(folder, mode, dense, normalize)
    made.enable_truncation(64)
    cases = []
    for item in (PAIRS if head else []) + TEXTS:
        encoding = made.encode(*item) if isinstance(item, tuple) else made.encode(item)
        if not encoding.ids:
            continue
        inputs = {"input_ids": torch.tensor([encoding.ids]), "attention_mask": torch.ones(1, len(encoding.ids)).long()}
        if kind == "bert":
            inputs["token_type_ids"] = torch.tensor([encoding.type_ids])
        case = {"text": item if isinstance(item, str) else item[0], "ids": encoding.ids}
        if isinstance(item, tuple):
            case["pair"] = item[1]
        with torch.no_grad():
            if head:
                case["output"] = model(**inputs).logits[0].tolist()
            else:
                hidden = model(**inputs).last_hidden_state
                vector = pool(hidden, inputs["attention_mask"], modules[0] if modules else "mean")
                if dense is not None:
                    vector = torch.tanh(dense(vector))
                if modules and modules[2]:
                    vector = torch.nn.functional.normalize(vector, dim=-1)
                case["output"] = vector[0].tolist()
        cases.append(case)
    write_json(f"{folder}/cases.json", cases)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--model")
    arguments = parser.parse_args()
    out = arguments.out
    for kind in CLASSES:
        write_case(f"{out}/{kind}-plain", kind, False, torch.float32, None)
        write_case(f"{out}/{kind}-classifier", kind, True, torch.float32, None)
    write_case(f"{out}/bert-cls-normalize", "bert", False, torch.float32, ("cls", False, True))
    write_case(f"{out}/bert-max-dense", "bert", False, torch.float16, ("max", True, False))
    write_case(f"{out}/roberta-sqrt", "roberta", False, torch.bfloat16, ("mean_sqrt", False, False))
    write_case(f"{out}/distilbert-mean-dense-normalize", "distilbert", False, torch.float32, ("mean", True, True), True)
    path = arguments.model or default_model()
    model = SentenceTransformer(path, device="cpu")
    sentences = [text for text in SENTENCES if text.strip()]
    words = " ".join(sentences).split()
    for index in range(100 - len(sentences)):
        sentences.append(" ".join(words[(index * 37 + place) % len(words)] for place in range(1 + index * 4)))
    vectors = model.encode(sentences, batch_size=1)
    write_json(f"{out}/minilm.json", {
        "folder": path, "texts": sentences, "vectors": [[float(x) for x in row] for row in vectors]})
    print(f"{len(os.listdir(out)) - 1} small encoders, {len(sentences)} sentences for {path}")


if __name__ == "__main__":
    main()
