"""Compares the ids of bitkv with those of Hugging Face's and Google's libraries, for random small vocabularies.

Run it with transformers 5.23.0, tokenizers 0.23.3, gguf 0.19.0 and sentencepiece 0.2.3, after
`cargo build --release -p bitkv-tokenizer --example ids`:

    python random_vocabularies.py --count 500 --ids target/release/examples/ids
    python random_vocabularies.py --count 40 --write sample.json

Every vocabulary has 20 random texts. The vocabularies are folders with a byte-level or a SentencePiece-style
`tokenizer.json` (the ids are those of `AutoTokenizer`), GGUF files with a byte-level vocabulary (the ids are those of
`tokenizers` with the pre-tokenizer of llama.cpp), and GGUF files with a SentencePiece vocabulary (the ids are those of
`sentencepiece`). GGUF files are written and read with the package `gguf`. In half of the SentencePiece vocabularies,
pieces share scores. transformers and `sentencepiece` differ then, and the ids are those of transformers, as it reads a
GGUF file whose tokenizer puts a space before every text (phi3).
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import gguf
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2 as proto
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, trainers
from transformers import AutoTokenizer
from transformers.integrations.gguf import convert_gguf_tokenizer

WORDS = """the then there these cache keys values token head entropy layer naïve Größe élève тепло там 世界 和平 again 1024 30
78643200 don't we've it's SHE'LL a+b==c x<=y (a,b) --- ====== ... !!! 3.14 e\u0301 \u00e9 ﬁne Ⅷ ½ été Ünï ﷺ हिन्दी 한국어 İstanbul ß""".split()
ODD = ["🦀", "🦙🏽\u200d🌾", "\u0301", "\x00", "\x07", "\x1b", "\u200b", "\ufeff", "\u00a0", "\u3000", "\r\n", "\n\n", "\t", "  ",
       "    ", "\u2028", "\U0010ffff", "\ue000", "▁", "▁▁", "Ġ", "Ċ", "<0x0A>", "<unk>", "�", "ﬀ", "ǅ", "\u0345", "a\u0323\u0307"]
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<s>", "</s>", "<unk>"]


def chance(r, p):
    return r.random() < p


def corpus(r):
    return [" ".join(r.choices(WORDS, k=r.randint(3, 12))) for _ in range(60)]


def texts(r, added):
    def part():
        return r.choice([lambda: r.choice(WORDS), lambda: r.choice(WORDS) + " ", lambda: " " + r.choice(WORDS),
                         lambda: r.choice(ODD), lambda: r.choice(added) if added else " ",
                         lambda: " " + r.choice(added) + " " if added else "", lambda: " " * r.randint(1, 4),
                         lambda: chr(r.choice([r.randint(32, 126), r.randint(0xA0, 0x24F), r.randint(0x300, 0x36F),
                                               r.randint(0x4E00, 0x4F00), r.randint(0x1F300, 0x1F5FF)]))])()
    made = ["", " ", "the", " the", "the ", "\r\nthe\r\n"]
    return made + ["".join(part() for _ in range(r.randint(1, 9))) for _ in range(14)]


def flags(r, id, content, special):
    return {"id": id, "content": content, "single_word": chance(r, .2), "lstrip": chance(r, .2), "rstrip": chance(r, .2),
            "normalized": chance(r, .3), "special": special}


def normalizer(r):
    one = lambda: r.choice([
        {"type": "NFC"}, {"type": "NFD"}, {"type": "NFKC"}, {"type": "NFKD"}, {"type": "Lowercase"}, {"type": "StripAccents"},
        {"type": "Strip", "strip_left": chance(r, .5), "strip_right": chance(r, .5)}, {"type": "Nmt"},
        {"type": "Replace", "pattern": {"String": "e"}, "content": "o"}, {"type": "Replace", "pattern": {"Regex": " +"}, "content": " "},
        {"type": "Prepend", "prepend": "_"},
        {"type": "BertNormalizer", "clean_text": chance(r, .5), "handle_chinese_chars": chance(r, .5), "strip_accents": None, "lowercase": chance(r, .5)},
    ])
    kind = r.random()
    if kind < .5:
        return None
    if kind < .8:
        return one()
    return {"type": "Sequence", "normalizers": [one() for _ in range(r.randint(1, 3))]}


def template(r, ids):
    tokens = list(ids)
    pick = lambda most: r.sample(tokens, r.randint(0, min(most, len(tokens))))
    special = lambda token: {"SpecialToken": {"id": token, "type_id": 0}}
    before, after = pick(2), pick(1)
    single = [special(t) for t in before] + [{"Sequence": {"id": "A", "type_id": 0}}] + [special(t) for t in after]
    used = {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in (*before, *after)}
    return {"type": "TemplateProcessing", "single": single, "pair": single + [{"Sequence": {"id": "B", "type_id": 1}}], "special_tokens": used}


def post_processor(r, ids):
    byte_level = {"type": "ByteLevel", "add_prefix_space": chance(r, .5), "trim_offsets": chance(r, .5), "use_regex": True}
    two = {"sep": ["</s>", ids["</s>"]], "cls": ["<s>", ids["<s>"]]}
    return r.choice([
        None, None, byte_level, template(r, ids), template(r, ids), {"type": "Sequence", "processors": [byte_level, template(r, ids)]},
        {"type": "BertProcessing"} | two, {"type": "RobertaProcessing", "trim_offsets": True, "add_prefix_space": False} | two,
    ])


def byte_level_splitter(r):
    byte_level = {"type": "ByteLevel", "add_prefix_space": chance(r, .3), "trim_offsets": True, "use_regex": True}
    plain = byte_level | {"use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": LLAMA_3}, "behavior": "Isolated", "invert": False}
    first = r.choice([
        None, None, {"type": "Digits", "individual_digits": chance(r, .5)}, split, {"type": "Whitespace"}, {"type": "WhitespaceSplit"},
        {"type": "Punctuation", "behavior": r.choice(["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"])},
        {"type": "UnicodeScripts"}, {"type": "Split", "pattern": {"String": " "}, "behavior": r.choice(["Isolated", "MergedWithPrevious", "MergedWithNext"]), "invert": chance(r, .2)},
    ])
    if first is None:
        return byte_level
    return {"type": "Sequence", "pretokenizers": [first, plain if first == split or chance(r, .3) else byte_level]}


def trained(r, initial, splitter, size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitter
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=SPECIAL, initial_alphabet=initial)
    lines = corpus(r)
    tokenizer.train_from_iterator(lines if splitter is not None else [line.replace(" ", "▁") for line in lines], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model


def finish(r, model, document, extra):
    """Adds the added tokens and the post-processor, and returns the document with the special texts."""
    added = [flags(r, model["vocab"][token], token, True) for token in SPECIAL if chance(r, .9) or token != "<unk>"]
    for token in r.sample(extra, r.randint(0, 3)):
        id = model["vocab"].get(token, max([*model["vocab"].values(), *(a["id"] for a in added)]) + 1)
        added.append(flags(r, id, token, chance(r, .5)))
    ids = {token: model["vocab"][token] for token in SPECIAL[:2]}
    document |= {"version": "1.0", "truncation": None, "padding": None, "added_tokens": sorted(added, key=lambda a: a["id"]),
                 "post_processor": post_processor(r, ids), "model": model}
    return document, [token["content"] for token in added]


EXTRA = ["<|end|>", "[X]", " two words", "the", "é", "<n>\n", "İ", "ab c"]


def configuration(r, classes):
    if chance(r, .25):
        return None
    config = {"tokenizer_class": r.choice(classes), "bos_token": "<s>", "eos_token": "</s>"}
    for key in ["add_bos_token", "add_eos_token", "legacy", "add_prefix_space"]:
        if chance(r, .35):
            config[key] = chance(r, .5)
    if chance(r, .3):
        config["unk_token"] = "<unk>"
    if chance(r, .2):
        config["pad_token"] = r.choice(["<pad>", "</s>", {"__type": "AddedToken", "content": "<pad>", "lstrip": True, "rstrip": False, "normalized": False, "single_word": False}])
    if chance(r, .15):
        config["additional_special_tokens"] = r.sample(["<|end|>", "[X]", "<new>"], 2)
    return config


def byte_level(r):
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if chance(r, .2):
        alphabet = r.sample(sorted(alphabet), 200)
    model = trained(r, alphabet, pre_tokenizers.ByteLevel(add_prefix_space=False), 290 + r.randint(0, 80))
    model["ignore_merges"] = chance(r, .3)
    model["unk_token"] = r.choice([None, None, "<unk>"])
    model["fuse_unk"] = chance(r, .3)
    decoder = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    document = {"normalizer": normalizer(r), "pre_tokenizer": byte_level_splitter(r), "decoder": decoder}
    return finish(r, model, document, EXTRA) + (configuration(r, ["PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "GPT2Tokenizer", "GPT2TokenizerFast", "OwnTokenizer"]),)


def sentencepiece_style(r):
    splitter = pre_tokenizers.Split(" ", "merged_with_next") if chance(r, .5) else None
    model = trained(r, ["▁"], splitter, 150 + r.randint(0, 120))
    spell = lambda token: token.replace(" ", "▁")
    if chance(r, .85):
        first = max(model["vocab"].values()) + 1
        for byte in range(256):
            model["vocab"].setdefault(f"<0x{byte:02X}>", first + byte)
    vocab, merges = {}, []
    for token, id in model["vocab"].items():
        vocab.setdefault(spell(token), id)
    for left, right in model["merges"]:
        pair = [spell(left), spell(right)]
        if pair not in merges and "".join(pair) in vocab:
            merges.append(pair)
    # Ids may not have gaps for transformers.
    model["vocab"] = {token: id for id, token in enumerate(sorted(vocab, key=vocab.get))}
    model["merges"] = merges
    model |= {"unk_token": r.choice(["<unk>", "<unk>", None]), "fuse_unk": chance(r, .6), "byte_fallback": chance(r, .8), "ignore_merges": chance(r, .15)}
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    scheme = r.choice(["always", "first", "never"])
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": chance(r, .5)}
    kind = r.randint(0, 4)
    document = {"normalizer": None, "pre_tokenizer": metaspace}
    if kind == 0:
        document = {"normalizer": {"type": "Sequence", "normalizers": r.sample([prepend, spaces], 2)}, "pre_tokenizer": None}
    elif kind == 1:
        document = {"normalizer": spaces, "pre_tokenizer": None}
    elif kind == 2:
        document = {"normalizer": normalizer(r), "pre_tokenizer": metaspace}
    elif kind == 3:
        # This is how older files write the scheme.
        document = {"normalizer": None, "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}}
    decoders = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if chance(r, .5):
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    document["decoder"] = {"type": "Sequence", "decoders": decoders}
    return finish(r, model, document, EXTRA) + (configuration(r, ["PreTrainedTokenizerFast", "LlamaTokenizer", "LlamaTokenizerFast", "OwnTokenizer"]),)


def folder_case(r, make):
    document, added, config = make(r)
    files = {"tokenizer.json": json.dumps(document, ensure_ascii=False), "config.json": json.dumps({"model_type": "llama"})}
    if config is not None:
        files["tokenizer_config.json"] = json.dumps(config)
        added = added + ["<pad>", "<new>"]
    some = texts(r, added)
    with tempfile.TemporaryDirectory() as folder:
        write(folder, files)
        read = AutoTokenizer.from_pretrained(folder)
        ids = [read(text)["input_ids"] for text in some]
        bare = [read(text, add_special_tokens=False)["input_ids"] for text in some]
    return {"files": files, "texts": some, "ids": ids, "bare": bare}


def write(folder, files):
    for file, content in files.items():
        with open(os.path.join(folder, file), "w", encoding="utf-8", newline="") as out:
            out.write(content)


def through_gguf(keys):
    """Writes the keys into a GGUF file and reads them back."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tokenizer_model(keys["model"])
        if keys.get("pre") is not None:
            writer.add_tokenizer_pre(keys["pre"])
        writer.add_token_list(keys["tokens"])
        writer.add_token_types(keys["token_types"])
        if "merges" in keys:
            writer.add_token_merges(keys["merges"])
        if "scores" in keys:
            writer.add_token_scores(keys["scores"])
        for key, add in [("bos", writer.add_bos_token_id), ("eos", writer.add_eos_token_id), ("unk", writer.add_unk_token_id),
                         ("add_bos", writer.add_add_bos_token), ("add_eos", writer.add_add_eos_token),
                         ("add_space_prefix", writer.add_add_space_prefix)]:
            if key in keys:
                add(keys[key])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        fields = gguf.GGUFReader(path).fields
        names = {"model": "model", "pre": "pre", "tokens": "tokens", "token_types": "token_type", "merges": "merges", "scores": "scores",
                 "bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id", "add_bos": "add_bos_token",
                 "add_eos": "add_eos_token", "add_space_prefix": "add_space_prefix"}
        found = {key: fields.get(f"tokenizer.ggml.{name}") for key, name in names.items()}
        return {key: field.contents() for key, field in found.items() if field is not None}


