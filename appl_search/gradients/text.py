"""What the U-Net is told of captions and prompts: encoded once, or anew for each batch with the text encoders' deltas."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..host import conditioning
from ..host.denoiser import Denoiser, ModelConds
from ..images.examples import Examples
from ..images.pictures import Example
from .patching import Patched


class TextConditioning:
    """Conditioning of each example: encoded once, or anew for each batch when text encoders are searched.

    ``prompts``: others that will be asked for. What can be encoded once is encoded at once, while nothing keeps
    the text encoders from being moved out later.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        clip,
        patched: Patched | None,
        searched: bool,
        examples: Examples,
        prompts: Sequence[str] = (),
    ):
        self._denoiser, self._clip, self.patched, self._searched = denoiser, clip, patched, searched
        self._encoder = conditioning.CaptionEncoder(clip)
        self.examples = examples
        self._prompts = {} if searched else {prompt: conditioning.encode_caption(clip, prompt) for prompt in prompts}

    def of_prompt(self, prompt: str, strengths: Tensor) -> tuple[Tensor, Tensor]:
        """(context [1, tokens, c], pooled [1, p]) of a prompt; ``strengths`` [1, LoRAs * blocks]."""
        if not self._searched:
            return self._prompts[prompt]
        self.patched.strengths = strengths.to(self._clip.patcher.load_device)
        return conditioning.encode_caption(self._clip, prompt)

    def batch(self, examples: Sequence[Example], strengths: Tensor) -> list[ModelConds]:
        """Conditioning of each of these of the search's examples; ``strengths`` [b, LoRAs * blocks]."""
        if not self._searched:
            return [self._conds_of(example, example.context[None], example.pooled[None]) for example in examples]
        here = strengths.to(self._clip.patcher.load_device)

        def prepare(rows: slice) -> None:
            self.patched.strengths = here[rows]

        encoded = self._encoder([(example.caption, example.max_tokens) for example in examples], prepare)
        return [self._conds_of(example, *each) for example, each in zip(examples, encoded)]

    def _conds_of(self, example: Example, context: Tensor, pooled: Tensor) -> ModelConds:
        return self._denoiser.conds(context, pooled, example.sizes, example.latent.shape)
