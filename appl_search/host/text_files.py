"""What CLIP's text encoders need beside their weights: a vocabulary and their shapes.

ComfyUI has them as files beside its modules; the PyPI package of the embedded host was made without them.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MERGES = Path(__file__).with_name("clip") / "merges.txt.gz"
_START, _END = "<|startoftext|>", "<|endoftext|>"
_TOKENIZER = "sd1_tokenizer"  # the host's name for the folder
_ALIKE = {"max_position_embeddings": 77, "eos_token_id": 49407, "vocab_size": 49408, "layer_norm_eps": 1e-5}
#: By the host's names of files: OpenAI's CLIP ViT-L/14 and LAION's OpenCLIP ViT-bigG/14, as published.
_SHAPES = {
    "sd1_clip_config.json": {
        "num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "intermediate_size": 3072, "hidden_act": "quick_gelu",
    },
    "clip_config_bigg.json": {
        "num_hidden_layers": 32, "hidden_size": 1280, "num_attention_heads": 20, "intermediate_size": 5120, "hidden_act": "gelu",
    },
}  # fmt: skip


@contextmanager
def text_files() -> Iterator[None]:
    """Inside ``with``, a host that lacks these files reads them from a folder of ours; one that has them reads its own.

    The host looks for them beside its modules, whenever it makes a text encoder.
    """
    import comfy.sd1_clip
    import comfy.sdxl_clip

    home = Path(comfy.sd1_clip.__file__).parent
    if (home / _TOKENIZER / "vocab.json").is_file():
        yield
        return
    modules = (comfy.sd1_clip, comfy.sdxl_clip)
    before = [module.__file__ for module in modules]
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        try:
            for module, path in zip(modules, before):
                module.__file__ = str(Path(folder) / Path(path).name)
            yield
        finally:
            for module, path in zip(modules, before):
                module.__file__ = path


def vocabulary(merges: list[str]) -> dict[str, int]:
    """Numbers of CLIP's tokens: all bytes, all bytes at the end of a word, a token for each merge, start and end.

    Bytes are written as characters that can be seen, as GPT-2's tokenizer does (OpenAI CLIP, simple_tokenizer.py).
    """
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = 256 - len(seen)
    letters = [chr(code) for code in (*seen, *range(256, 256 + unseen))]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges), _START, _END]
    return {token: number for number, token in enumerate(tokens)}


def _write(folder: Path) -> None:
    for name, shape in _SHAPES.items():
        (folder / name).write_text(json.dumps({**_ALIKE, **shape}), encoding="utf-8")
    (folder / _TOKENIZER).mkdir()
    merges = gzip.decompress(_MERGES.read_bytes()).decode("utf-8").split("\n")
    special = {"bos_token": _START, "eos_token": _END, "unk_token": _END, "pad_token": _END}
    written = {
        "vocab.json": json.dumps(vocabulary(merges), ensure_ascii=False),
        "merges.txt": "\n".join(["#version: 0.2", *merges, ""]),
        "special_tokens_map.json": json.dumps(special),
        "tokenizer_config.json": json.dumps({**special, "tokenizer_class": "CLIPTokenizer", "model_max_length": 8192, "do_lower_case": True}),
    }
    for name, text in written.items():
        (folder / _TOKENIZER / name).write_bytes(text.encode("utf-8"))
