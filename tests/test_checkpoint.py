"""A checkpoint comes through the host's own loader, and what is missing is said by name."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import comfy.cli_args
import comfy.sd
import comfy.sd1_clip
import pytest
import torch
from safetensors.torch import save_file

from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host import checkpoint
from tests import other_process


@pytest.fixture
def file(tmp_path) -> Path:
    """A file that is there; what the host makes of it is each test's own."""
    path = tmp_path / "sdxl.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    return path


@pytest.fixture
def words(monkeypatch, tmp_path) -> None:
    """The host as it is with its tokenizer's files, which the embedded one has not."""
    folder = tmp_path / "comfy" / "sd1_tokenizer"
    folder.mkdir(parents=True)
    for name in ("vocab.json", "merges.txt"):
        (folder / name).touch()
    monkeypatch.setattr(comfy.sd1_clip, "__file__", str(folder.parent / "sd1_clip.py"))


def loads(monkeypatch, model, clip, vae) -> list[dict]:
    """The host's loader gives these three; the list has what it was asked."""
    asked = []

    def load(path, **options):
        asked.append({"path": path, **options})
        return model, clip, vae, None

    monkeypatch.setattr(comfy.sd, "load_checkpoint_guess_config", load)
    return asked


def test_the_embedded_host_says_how_to_get_its_tokenizer(file):
    with pytest.raises(ValueError, match="no vocab.json and merges.txt .* Set COMFYUI_PATH .* CLIPTokenizer"):
        checkpoint.load(file)


def test_the_hosts_loader_is_asked_for_the_dtype_and_a_vae_of_its_own_replaces_the_checkpoints(file, words, monkeypatch):
    asked = loads(monkeypatch, "model", "clip", None)
    monkeypatch.setattr(comfy.sd, "VAE", lambda sd: SimpleNamespace(first_stage_model=sorted(sd)))
    monkeypatch.setattr(comfy.cli_args.args, "fp32_vae", False)
    model, clip, vae = checkpoint.load(file, vae_path=file, dtype="bf16", fp32_vae=True)
    assert (model, clip, vae.first_stage_model) == ("model", "clip", ["a"])
    assert asked == [{"path": str(file), "output_vae": False, "output_clip": True, "model_options": {"dtype": torch.bfloat16}}]
    assert comfy.cli_args.args.fp32_vae


def test_a_checkpoint_without_a_part_is_refused_by_name(file, words, monkeypatch):
    model, clip, vae = load_tiny_sdxl()
    loads(monkeypatch, model, None, vae)
    with pytest.raises(ValueError, match="sdxl.safetensors has no text encoders"):
        checkpoint.load(file)
    loads(monkeypatch, model, clip, None)
    with pytest.raises(ValueError, match="has no VAE. Give a whole checkpoint or --vae FILE"):
        checkpoint.load(file)


def test_a_file_that_is_no_checkpoint_is_refused_with_the_hosts_reason(file, words):
    with pytest.raises(ValueError, match=r"ComfyUI cannot load .*sdxl.safetensors as a checkpoint: .+"):
        checkpoint.load(file)
    with pytest.raises(ValueError, match="no checkpoint nowhere"):
        checkpoint.load(Path("nowhere"))


def test_loras_that_are_not_searched_are_ordinary_patches_of_their_strength():
    model, clip, _ = load_tiny_sdxl()
    patched, patched_clip = checkpoint.add_loras(model, clip, [(lora_paths()["character"], 0.75)])
    strengths = [entry[0] for patcher in (patched, patched_clip.patcher) for entries in patcher.patches.values() for entry in entries]
    assert set(strengths) == {0.75} and patched_clip.patcher.patches and not model.patches


def test_a_comfyui_at_its_path_is_the_host(tmp_path):
    package = tmp_path / "comfy"
    package.mkdir()
    for name in ("__init__", "model_management", "options"):
        (package / f"{name}.py").touch()
    (package / "cli_args.py").write_text("from types import SimpleNamespace\nargs = SimpleNamespace()\n")
    (package / "sd.py").write_text("import a_package_that_only_comfyui_has\n")
    done = prepared(tmp_path)
    assert f"{tmp_path} needs the package a_package_that_only_comfyui_has" in done.stdout, done.stderr


def prepared(comfyui: Path):
    """Another process without any ComfyUI that is told of this one; it prints what is wrong with it."""
    program = f"""
import os, sys
for name in [name for name in sys.modules if name == "comfy" or name.startswith("comfy.")]:
    del sys.modules[name]
os.environ["COMFYUI_PATH"] = {str(comfyui)!r}
from appl_search.host import checkpoint
try:
    checkpoint.prepare()
except (ModuleNotFoundError, ValueError) as error:
    print(error)
"""
    return other_process.run([program])


def test_a_path_without_a_comfyui_is_refused(tmp_path):
    done = prepared(tmp_path)
    assert "there is no ComfyUI in it" in done.stdout and os.fspath(tmp_path) in done.stdout, done.stderr
