"""What a thousand pictures of 1024 x 1024 pixels cost: memory, and the time until the first step.

Each case is a process of its own. Its U-Net is small, but takes SDXL's own conditioning (77 x 2048 and 2816 numbers), and
so do its captions; its VAE only shrinks the picture, and waits as long as a GPU would work on it. So everything is there
but the device: what is measured is what a search adds to it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIDE = 1024
SOME = 20  # of the pictures, to measure what takes as long for each
VAE_SECONDS = 0.1  # of a picture: about what a GPU takes
CONTEXT, POOLED = 2048, 1280
#: What keeps latents and conditioning; "kept before": on a disk, by the case before.
CASES = ("memory", "disk", "kept before")


@dataclass(frozen=True)
class Row:
    """Of one process. ``looking``: seconds until the training set is there; ``opening``: from then to the first step;
    ``processor``: seconds of the processor in both, which do not depend on what else the machine does.

    ``reading``, ``encoding``: what reading and encoding would take alone, one after the other. ``peak``: most memory until the
    first step, in bytes. ``sample``: seconds to get what one sample takes. ``encoded``: pictures and captions.
    """

    case: str
    pictures: int
    looking: float
    opening: float
    processor: float
    reading: float
    encoding: float
    peak: int
    sample: float
    encoded: int


def measure(count: int, folder: Path) -> list[Row]:
    """Of ``count`` pictures, and first of a single one, whose memory is to be subtracted. Files are made in ``folder`` where they are not there yet."""
    make_pictures(folder / "pictures", count)
    make_pictures(folder / "one", 1)
    rows = [_in_a_process("memory", folder / "one", folder)]
    for path in (folder / "cache").glob("*"):
        path.unlink()
    return rows + [_in_a_process(case, folder / "pictures", folder) for case in CASES]


def make_pictures(folder: Path, count: int) -> None:
    """Pictures as different as photographs, and captions of some sixty tokens."""
    import numpy as np
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(-3, 4, (SIDE, SIDE, 3), dtype=np.int16)
    words = ["red", "blue", "yellow", "large", "small", "striped", "dotted", "zibby", "background", "white", "purple", "left"]
    for number in range(count):
        path = folder / f"{number:05d}.jpg"
        if path.exists():
            continue
        draws = np.random.default_rng(number)
        coarse = Image.fromarray(draws.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = smooth + np.roll(noise, number, axis=(0, 1))
        path.with_suffix(".txt").write_text(f"{number}, " + ", ".join(draws.choice(words, 30)), encoding="utf-8")
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path, quality=92)


def _in_a_process(case: str, pictures: Path, folder: Path) -> Row:
    command = [sys.executable, __file__, case, str(pictures), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(f"The case {case!r} failed: {done.stderr[-2000:]}")
    return Row(**json.loads(done.stdout.splitlines()[-1]))


def _run(case: str, pictures: Path, folder: Path) -> Row:
    sys.path.insert(0, str(ROOT))
    from appl_search.host.embedded import prepare

    prepare()
    import models
    import psutil
    import torch

    from appl_search import LoraSource, Models, SearchSettings, Task, TrainingOptions, read_training_set
    from appl_search.demo import load_tiny_sdxl
    from appl_search.gradients.evaluator import opened

    torch.set_num_threads(1)
    unet = models.sdxl({**models.SMALL, "context_dim": CONTEXT, "adm_in_channels": POOLED + 6 * 256}, torch.float32)
    lora = models.random_lora(unet, folder / "lora.safetensors", 8, False, 0)
    _, clip, vae = load_tiny_sdxl()
    clip, vae = WideClip(clip), WaitingVae(vae)
    settings = SearchSettings(samples=1, batch_size=1)
    options = TrainingOptions(disk_cache=case != "memory")
    started, worked = time.perf_counter(), time.process_time()
    images = read_training_set(pictures, options, cache_folder=folder / "cache")
    looked = time.perf_counter()
    task = Task(
        models=Models(model=unet, clip=clip, vae=vae), loras=[LoraSource(lora)], images=images, settings=settings,
        cache_folder=folder / "cache",
    )  # fmt: skip
    with opened(task) as evaluator:
        ready, worked = time.perf_counter(), time.process_time() - worked
        peak, examples = _peak(psutil.Process()), evaluator.examples
        for number in range(min(len(examples), SOME)):
            examples.of(number, number)
        sample = (time.perf_counter() - ready) / min(len(examples), SOME)
    return Row(
        case=case,
        pictures=len(images),
        looking=looked - started,
        opening=ready - looked,
        processor=worked,
        reading=_seconds_to_read(images) if vae.encoded else 0.0,
        encoding=vae.encoded * VAE_SECONDS,
        peak=peak,
        sample=sample,
        encoded=vae.encoded + clip.encoded,
    )


def _peak(process) -> int:
    """Most memory that the process has had so far, in bytes."""
    info = process.memory_info()
    if hasattr(info, "peak_wset"):  # Windows
        return info.peak_wset
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _seconds_to_read(images) -> float:
    """One after the other, from some of them."""
    some = images.items[:SOME]
    started = time.perf_counter()
    for picture in some:
        picture.read()
    return (time.perf_counter() - started) / len(some) * len(images)


class _Around:
    """Something of the host with something changed."""

    def __init__(self, host):
        self._host, self.encoded = host, 0

    def __getattr__(self, name: str):
        return getattr(self._host, name)


class WaitingVae(_Around):
    """A VAE that shrinks pictures, and takes its time as a GPU does: without the processor."""

    def encode(self, pixels):
        import torch

        self.encoded += 1
        time.sleep(VAE_SECONDS)
        means = torch.nn.functional.avg_pool2d(pixels.movedim(-1, 1), 8)
        return torch.cat([means, means[:, :1]], dim=1)


class WideClip(_Around):
    """A CLIP whose outputs are as wide as SDXL's."""

    def encode_from_tokens(self, tokens, return_pooled=False):
        self.encoded += 1
        context, pooled = self._host.encode_from_tokens(tokens, return_pooled=return_pooled)
        return context.repeat(1, 1, CONTEXT // context.shape[-1]), pooled.repeat(1, POOLED // pooled.shape[-1])


if __name__ == "__main__":
    print(json.dumps(asdict(_run(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))))
