"""Writes cases.json: the ids that transformers gives for small tokenizers whose files ask for special tokens in
different ways.

Run it with transformers 5.23.0, tokenizers 0.23.3 and sentencepiece 0.2.3:

    python make.py cases.json

A case of the kind `folder` has the files of a model's folder (`tokenizer.model` in base64). Its ids are those of
`AutoTokenizer.from_pretrained(folder)(text)`. A case of the kind `sentencepiece` has a folder whose class transformers lacks: its ids are those of the library
`sentencepiece`, and the first token is put before them. A case of the kind `gguf` has the vocabulary of a GGUF file. Its ids
without special tokens are those of transformers (byte-level) or `sentencepiece`; the special tokens follow the rules of
llama.cpp (`llama_vocab::impl::load` and `tokenize` in src/llama-vocab.cpp), because transformers ignores some of them.
"""

import base64
import json
import os
import sys
import tempfile

os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2 as proto
from transformers import AutoTokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import convert_gguf_tokenizer

TEXTS = ["hi on", "", " hi", "<s>hi", "hi</s>on", "  on  hi\n", "hi <sep> on", "hi[PAD]on"]
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def added(content, id, special=True, **more):
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}
    return {"id": id, "content": content} | flags | more


# A byte-level vocabulary. Characters that it lacks are dropped, as in transformers.
BYTES = ["<s>", "</s>", "<sep>", "h", "i", "o", "n", "Ġ", "Ċ", "<", ">", "s", "/", "e", "p", "hi", "on", "Ġon", "Ġhi"]
BYTE_MERGES = [["h", "i"], ["o", "n"], ["Ġ", "on"], ["Ġ", "hi"]]


def byte_level(post=None, **model):
    use = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added("<s>", 0), added("</s>", 1), added("<sep>", 2)],
        "normalizer": None, "pre_tokenizer": use, "post_processor": post, "decoder": use,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: id for id, token in enumerate(BYTES)}, "merges": BYTE_MERGES} | model,
    }


# A SentencePiece vocabulary. Its bytes are only those that the texts need.
PIECES = [("<unk>", 0.0, 2), ("<s>", 0.0, 3), ("</s>", 0.0, 3)]
PIECES += [(f"<0x{byte:02X}>", 0.0, 6) for byte in range(256)]
PIECES += [("hi", -1.0, 1), ("on", -2.0, 1), ("▁on", -3.0, 1), ("▁hi", -4.0, 1), ("▁▁", -5.0, 1)]
PIECES += [(piece, -10.0 - rank, 1) for rank, piece in enumerate("hion▁<>s/ep")]
PIECE_MERGES = [["h", "i"], ["o", "n"], ["▁", "on"], ["▁", "hi"], ["▁", "▁"]]


def sentencepiece(post=None, normalizer="prepend", scheme="first", strip=True):
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": False}
    decoders = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if strip:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added("<unk>", 0), added("<s>", 1), added("</s>", 2)],
        "normalizer": {"type": "Sequence", "normalizers": [prepend, spaces]} if normalizer == "prepend" else None,
        "pre_tokenizer": None if normalizer == "prepend" else metaspace,
        "post_processor": post, "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": {piece: id for id, (piece, _, _) in enumerate(PIECES)}, "merges": PIECE_MERGES},
    }


def model_file(dummy_prefix=True):
    model = proto.ModelProto()
    for piece, score, kind in PIECES:
        model.pieces.add(piece=piece, score=score, type=kind)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.vocab_size = len(PIECES)
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = dummy_prefix
    model.normalizer_spec.remove_extra_whitespaces = False
    return base64.b64encode(model.SerializeToString()).decode()


def template(before=(), after=(), ids={"<s>": 0, "</s>": 1, "<sep>": 2}):
    special = lambda token: {"SpecialToken": {"id": token, "type_id": 0}}
    single = [special(t) for t in before] + [{"Sequence": {"id": "A", "type_id": 0}}] + [special(t) for t in after]
    pair = single + [{"Sequence": {"id": "B", "type_id": 1}}]
    used = {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in (*before, *after)}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": used}


def sequence(*processors):
    return {"type": "Sequence", "processors": list(processors)}


def double():
    """A template whose special token has two ids."""
    post = template(["<s>"])
    post["special_tokens"]["<s>"] = {"id": "<s>", "ids": [0, 2], "tokens": ["<s>", "<sep>"]}
    return post


