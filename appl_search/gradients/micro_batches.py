"""As many examples at a time as the device's memory holds, and fewer when it turns out to hold fewer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

from ..host import autograd, device
from ..host.denoiser import Denoiser
from ..host.undo import Undo

log = logging.getLogger("appl_search")

#: Activations that backward needs, as multiples of what the host reserves for inference on the same
#: batch; without and with checkpointing. Counted on SDXL's layers at 1024 x 1024 pixels.
KEPT, KEPT_CHECKPOINTED = 30, 4


class MicroBatches:
    """Splits a batch so that it fits, and runs it; checkpointing stays on until ``undo`` takes it off.

    ``size``: examples at a time. It starts from the memory that is free. When memory runs out it is
    halved, then the U-Net's blocks are checkpointed, and only then does it fail; what was computed
    already is kept, and each example's numbers do not depend on the size beyond rounding.
    """

    def __init__(self, denoiser: Denoiser, shape: torch.Size, batch_size: int, undo: Undo):
        self._denoiser, self._undo = denoiser, undo
        self.checkpointing = False
        plain = denoiser.inference_memory((1, *shape))
        free = device.free_memory(denoiser.device)
        if free < KEPT * plain:
            self._checkpoint()
        most = 1 if denoiser.one_at_a_time else batch_size
        self.size = max(1, min(most, int(free / (plain * (KEPT_CHECKPOINTED if self.checkpointing else KEPT)))))

    def run(self, groups: Sequence[Sequence[int]], work: Callable[[list[int]], None]) -> None:
        """Calls ``work`` with parts of each group, until all rows are done.

        Raises the host's out-of-memory error when a single checkpointed example does not fit.
        """
        for group in groups:
            rows = list(group)
            while rows:
                device.check_interrupted()
                part = rows[: self.size]
                try:
                    work(part)
                except device.OUT_OF_MEMORY as error:
                    failed = error.with_traceback(None)  # its frames hold the activations
                else:
                    rows = rows[len(part) :]
                    continue
                self._shrink(len(part), failed)

    def _shrink(self, tried: int, error: Exception) -> None:
        device.release_memory()
        if tried > 1:
            self.size = tried // 2
            log.warning("Out of memory with %d examples at a time: going on with %d.", tried, self.size)
        elif not self.checkpointing:
            self._checkpoint()
            log.warning("Out of memory with one example at a time: going on with gradient checkpointing.")
        else:
            raise device.OUT_OF_MEMORY(
                "Out of memory, even with one example at a time and gradient checkpointing. Use smaller training images, "
                "start ComfyUI with --lowvram, or close other programs that use the GPU."
            ) from error

    def _checkpoint(self) -> None:
        autograd.checkpoint_blocks(self._denoiser.model, self._undo, self._denoiser.one_at_a_time)
        self.checkpointing = True
