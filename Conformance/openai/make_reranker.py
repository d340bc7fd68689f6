# SPDX-License-Identifier: Apache-2.0
"""Makes reranker/: a cross-encoder of random weights and what transformers answers with it.

Run by hand where torch, transformers and tokenizers are installed; the result is kept in git, so
that the suite needs none of them.
"""

import json
import pathlib

import tokenizers
import torch
import transformers

WORDS = """the a of in to and is are was for on with by from at as it its this that how do does what
where when who why which their they he she we you not or but if then so than house martin martins
swallow bird birds build builds nest nests mud fly flies wing egg eggs feather stock market fell
sharply interest rate rates bank money price pie apple apples recipe recipes bake oven sugar flour
butter train station ticket city river bridge mountain sea ship sail wind rain snow summer winter
computer program compiler language model server query document score 0 1 2 3 4 5 6 7 8 9
##s ##ed ##ing ##er ##ly ##ist . , ? ! - ' ( )""".split()

QUERIES = {
    "How do martins build nests?": [
        "The stock market fell sharply.", "A house martin builds its nest of mud.",
        "Recipes for apple pie.", "", "mud " * 100, "The swallow flies in summer, not in winter."],
    "apple pie recipe": [
        "Recipes for apple pie.", "apple apple apple", "Bake the apples with butter and sugar!",
        "unknown: \N{HOUSE BUILDING} Stra\N{LATIN SMALL LETTER SHARP S}e 漢字", "interest rates (2)"],
}


def main() -> None:
    folder = pathlib.Path(__file__).parent / "reranker"
    vocabulary = {word: number for number, word in enumerate(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] + list("bcdefghijklmnopqrstuvwxyz") + WORDS)}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", model_max_length=64,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"])
    torch.manual_seed(7)
    configuration = transformers.BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=64, num_labels=1, initializer_range=0.3)
    model = transformers.BertForSequenceClassification(configuration).eval()
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    cases = []
    for query, documents in QUERIES.items():
        pairs = fast(
            [query] * len(documents), documents, padding=True, truncation=True, max_length=64,
            return_tensors="pt")
        with torch.no_grad():
            logits = model(**pairs).logits[:, 0].double()
        cases.append({
            "query": query, "documents": documents, "logits": logits.tolist(),
            "scores": torch.sigmoid(logits).tolist(),
            "tokens": int(pairs["attention_mask"].sum())})
    (folder / "expected.json").write_text(json.dumps(cases, indent=1, ensure_ascii=False) + "\n")


main()
