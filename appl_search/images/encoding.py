"""Pictures and captions of a training set, encoded, or taken from the disk where they were encoded before."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from .ahead import ahead
from .cache import DiskCache, Entry
from .examples import Encoded, Examples
from .memory import Blocks, MemoryEntry
from .options import TrainingOptions
from .pictures import Crop, Example, Picture, Version
from .pixels import latent_mask
from .training_set import TrainingSet

#: Threads that read files, and how many pictures or texts they may be ahead: a picture of 24 megapixels takes 300 MB.
_READERS, _AHEAD = 2, 3

Text = tuple[str, int]  # a prompt, and how many tokens of it count


class Encoders(Protocol):
    """What makes latents of pixels and conditioning of captions."""

    def image(self, pixels: Tensor) -> Tensor:
        """Latent [4, h / 8, w / 8] of pixels [h, w, 3]."""

    def caption(self, text: str, max_tokens: int) -> tuple[Tensor, Tensor]:
        """(context [1, tokens, c], pooled [1, p])."""

    def image_key(self) -> str | None:
        """Of all that :meth:`image` depends on beside the pixels; None: its latents are not to be kept on disk."""

    def caption_key(self, text: str, max_tokens: int) -> str | None:
        """Of all that :meth:`caption` depends on; None: as above."""


def encode(training_set: TrainingSet, encoders: Encoders, seed: int = 0, cache: DiskCache | None = None) -> Examples:
    """Every picture as an example, in as many versions as its options ask for where samples differ.

    Equal captions are encoded once, equal crops too, and neither when they are in the ``cache``, for pictures whose
    options ask for it. Everything else stays in ordinary memory. Pictures are read by threads while others are encoded, a
    few at a time. ``seed``: of the versions, which depend on nothing else.
    """
    wanted = [_versions_of(item, position, seed) for position, item in enumerate(training_set.items)]
    store = _Store(cache)
    texts = dict(_texts(training_set, wanted, encoders, store))
    pictures = [_Wanted(item, versions) for item, versions in zip(training_set.items, wanted) if versions]
    with closing(_latents(pictures, encoders, store)) as latents:
        versions = [
            _encoded(item, of_item, next(latents), texts) if of_item else [Encoded.of(item)]
            for item, of_item in zip(training_set.items, wanted)
        ]
    return Examples(versions, training_set.epoch(), seed)


class _Store:
    """Where what is encoded is kept: on disk where there is a key for it, else in memory."""

    def __init__(self, cache: DiskCache | None):
        self._cache, self._blocks = cache, Blocks()

    def keeps(self, options: TrainingOptions) -> bool:
        """Whether what is made of pictures with these options is to be on disk."""
        return self._cache is not None and options.disk_cache

    def find(self, key: dict | None) -> Entry | None:
        return None if key is None else self._cache.find(key)

    def add(self, key: dict | None, tensors: Mapping[str, Tensor]) -> Entry:
        tensors = {name: tensor.detach().float().cpu() for name, tensor in tensors.items()}
        entry = None if key is None else self._cache.add(key, tensors)
        return entry or MemoryEntry({name: self._blocks.keep(tensor) for name, tensor in tensors.items()})


def _versions_of(item: Picture | Example, position: int, seed: int) -> list[Version]:
    if not isinstance(item, Picture):
        return []
    if not item.options.varies:
        return [item.version()]
    return [item.version(random.Random(f"{seed} {position} {number}")) for number in range(item.options.variants)]


def _texts(
    training_set: TrainingSet, wanted: Sequence[Sequence[Version]], encoders: Encoders, store: _Store
) -> Iterator[tuple[Text, Entry]]:
    """Each of the captions once, with its conditioning."""
    on_disk: dict[Text, bool] = {}
    for item, versions in zip(training_set.items, wanted):
        for version in versions:
            text = (version.prompt, item.options.max_tokens)
            on_disk[text] = on_disk.get(text, False) or store.keeps(item.options)

    def key_of(text: Text) -> dict[str, str] | None:
        key = encoders.caption_key(*text) if on_disk[text] else None
        return None if key is None else {"text": key}

    keys = ((text, key_of(text)) for text in on_disk)
    for text, key, entry in ahead(lambda each: (*each, store.find(each[1])), keys, _READERS, _AHEAD):
        if entry is None:
            context, pooled = encoders.caption(*text)
            entry = store.add(key, {"context": context[0], "pooled": pooled[0]})
        yield text, entry


@dataclass(frozen=True)
class _Wanted:
    picture: Picture
    versions: Sequence[Version]

    @property
    def crops(self) -> list[Crop]:
        """Each of them once."""
        return list(dict.fromkeys(version.crop for version in self.versions))


@dataclass(frozen=True)
class _Read:
    """What there is of a picture before it is encoded. ``pixels``: of the whole picture, None where no crop of it is missing."""

    picture: Picture
    keys: Mapping[Crop, dict | None]
    found: Mapping[Crop, Entry]
    pixels: Tensor | None = None
    mask: Tensor | None = None


def _latents(pictures: Sequence[_Wanted], encoders: Encoders, store: _Store) -> Iterator[dict[Crop, Entry]]:
    """Of each picture the latents of its crops, and its mask in their size."""
    vae = encoders.image_key() if any(store.keeps(wanted.picture.options) for wanted in pictures) else None

    def read(wanted: _Wanted) -> _Read:
        picture, keys, found = wanted.picture, dict.fromkeys(wanted.crops), {}
        if vae is not None and store.keeps(picture.options):
            source = picture.source.fingerprint()
            keys = {crop: _key(picture, source, crop, vae) for crop in keys}
            found = {crop: entry for crop, key in keys.items() if (entry := store.find(key)) is not None}
        if len(found) == len(keys):
            return _Read(picture, keys, found)
        return _Read(picture, keys, found, *picture.read())

    for each in ahead(read, pictures, _READERS, _AHEAD):
        yield {crop: each.found.get(crop) or _made(each, crop, encoders, store) for crop in each.keys}


def _key(picture: Picture, source: str, crop: Crop, vae: str) -> dict:
    frame = picture.frame
    return {
        "picture": source, "resized": list(frame.resized), "crop": [*crop.corner, *frame.kept], "flipped": crop.flipped, "vae": vae,
    }  # fmt: skip


def _made(read: _Read, crop: Crop, encoders: Encoders, store: _Store) -> Entry:
    tensors = {"latent": encoders.image(read.picture.cut(read.pixels, crop))}
    if read.mask is not None:
        tensors["mask"] = latent_mask(read.picture.cut(read.mask, crop))
    return store.add(read.keys[crop], tensors)


def _encoded(
    picture: Picture, versions: Sequence[Version], latents: Mapping[Crop, Entry], texts: Mapping[Text, Entry]
) -> list[Encoded]:
    options = picture.options
    return [
        Encoded(
            image=latents[version.crop],
            text=texts[version.prompt, options.max_tokens],
            sizes=picture.frame.sizes(*version.crop),
            caption=version.prompt,
            weight=options.loss_weight,
            name=picture.name,
            max_tokens=options.max_tokens,
        )
        for version in versions
    ]
