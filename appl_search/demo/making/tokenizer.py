"""A CLIP tokenizer whose vocabulary is the words of the toy world.

The files have CLIP's form: 256 byte symbols, the same 256 with "</w>", merged tokens, and the two special tokens with
the ids of CLIP. Any prompt tokenizes: unknown words fall apart into bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

from ...host.tiny_sdxl import END_TOKEN, START_TOKEN
from .world import CHARACTER, PALETTE, POSITIONS, SHAPES, SIZES, STYLE_TAG, TEXTURES

_END_OF_WORD = "</w>"
_GLUE = ("a", "an", "on", "and", "background", "the", "of")


def world_words() -> list[str]:
    """Every word of every caption, each once."""
    words = [*_GLUE, *PALETTE, *SHAPES, *TEXTURES, *SIZES, *POSITIONS, CHARACTER, *STYLE_TAG.split()]
    return list(dict.fromkeys(words))


def byte_symbols() -> list[str]:
    """The 256 printable characters that stand for bytes in CLIP's and GPT-2's vocabularies, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]


def _merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def _learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Merge rules, first rule first, under which every word becomes one token.

    A word is split with the rules so far; what is left is joined by new rules from the left. New rules rank last, so
    they cannot change how an earlier word merges.
    """
    rules: list[tuple[str, str]] = []
    for word in words:
        symbols = [*word[:-1], word[-1] + _END_OF_WORD]
        while len(symbols) > 1:
            pairs = set(zip(symbols, symbols[1:], strict=False))
            rule = next((known for known in rules if known in pairs), None)
            if rule is None:
                rule = (symbols[0], symbols[1])
                rules.append(rule)
            symbols = _merge(symbols, rule)
    return rules


def write_tokenizer(folder: Path) -> int:
    """Write the tokenizer's four files to `folder`; return the number of ordinary tokens."""
    rules = _learn_merges(world_words())
    symbols = byte_symbols()
    tokens = [*symbols, *(symbol + _END_OF_WORD for symbol in symbols), *("".join(rule) for rule in rules)]
    tokens = list(dict.fromkeys(tokens))
    start, end = "<|startoftext|>", "<|endoftext|>"
    vocabulary = {token: i for i, token in enumerate(tokens)} | {start: START_TOKEN, end: END_TOKEN}
    special = {"bos_token": start, "eos_token": end, "unk_token": end, "pad_token": end}
    config = {**special, "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True}
    folder.mkdir(parents=True, exist_ok=True)
    merges = "\n".join(["#version: 0.2", *(" ".join(rule) for rule in rules), ""])
    (folder / "merges.txt").write_text(merges, encoding="utf-8", newline="\n")
    for name, value in (("vocab", vocabulary), ("tokenizer_config", config), ("special_tokens_map", special)):
        text = json.dumps(value, ensure_ascii=False, indent=0) + "\n"
        (folder / f"{name}.json").write_text(text, encoding="utf-8", newline="\n")
    return len(tokens)
