"""The last search of a node: kept so that block weights for another penalty need no new search."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from ...appl_search import LoraSource, PreviewSettings, SearchResult, SearchSettings
from ...appl_search.loras.layout import read_layout


@dataclass(frozen=True)
class SearchInputs:
    """Everything that a search depends on.

    ComfyUI hands over the same objects until something before the node changes, and nodes never change an object in
    place: the same objects are the same models and images. They are not kept alive here.
    """

    objects: tuple[weakref.ref | None, ...] = field(compare=False)  # equal references are of equal objects, not of the same
    loras: tuple[tuple, ...]
    settings: SearchSettings
    previews: PreviewSettings | None

    @classmethod
    def of(
        cls,
        objects: Sequence[object | None],
        sources: Sequence[LoraSource],
        settings: SearchSettings,
        previews: PreviewSettings | None,
    ) -> SearchInputs:
        """``objects``: those that the node was given; None for an input without a link."""
        references = tuple(None if given is None else weakref.ref(given) for given in objects)
        loras = tuple((read_layout(source).sha256, source.fixed, source.tie, source.start) for source in sources)
        return cls(references, loras, settings, previews)

    def give_the_same_search_as(self, others: SearchInputs) -> bool:
        """Whether a search of these and of the others would be the same. False when one of the objects no longer exists."""
        ours, theirs = ([reference and reference() for reference in inputs.objects] for inputs in (self, others))
        gone = any(one is None and reference is not None for one, reference in zip(ours, self.objects))
        return not gone and self == others and all(one is other for one, other in zip(ours, theirs))


@dataclass(frozen=True)
class FinishedSearch:
    """A search that has ended. ``pictures``: previews [n, height, width, 3].

    ``file``: below output/block_weights, None as long as it could not be saved.
    """

    inputs: SearchInputs
    result: SearchResult
    file: str | None
    pictures: Tensor | None