TRIM = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BERT = {"type": "BertProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0]}
ROBERTA = {"type": "RobertaProcessing", "sep": ["</s>", 1], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False}
SPM = {"<s>": 1, "</s>": 2}
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"} | NAMES
LLAMA = {"tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>"} | NAMES
LLAMA_FAST = LLAMA | {"tokenizer_class": "LlamaTokenizerFast"}
OTHER = LLAMA | {"tokenizer_class": "BitnetTokenizer"}

# The files of each folder: name, tokenizer.json or None, tokenizer_config.json or None, other files.
FOLDERS = [
    ("no post-processor, no configuration", byte_level(), None, {}),
    ("ByteLevel only", byte_level(TRIM), None, {}),
    ("ByteLevel only, add_bos_token false", byte_level(TRIM), FAST | {"add_bos_token": False}, {}),
    ("ByteLevel only, add_bos_token true", byte_level(TRIM), FAST | {"add_bos_token": True}, {}),
    ("no post-processor, add_bos_token true", byte_level(), FAST | {"add_bos_token": True}, {}),
    ("no post-processor, add_bos_token and add_eos_token true", byte_level(), FAST | {"add_bos_token": True, "add_eos_token": True}, {}),
    ("template with bos", byte_level(template(["<s>"])), None, {}),
    ("template with bos, add_bos_token false", byte_level(template(["<s>"])), FAST | {"add_bos_token": False}, {}),
    ("template with bos, add_eos_token true", byte_level(template(["<s>"])), FAST | {"add_eos_token": True}, {}),
    ("template in a sequence", byte_level(sequence(TRIM, template(["<s>"]))), FAST, {}),
    ("two templates in a sequence", byte_level(sequence(template(["<s>"]), template(["<sep>"], ["</s>"]))), FAST, {}),
    ("template with bos and eos", byte_level(template(["<s>"], ["</s>"])), None, {}),
    ("template with eos only", byte_level(template([], ["</s>"])), FAST, {}),
    ("template with two tokens before", byte_level(template(["<s>", "<sep>"])), None, {}),
    ("template with a token of two ids", byte_level(double()), None, {}),
    ("template without tokens", byte_level(template()), FAST | {"add_bos_token": True}, {}),
    ("BertProcessing", byte_level(BERT), None, {}),
    ("RobertaProcessing", byte_level(ROBERTA), None, {}),
    ("GPT2Tokenizer, ByteLevel only, add_bos_token true", byte_level(TRIM), NAMES | {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True}, {}),
    ("LlamaTokenizer with a byte-level tokenizer.json", byte_level(template(["<s>"])), LLAMA, {}),
    ("SentencePiece, no post-processor, no configuration", sentencepiece(), None, {}),
    ("SentencePiece, template, no configuration", sentencepiece(template(["<s>"], ids=SPM)), None, {}),
    ("SentencePiece, template, fast class", sentencepiece(template(["<s>"], ids=SPM)), FAST, {}),
    ("SentencePiece, template, LlamaTokenizer", sentencepiece(template(["<s>"], ids=SPM)), LLAMA, {}),
    ("SentencePiece, template, LlamaTokenizerFast, legacy", sentencepiece(template(["<s>"], ids=SPM)), LLAMA_FAST | {"legacy": True}, {}),
    ("SentencePiece, template, LlamaTokenizer, not legacy", sentencepiece(template(["<s>"], ids=SPM)), LLAMA | {"legacy": False}, {}),
    ("SentencePiece, template, LlamaTokenizer, no prefix", sentencepiece(template(["<s>"], ids=SPM)), LLAMA | {"add_prefix_space": False}, {}),
    ("SentencePiece, template, LlamaTokenizer, legacy, no prefix", sentencepiece(template(["<s>"], ids=SPM)), LLAMA | {"add_prefix_space": False, "legacy": True}, {}),
    ("SentencePiece, template, add_bos_token false", sentencepiece(template(["<s>"], ids=SPM)), LLAMA | {"add_bos_token": False}, {}),
    ("SentencePiece, no post-processor, LlamaTokenizer", sentencepiece(), LLAMA, {}),
    ("SentencePiece, no post-processor, LlamaTokenizer, both true", sentencepiece(), LLAMA | {"add_bos_token": True, "add_eos_token": True}, {}),
    ("Metaspace always", sentencepiece(template(["<s>"], ids=SPM), None, "always"), FAST, {}),
    ("Metaspace first", sentencepiece(template(["<s>"], ids=SPM), None, "first"), FAST, {}),
    ("Metaspace never", sentencepiece(template(["<s>"], ids=SPM), None, "never", False), FAST, {}),
    ("Metaspace first, fast class, legacy and prefix are ignored", sentencepiece(None, None, "first"), FAST | {"legacy": True, "add_prefix_space": False}, {}),
    ("Metaspace never, LlamaTokenizer, legacy", sentencepiece(None, None, "never", False), LLAMA | {"legacy": True}, {}),
    ("Metaspace first, class of the code of the model", sentencepiece(template(["<s>"], ids=SPM), None, "first"), OTHER, {}),
    ("tokenizer.model, LlamaTokenizer", None, LLAMA, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, add_bos_token true", None, LLAMA | {"add_bos_token": True}, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, both true", None, LLAMA | {"add_bos_token": True, "add_eos_token": True}, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, both false", None, LLAMA | {"add_bos_token": False, "add_eos_token": False}, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, legacy", None, LLAMA | {"add_bos_token": True, "legacy": True}, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, not legacy", None, LLAMA | {"add_bos_token": True, "legacy": False}, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, no prefix", None, LLAMA | {"add_bos_token": True, "add_prefix_space": False}, {"tokenizer.model": model_file()}),
    ("tokenizer.model, LlamaTokenizer, no prefix of its own", None, LLAMA | {"add_bos_token": True}, {"tokenizer.model": model_file(False)}),
]

PAD = FAST | {"pad_token": "[PAD]"}
SEPARATOR = {"2": {"content": "<sep>", "lstrip": True, "rstrip": True, "normalized": False, "single_word": False, "special": True}}
PLAIN = byte_level(template(["<s>"]))
PLAIN["added_tokens"].pop()
FOLDERS += [
    ("a role makes an ordinary token special", PLAIN, FAST | {"sep_token": "<sep>"}, {}),
    ("an ordinary token without a role", PLAIN, FAST, {}),
    ("a list makes an ordinary token special", PLAIN, FAST | {"additional_special_tokens": ["<sep>"]}, {}),
    ("a role adds a new token", byte_level(template(["<s>"])), PAD, {}),
    ("a role adds a new token, with a list of the added ones", byte_level(template(["<s>"])), PAD | {"added_tokens_decoder": SEPARATOR}, {}),
    ("added_tokens_decoder changes a token", byte_level(template(["<s>"])), FAST | {"added_tokens_decoder": SEPARATOR}, {}),
    ("special_tokens_map.json", PLAIN, FAST, {"special_tokens_map.json": json.dumps({"sep_token": {"content": "<sep>", "lstrip": True, "normalized": False, "rstrip": False, "single_word": False}})}),
]

# Folders with a tokenizer.model whose class transformers lacks: name, configuration, model, first and last ids.
MODELS = [
    ("tokenizer.model alone", None, True, [1], []),
    ("tokenizer.model, class of the code of the model", OTHER, True, [1], []),
    ("tokenizer.model, class of the code of the model, add_bos_token false", OTHER | {"add_bos_token": False}, True, [], []),
    ("tokenizer.model, class of the code of the model, both true", OTHER | {"add_bos_token": True, "add_eos_token": True}, True, [1], [2]),
    ("tokenizer.model, no prefix of its own", OTHER, False, [1], []),
]
MODEL_TEXTS = ["hi on", "", " hi", "  on  hi\n", "hi <sep> on"]

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 300, "bos_token_id": 0, "eos_token_id": 1}


