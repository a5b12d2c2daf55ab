#!/usr/bin/env python3
"""Checks the words of the project against the rules in `.ci/words.toml`.

usage: .ci/words.py [--count] [--program BITKV] [PATH ...]

It reads comments, doc comments, string literals and identifiers of Rust files, Markdown, comments and texts of TOML files,
and comments and docstrings of scripts. Without PATH it reads everything that git tracks. With --program it also reads the help of every command.
It prints one line per fault, `file:line: rule: text`, and exits with 1 if there is any. With --count it prints the
number of faults of each rule and exits with 0. It needs Python 3.11 or later and nothing else.
"""

import argparse
import fnmatch
import re
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = ROOT / ".ci/words.toml"
RUST = re.compile(
    r"""
    (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<raw>b?r(?P<hashes>\#*)".*?"(?P=hashes))
    | (?P<string>b?"(?:[^"\\]|\\.)*")
    | (?P<char>b?'(?:[^'\\\n]|\\[^\n]+?)')
    | (?P<lifetime>'[A-Za-z_]\w*)
    | (?P<name>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


class Passage:
    """Text of one kind with the line in the file of each of its characters."""

    def __init__(self, kind):
        self.kind, self.text, self.lines = kind, "", []

    def add(self, text, line):
        self.text += text
        self.lines += [line] * len(text)


def rust_passages(text):
    """The passages of a Rust file: lines of code, blocks of comments, string literals, and identifiers."""
    for number, code in enumerate(text.split("\n"), 1):
        if not code.lstrip().startswith("//"):
            passage = Passage("code")
            passage.add(code, number)
            yield passage
    tests = text.find("#[cfg(test)]\nmod tests {")
    tests = len(text) if tests < 0 else tests
    line, seen, block, block_line = 1, 0, None, 0
    for token in RUST.finditer(text):
        line += text.count("\n", seen, token.start())
        seen = token.start()
        kind, found = token.lastgroup, token.group()
        kind = "raw" if kind == "hashes" else kind
        if kind == "comment":
            marker = re.match(r"//[/!]?|/\*", found).group()
            if block is None or line != block_line + 1 or block.marker != marker:
                if block:
                    yield block
                block, block_line = Passage("comment"), line
                block.marker = marker
            body = found[len(marker):].strip()
            # A line of a list, of a table or of code begins a sentence of its own.
            block.add(("\n" if re.match(r"[-*|#>]|```", body) or not body else " ") + body, line)
            block_line = line
            continue
        if kind in ("string", "raw"):
            if token.start() >= tests:
                continue
            passage, at = Passage("string"), line
            for piece in re.split(r"(\\\n\s*|\n)", found):
                if "\n" not in piece:
                    passage.add(piece, at)
                at += piece.count("\n")
            yield passage
        elif kind == "name":
            passage = Passage("identifier")
            # Words of a name are separated by blanks: `kv_head` and `KvHead` both read "kv head".
            words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_", " ", found)
            passage.add(words.lower(), line)
            yield passage
    if block:
        yield block


def prose_passages(text):
    """The passages of Markdown or of the comments and texts of a TOML file: its paragraphs, without code blocks."""
    passage, in_code = Passage("prose"), False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
            continue
        if in_code:
            continue
        body = line.strip().removeprefix("#").strip()
        if not body or re.match(r"[-*|#>]|\d+\.", body):
            yield passage
            passage = Passage("prose")
        passage.add(" " + body, number)
    yield passage


def toml_passages(text):
    """Comments and quoted texts with a blank in them; keys and names of policies are not prose."""
    for token in re.finditer(r'"""(.*?)"""|"([^"\n]*)"|#([^\n]*)', text, re.DOTALL):
        body = token.group(1) or token.group(2) or token.group(3) or ""
        if " " in body.strip():
            passage = Passage("prose")
            first = text.count("\n", 0, token.start()) + 1
            for number, line in enumerate(body.split("\n"), first):
                passage.add(line + " ", number)
            yield passage


def script_passages(text):
    """Comments of a shell or Python script, and the docstrings of Python."""
    for token in re.finditer(r'"""(.*?)"""|^[ \t]*#(?!!)([^\n]*)', text, re.DOTALL | re.MULTILINE):
        passage = Passage("prose")
        first = text.count("\n", 0, token.start()) + 1
        for number, line in enumerate((token.group(1) or token.group(2) or "").split("\n"), first):
            passage.add(line + " ", number)
        yield passage


def passages(path, text):
    """The passages of a file, by the kind of the file."""
    match path.suffix:
        case ".rs":
            return rust_passages(text)
        case ".toml":
            return toml_passages(text)
        case ".md":
            return prose_passages(text)
        case _:
            return script_passages(text)


def tracked(paths):
    """The files to check: those of known kinds that git tracks under `paths`."""
    listed = subprocess.run(["git", "ls-files", "--", *paths], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        if name.endswith((".rs", ".md", ".toml", ".py", ".sh", ".ci/run")) and (ROOT / name).exists():
            yield name


def help_texts(program):
    """The help of every command, as `(name, text)`."""
    def run(*words):
        return subprocess.run([program, *words, "--help"], check=True, capture_output=True, text=True).stdout

    overview = run()
    yield "bitkv --help", overview
    commands = re.findall(r"^  ([a-z][a-z-]+)\s", overview.split("Options:")[0], re.MULTILINE)
    for command in commands:
        if command != "help":
            yield f"bitkv {command} --help", run(command)


class Rule:
    """One forbidden pattern, the kinds of passages it holds for, and what to write instead."""

    def __init__(self, table):
        self.name, self.say = table["name"], table["say"]
        self.kinds = set(table["kinds"])
        self.pattern = re.compile(table["pattern"], re.IGNORECASE)
        if not self.pattern.search(table["bad"]):
            sys.exit(f"{RULES.name}: the rule {self.name} does not find its own example, {table['bad']!r}")


class Exceptions:
    """Places where a rule does not hold, each with its reason; those that no place needs are faults."""

    def __init__(self, tables):
        self.tables, self.used = tables, set()

    def holds(self, rule, name, line_text):
        for index, table in enumerate(self.tables):
            if table["rule"] in (rule, "*") and fnmatch.fnmatch(name, table["file"]) and table["text"] in line_text:
                self.used.add(index)
                return True
        return False

    def unused(self):
        return [table for index, table in enumerate(self.tables) if index not in self.used]


def faults_in(name, found, lines, rules, exceptions):
    """Faults of a file's passages, as `(line, rule, text)`."""
    for passage in found:
        for rule in rules:
            if passage.kind not in rule.kinds:
                continue
            for match in rule.pattern.finditer(passage.text):
                line = passage.lines[match.start()]
                shown = lines[line - 1] if lines else match.group()
                if not exceptions.holds(rule.name, name, shown):
                    yield line, rule.name, f"`{match.group().strip()}`: {rule.say}"


def wide_comments(name, lines, width):
    """Comment lines that are wider than code may be."""
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("//") and len(line) > width and "http" not in line:
            yield number, "width", f"{len(line)} columns: a comment has at most {width}"


def main():
    """Reads the arguments, checks, and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("paths", nargs="*", default=["."])
    parser.add_argument("--program", help="the bitkv program whose help is read too")
    parser.add_argument("--count", action="store_true", help="print the number of faults of each rule")
    arguments = parser.parse_args()
    tables = tomllib.loads(RULES.read_text())
    rules, exceptions = [Rule(table) for table in tables["rule"]], Exceptions(tables["exception"])
    faults = []
    for name in tracked(arguments.paths):
        if any(fnmatch.fnmatch(name, table["file"]) for table in tables["left_out"]):
            continue
        text = (ROOT / name).read_text()
        lines = text.split("\n")
        found = faults_in(name, passages(Path(name), text), lines, rules, exceptions)
        faults += [(name, *fault) for fault in found]
        if name.endswith(".rs"):
            faults += [(name, *fault) for fault in wide_comments(name, lines, tables["comment_width"])]
    for name, text in help_texts(arguments.program) if arguments.program else ():
        found = faults_in(name, prose_passages(text), text.split("\n"), rules, exceptions)
        faults += [(name, *fault) for fault in found]
    if arguments.paths == ["."]:
        faults += [(str(RULES.relative_to(ROOT)), 0, "exception", f"no text needs it: {table['text']}")
                   for table in exceptions.unused()]
    if arguments.count:
        for rule, count in sorted(Counter(fault[2] for fault in faults).items(), key=lambda item: -item[1]):
            print(f"{count:6} {rule}")
        print(f"{len(faults):6} in all")
        return 0
    for name, line, rule, text in sorted(faults):
        print(f"{name}:{line}: {rule}: {text}")
    return 1 if faults else 0


if __name__ == "__main__":
    # `.ci/words.py | head` ends without a trace.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
