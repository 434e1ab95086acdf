"""The user's VAE and CLIP, as the encoders of a training set."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cached_property

from torch import Tensor

from ..digests import digest_of
from ..host import conditioning, device, fingerprints

log = logging.getLogger("appl_search")


class HostEncoders:
    """Of a VAE and a CLIP, either of which may be None when it is not needed.

    ``deltas``: what the search's own deltas on the text encoders are made of, as JSON would have it; None: they change
    while the search runs.
    """

    def __init__(self, vae, clip, deltas: object):
        self._vae, self._clip, self._deltas = vae, clip, deltas

    def image(self, pixels: Tensor) -> Tensor:
        device.check_interrupted()  # there may be many pictures
        return conditioning.encode_image(self._vae, pixels)

    def caption(self, text: str, max_tokens: int) -> tuple[Tensor, Tensor]:
        device.check_interrupted()
        return conditioning.encode_caption(self._clip, text, max_tokens)

    def image_key(self) -> str | None:
        return _told("images", "VAE", lambda: fingerprints.of_vae(self._vae))

    def caption_key(self, text: str, max_tokens: int) -> str | None:
        if self._deltas is None or self._text_encoders is None:
            return None
        tokens = fingerprints.of_tokens(conditioning.tokens_of(self._clip, text, max_tokens))
        return digest_of((self._text_encoders, self._deltas, tokens, max_tokens))

    @cached_property
    def _text_encoders(self) -> str | None:
        return _told("captions", "CLIP", lambda: fingerprints.of_text_encoders(self._clip))


def _told(what: str, model: str, fingerprint: Callable[[], str]) -> str | None:
    """A fingerprint; None where there is none, and then the user is told why."""
    try:
        return fingerprint()
    except fingerprints.NoFingerprint as error:
        log.warning("Encoded %s are not kept on disk: the %s has %s.", what, model, error)
        return None