def folder_case(name, tokenizer, config, others):
    files = {"config.json": json.dumps(CONFIG)} | others
    for file, content in [("tokenizer.json", tokenizer), ("tokenizer_config.json", config)]:
        if content is not None:
            files[file] = json.dumps(content, ensure_ascii=False)
    with tempfile.TemporaryDirectory() as folder:
        for file, content in files.items():
            with open(os.path.join(folder, file), "wb") as out:
                out.write(base64.b64decode(content) if file.endswith(".model") else content.encode())
        read = AutoTokenizer.from_pretrained(folder)
        ids = [read(text)["input_ids"] for text in TEXTS]
        bare = [read(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    return {"name": name, "kind": "folder", "class": type(read).__name__, "files": files, "ids": ids, "bare": bare}


def model_case(name, config, dummy_prefix, first, last):
    files = {"config.json": json.dumps(CONFIG), "tokenizer.model": model_file(dummy_prefix)}
    if config is not None:
        files["tokenizer_config.json"] = json.dumps(config)
    processor = SentencePieceProcessor(model_proto=base64.b64decode(files["tokenizer.model"]))
    bare = [processor.encode(text) for text in MODEL_TEXTS]
    return {"name": name, "kind": "sentencepiece", "files": files, "texts": MODEL_TEXTS,
            "ids": [first + ids + last for ids in bare], "bare": bare}


GPT2_TYPES = [3, 3, 3] + [1] * (len(BYTES) - 3)
# The vocabulary of each GGUF file: name, model, pre, keys.
GGUFS = [
    ("gpt2 without keys", "gpt2", "gpt-2", {}),
    ("gpt2 with a first token but no flag", "gpt2", "gpt-2", {"bos": 0, "eos": 1}),
    ("gpt2, add_bos_token true", "gpt2", "gpt-2", {"bos": 0, "eos": 1, "add_bos": True}),
    ("gpt2, add_bos_token false", "gpt2", "gpt-2", {"bos": 0, "eos": 1, "add_bos": False}),
    ("gpt2, both true", "gpt2", "gpt-2", {"bos": 0, "eos": 1, "add_bos": True, "add_eos": True}),
    ("gpt2, add_eos_token true", "gpt2", "gpt-2", {"bos": 0, "eos": 1, "add_eos": True}),
    ("smollm with a first token but no flag", "gpt2", "smollm", {"bos": 0, "eos": 1}),
    ("llama-bpe with a first token but no flag", "gpt2", "llama-bpe", {"bos": 0, "eos": 1}),
    ("llama3, add_bos_token false", "gpt2", "llama3", {"bos": 0, "eos": 1, "add_bos": False}),
    ("llama3, add_eos_token true", "gpt2", "llama3", {"bos": 0, "eos": 1, "add_eos": True}),
    ("falcon3 with another first token", "gpt2", "falcon3", {"bos": 2, "eos": 1}),
    ("llama without keys", "llama", "default", {}),
    ("llama without a flag", "llama", "default", {"bos": 1, "eos": 2}),
    ("llama, add_bos_token false", "llama", "default", {"bos": 1, "eos": 2, "add_bos": False}),
    ("llama, both true", "llama", "default", {"bos": 1, "eos": 2, "add_bos": True, "add_eos": True}),
    ("llama, add_eos_token true", "llama", "default", {"bos": 1, "eos": 2, "add_eos": True}),
    ("llama, the first token is another one", "llama", "default", {"bos": 2, "eos": 1}),
    ("llama without a prefix", "llama", "default", {"bos": 1, "eos": 2, "add_space_prefix": False}),
]
GGUF_TEXTS = ["hi on", "", "  on  hi\n", "hihi"]
# The pre-tokenizers of llama.cpp that put the first token before every text unless the file says otherwise.
ADD_BOS = ["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"]


def gguf_case(name, model, pre, keys):
    vocabulary = {"model": model, "pre": pre} | keys
    if model == "gpt2":
        vocabulary |= {"tokens": BYTES, "token_types": GPT2_TYPES, "merges": [" ".join(pair) for pair in BYTE_MERGES]}
    else:
        vocabulary |= {"tokens": [p for p, _, _ in PIECES], "scores": [s for _, s, _ in PIECES],
                       "token_types": [k for _, _, k in PIECES]}
    if model == "llama":
        prefix = keys.get("add_space_prefix", True)
        processor = SentencePieceProcessor(model_proto=base64.b64decode(model_file(prefix)))
        bare = [processor.encode(text) for text in GGUF_TEXTS]
    else:
        described = {"tokenizer_type": model, "pre_tokenizer_type": pre, "tokens": vocabulary["tokens"],
                     "token_type": vocabulary["token_types"], "merges": vocabulary["merges"]}
        backend, _ = convert_gguf_tokenizer("llama", described)
        bare = [backend.encode(text, add_special_tokens=False).ids for text in GGUF_TEXTS]
    default = model == "llama"
    bos, eos = keys.get("bos", 1 if default else None), keys.get("eos", 2 if default else None)
    first = [bos] if keys.get("add_bos", default or pre in ADD_BOS) else []
    last = [eos] if keys.get("add_eos", False) else []
    return {"name": name, "kind": "gguf", "vocabulary": vocabulary, "texts": GGUF_TEXTS,
            "ids": [first + ids + last for ids in bare], "bare": bare}


if __name__ == "__main__":
    cases = [folder_case(*case) for case in FOLDERS] + [model_case(*case) for case in MODELS] + [gguf_case(*case) for case in GGUFS]
    with open(sys.argv[1], "w") as out:
        lines = [json.dumps(case, ensure_ascii=False) for case in cases]
        out.write('{"texts": ' + json.dumps(TEXTS) + ', "cases": [\n' + ",\n".join(lines) + "\n]}\n")
    for case in cases:
        print(case["name"], "|", case.get("class"), case["ids"][0], case["ids"][3], case["ids"][-1])
