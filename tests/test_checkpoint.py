"""A checkpoint comes through the host's own loader, and what is missing is said by name."""

from __future__ import annotations

import gzip
import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import comfy.cli_args
import comfy.model_base
import comfy.model_management
import comfy.sd
import comfy.sd1_clip
import comfy.sdxl_clip
import comfy.utils
import pytest
import torch
from safetensors.torch import save_file

from appl_search.architectures import ARCHITECTURES
from appl_search.demo import load_tiny_sdxl, lora_paths
from appl_search.host import checkpoint
from appl_search.host.architectures import architecture_of
from appl_search.host.text_files import text_files
from tests import other_process

DATA = Path(__file__).parent / "data"
UNET = "model.diffusion_model."


@pytest.fixture
def file(tmp_path) -> Path:
    """A file that is there; what the host makes of it is each test's own."""
    path = tmp_path / "sdxl.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    return path


def loads(monkeypatch, model, clip, vae) -> list[dict]:
    """The host's loader gives these three; the list has what it was asked."""
    asked = []

    def load(path, **options):
        asked.append({"path": path, **options})
        return model, clip, vae, None

    monkeypatch.setattr(comfy.sd, "load_checkpoint_guess_config", load)
    return asked


def test_the_embedded_hosts_tokenizer_gives_the_tokens_that_comfyuis_own_gives():
    before = comfy.sd1_clip.__file__, comfy.sdxl_clip.__file__
    with text_files():
        tokenizer = comfy.sdxl_clip.SDXLTokenizer()
    assert (comfy.sd1_clip.__file__, comfy.sdxl_clip.__file__) == before
    for expected in json.loads((DATA / "clip_tokens.json").read_text(encoding="utf-8")):
        found = tokenizer.tokenize_with_weights(expected["text"])
        for encoder in ("l", "g"):
            rows = [[list(token) for token in row] for row in found[encoder]]
            assert rows == expected[encoder], expected["text"]


def test_a_host_with_a_tokenizer_keeps_it(tmp_path, monkeypatch):
    (tmp_path / "sd1_tokenizer").mkdir()
    (tmp_path / "sd1_tokenizer" / "vocab.json").touch()
    monkeypatch.setattr(comfy.sd1_clip, "__file__", str(tmp_path / "sd1_clip.py"))
    with text_files():
        assert comfy.sd1_clip.__file__ == str(tmp_path / "sd1_clip.py")


def test_the_embedded_host_loads_a_checkpoint_of_sdxls_real_layout(file, monkeypatch, caplog):
    """All keys and shapes of SDXL 1.0, without its 7 GB: nothing that the host makes or reads has any data."""
    shapes = json.loads(gzip.decompress((DATA / "sdxl_layout.json.gz").read_bytes()))
    meta = torch.device("meta")
    monkeypatch.setattr(
        comfy.utils, "load_torch_file", lambda *_, **__: {key: torch.empty(shape, dtype=torch.float16, device=meta) for key, shape in shapes.items()}
    )
    for name in ("unet_inital_load_device", "text_encoder_initial_device"):
        monkeypatch.setattr(comfy.model_management, name, lambda *_: meta)
    monkeypatch.setattr(comfy.model_management, "load_models_gpu", lambda *_, **__: None)
    with caplog.at_level(logging.DEBUG), meta:
        model, clip, vae = checkpoint.load(file, dtype="fp16")
    missing = [record.getMessage() for record in caplog.records if "missing" in record.getMessage()]
    assert missing == ["clip missing: ['clip_l.logit_scale', 'clip_l.transformer.text_projection.weight']"]  # which SDXL has not
    unet = model.model.diffusion_model.state_dict()
    published = {key.removeprefix(UNET): tuple(shape) for key, shape in shapes.items() if key.startswith(UNET)}
    assert {key: tuple(value.shape) for key, value in unet.items()} == published and len(published) == 1680
    assert sum(value.numel() for value in unet.values()) == 2_567_463_684
    assert isinstance(model.model, comfy.model_base.SDXL) and len(vae.first_stage_model.state_dict()) == 248
    text = clip.cond_stage_model
    assert (text.clip_l.num_layers, text.clip_g.num_layers) == (12, 32)
    assert [len(clip.tokenize("a cat")[encoder][0]) for encoder in ("l", "g")] == [77, 77]
    assert architecture_of(model) is ARCHITECTURES["sdxl"]


def test_the_hosts_loader_is_asked_for_the_dtype_and_a_vae_of_its_own_replaces_the_checkpoints(file, monkeypatch):
    asked = loads(monkeypatch, "model", "clip", None)
    monkeypatch.setattr(comfy.sd, "VAE", lambda sd: SimpleNamespace(first_stage_model=sorted(sd)))
    monkeypatch.setattr(comfy.cli_args.args, "fp32_vae", False)
    model, clip, vae = checkpoint.load(file, vae_path=file, dtype="bf16", fp32_vae=True)
    assert (model, clip, vae.first_stage_model) == ("model", "clip", ["a"])
    assert asked == [{"path": str(file), "output_vae": False, "output_clip": True, "model_options": {"dtype": torch.bfloat16}}]
    assert comfy.cli_args.args.fp32_vae


def test_a_checkpoint_without_a_part_is_refused_by_name(file, monkeypatch):
    model, clip, vae = load_tiny_sdxl()
    loads(monkeypatch, model, None, vae)
    with pytest.raises(ValueError, match="sdxl.safetensors has no text encoders"):
        checkpoint.load(file)
    loads(monkeypatch, model, clip, None)
    with pytest.raises(ValueError, match="has no VAE. Give a whole checkpoint or --vae FILE"):
        checkpoint.load(file)


def test_a_file_that_is_no_checkpoint_is_refused_with_the_hosts_reason(file):
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
from appl_search.host.text_files import text_files
try:
    checkpoint.prepare()
except (ModuleNotFoundError, ValueError) as error:
    print(error)
"""
    return other_process.run([program])


def test_a_path_without_a_comfyui_is_refused(tmp_path):
    done = prepared(tmp_path)
    assert "there is no ComfyUI in it" in done.stdout and os.fspath(tmp_path) in done.stdout, done.stderr