def gguf_flags(r, default):
    keys = {key: chance(r, .5) for key in ("add_bos", "add_eos") if chance(r, .5)}
    first = [0] if keys.get("add_bos", default) else []
    return keys, first, [1] if keys.get("add_eos", False) else []


def gguf_byte_level(r):
    pre = r.choice(["gpt-2", "llama-bpe", "smollm"])
    model = trained(r, pre_tokenizers.ByteLevel.alphabet(), pre_tokenizers.ByteLevel(add_prefix_space=False), 290 + r.randint(0, 80))
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    more = r.sample(["[X]", "<|end|>", "ab c"], r.randint(0, 2))
    types = [3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)) + [r.choice([3, 4]) for _ in more]
    flags, first, last = gguf_flags(r, pre == "llama-bpe")
    keys = {"model": "gpt2", "pre": pre, "tokens": tokens + more, "token_types": types, "bos": 0, "eos": 1,
            "merges": [" ".join(pair) for pair in model["merges"]]} | flags
    backend = Tokenizer(models.BPE(model["vocab"], [tuple(pair) for pair in model["merges"]], ignore_merges=pre == "llama-bpe"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pre != "llama-bpe")
    from tokenizers import Regex
    steps = {"gpt-2": [], "smollm": [pre_tokenizers.Digits(individual_digits=True)], "llama-bpe": [pre_tokenizers.Split(Regex(LLAMA_3), "isolated")]}
    backend.pre_tokenizer = pre_tokenizers.Sequence(steps[pre] + [byte_level])
    backend.add_special_tokens([AddedToken(t, normalized=False) for t in SPECIAL])
    for token, kind in zip(more, types[len(tokens):]):
        backend.add_tokens([AddedToken(token, normalized=False, special=kind == 3)])
    some = texts(r, SPECIAL + more)
    bare = [backend.encode(text, add_special_tokens=False).ids for text in some]
    return {"vocabulary": through_gguf(keys), "texts": some, "ids": [first + ids + last for ids in bare], "bare": bare}


def shared_scores(vocabulary, prefix):
    """Returns the tokenizer that transformers makes from a SentencePiece vocabulary whose pieces may share scores."""
    from tokenizers import normalizers
    keys = {"tokenizer_type": "llama", "tokens": vocabulary["tokens"], "scores": vocabulary["scores"], "token_type": vocabulary["token_types"]}
    backend, _ = convert_gguf_tokenizer("phi3", keys)
    if not prefix:
        backend.normalizer = normalizers.Replace("\u0020", "▁")
    return backend


def gguf_sentencepiece(r):
    model = trained(r, ["▁"], None, 150 + r.randint(0, 120))
    pieces = [token for token in sorted(model["vocab"], key=model["vocab"].get) if token not in SPECIAL]
    made = ["".join(pair) for pair in model["merges"]]
    rank = {piece: at for at, piece in reversed(list(enumerate(made)))}
    prefix = chance(r, .8)
    sharing = r.choice([1, 1, 1, 2, 3, 8])
    described = [("<s>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2)] + [(f"<0x{b:02X}>", 0.0, 6) for b in range(256)]
    described += [(piece, -1.0 - rank.get(piece, 1000 + at) // sharing, 1) for at, piece in enumerate(pieces)]
    flags, first, last = gguf_flags(r, True)
    keys = {"model": "llama", "pre": "default", "tokens": [p for p, _, _ in described], "scores": [s for _, s, _ in described],
            "token_types": [k for _, _, k in described], "bos": 0, "eos": 1, "unk": 2} | flags
    if chance(r, .6) or not prefix:
        keys["add_space_prefix"] = prefix
    spm = proto.ModelProto()
    for piece, score, kind in described:
        spm.pieces.add(piece=piece, score=score, type=kind)
    spec = spm.trainer_spec
    spec.model_type, spec.byte_fallback, spec.unk_id, spec.bos_id, spec.eos_id = 2, True, 2, 0, 1
    spm.normalizer_spec.name = "identity"
    spm.normalizer_spec.add_dummy_prefix = prefix
    spm.normalizer_spec.remove_extra_whitespaces = False
    processor = SentencePieceProcessor(model_proto=spm.SerializeToString())
    # sentencepiece does not find special tokens in a text, and writes the empty text without a prefix.
    some = [text for text in texts(r, []) if not any(token in text for token in SPECIAL)]
    by_sentencepiece = bare = [processor.encode(text) for text in some]
    vocabulary = through_gguf(keys)
    if sharing > 1:
        bare = [shared_scores(vocabulary, prefix).encode(text, add_special_tokens=False).ids for text in some]
        DIFFERING[by_sentencepiece != bare] += 1
    return {"vocabulary": vocabulary, "texts": some, "ids": [first + ids + last for ids in bare], "bare": bare}


# How many vocabularies with shared scores have the ids of `sentencepiece`, and how many do not.
DIFFERING = {False: 0, True: 0}

KINDS = {"byte-level": lambda r: folder_case(r, byte_level), "sentencepiece-style": lambda r: folder_case(r, sentencepiece_style),
         "gguf byte-level": gguf_byte_level, "gguf sentencepiece": gguf_sentencepiece}


def make(count, seed):
    cases = []
    skipped = 0
    while len(cases) < count:
        index = len(cases) + skipped
        r = random.Random(f"{seed} {index}")
        kind = r.choices(list(KINDS), [4, 4, 1, 1])[0]
        try:
            cases.append({"name": f"{kind} {index}"} | KINDS[kind](r))
        except Exception as error:
            # transformers refuses some combinations.
            skipped += 1
            print(f"{kind} {index}: the reference refuses it: {str(error)[:200]}", file=sys.stderr)
    return cases


def compare(cases, program):
    """Returns the cases whose ids differ, with the number of texts and of refused vocabularies."""
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for index, case in enumerate(cases):
            line = {"texts": case["texts"]}
            if "files" in case:
                line["folder"] = os.path.join(folder, str(index))
                os.mkdir(line["folder"])
                write(line["folder"], case["files"])
            else:
                line["vocabulary"] = case["vocabulary"]
            lines.append(json.dumps(line))
        ran = subprocess.run([program], input="\n".join(lines).encode(), stdout=subprocess.PIPE, check=True)
    results = [json.loads(line) for line in ran.stdout.decode().splitlines()]
    assert len(results) == len(cases)
    differing, refused, count = [], [], 0
    for case, result in zip(cases, results):
        if "error" in result:
            refused.append((case, result["error"]))
            continue
        wrong = [at for at in range(len(case["texts"])) if result["ids"][at] != case["ids"][at] or result["bare"][at] != case["bare"][at]]
        count += len(case["texts"])
        if wrong:
            differing.append((case, wrong, result))
    return differing, refused, count


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--ids", help="the example program `ids`")
    parser.add_argument("--write", help="the file to write the cases to")
    parser.add_argument("--read", help="a file of cases that --write has written, to compare again")
    arguments = parser.parse_args()
    if arguments.read:
        with open(arguments.read) as file:
            cases = json.load(file)
    else:
        cases = make(arguments.count, arguments.seed)
        print(f"{sum(DIFFERING.values())} vocabularies share scores; {DIFFERING[True]} of them have other ids in sentencepiece")
    if arguments.write:
        with open(arguments.write, "w", newline="") as out:
            out.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    if arguments.ids:
        differing, refused, count = compare(cases, arguments.ids)
        for case, wrong, result in differing[:20]:
            at = wrong[0]
            print(f"{case['name']}: {len(wrong)} texts differ; {case['texts'][at]!r}\n  {case['ids'][at]}\n  {result['ids'][at]}")
        for case, error in refused:
            print(f"{case['name']}: refused: {error}")
        print(f"{len(cases)} vocabularies, {count} texts: {len(differing)} vocabularies differ, {len(refused)} are refused")
        sys.exit(bool(differing))
