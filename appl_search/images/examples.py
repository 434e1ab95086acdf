"""Encoded examples: each picture once, or in several versions where its samples differ."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from torch import Size, Tensor

from .pictures import Example, Picture, Version
from .pixels import latent_mask
from .training_set import TrainingSet


class Examples(Sequence):
    """The examples of one epoch, in a fixed order; a picture that is repeated stands there several times.

    As a sequence it has the first version of each. :meth:`of` gives the version that a sample takes.
    """

    def __init__(self, versions: Sequence[Sequence[Example]], order: Sequence[int], seed: int):
        """``versions``: of each item of the training set; ``order``: positions of items."""
        self._versions, self._order, self._seed = versions, order, seed

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Example:
        return self._versions[self._order[index]][0]

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    @property
    def items(self) -> Sequence[int]:
        """Which item of the training set each example is."""
        return self._order

    @property
    def shapes(self) -> list[Size]:
        """Of the latents. All versions of a picture have the same."""
        return [example.latent.shape for example in self]

    def of(self, index: int, number: int) -> Example:
        """What sample ``number`` of the search takes of the example at ``index``: a function of both and the seed alone."""
        versions = self._versions[self._order[index]]
        if len(versions) == 1:
            return versions[0]
        return versions[random.Random(f"version {self._seed} {number}").randrange(len(versions))]


def encode(
    training_set: TrainingSet,
    encode_image: Callable[[Tensor], Tensor],
    encode_caption: Callable[[str, int], tuple[Tensor, Tensor]],
    seed: int = 0,
) -> Examples:
    """Every picture as an example, in as many versions as its options ask for where samples differ.

    ``encode_image``: pixels [h, w, 3] -> latent [4, h/8, w/8]; ``encode_caption``: (text, max_tokens) -> (context
    [1, tokens, c], pooled [1, p]). Equal captions are encoded once, equal crops too. Latents and conditioning stay
    in ordinary memory. ``seed``: of the versions, which depend on nothing else.
    """
    wanted = [_versions_of(item, position, seed) for position, item in enumerate(training_set.items)]
    texts: dict[tuple[str, int], tuple[Tensor, Tensor]] = {}
    for item, versions in zip(training_set.items, wanted):
        for text in ((version.prompt, item.options.max_tokens) for version in versions):
            if text not in texts:
                texts[text] = tuple(part[0].detach().float().cpu() for part in encode_caption(*text))
    versions = [
        _encoded(item, of_item, encode_image, texts) if isinstance(item, Picture) else [item]
        for item, of_item in zip(training_set.items, wanted)
    ]
    return Examples(versions, training_set.epoch(), seed)


def _versions_of(item: Picture | Example, position: int, seed: int) -> list[Version]:
    if not isinstance(item, Picture):
        return []
    if not item.options.varies:
        return [item.version()]
    return [item.version(random.Random(f"{seed} {position} {number}")) for number in range(item.options.variants)]


def _encoded(
    picture: Picture, versions: Sequence[Version], encode_image, texts: dict[tuple[str, int], tuple[Tensor, Tensor]]
) -> list[Example]:
    pixels, mask = picture.read()
    latents: dict[tuple, Tensor] = {}
    examples = []
    for version in versions:
        if (where := (version.corner, version.flipped)) not in latents:
            latents[where] = encode_image(picture.cut(pixels, version)).detach().float().cpu()
        context, pooled = texts[version.prompt, picture.options.max_tokens]
        examples.append(
            Example(
                latent=latents[where],
                context=context,
                pooled=pooled,
                sizes=picture.frame.sizes(*where),
                caption=version.prompt,
                mask=None if mask is None else latent_mask(picture.cut(mask, version)),
                weight=picture.options.loss_weight,
                name=picture.name,
                max_tokens=picture.options.max_tokens,
            )
        )
    return examples
