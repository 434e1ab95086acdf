"""The mean curve over the losses of a search's batches: the same one in figures and on the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Fewer batches than these say little: the loss of one batch depends on its images, timesteps and noise.
FEWEST_BATCHES = 8
#: Part of the batches so far that the mean is of, once that is more.
PART = 1 / 8


def running_mean(loss: Sequence[float] | NDArray) -> NDArray:
    """For each batch the mean loss [steps] of the last ones, itself included, in fp64.

    Of the last FEWEST_BATCHES (as many as there are, at first), or of the last eighth of the batches so far if that is
    more. It does not depend on what comes later: a curve that is drawn while the search runs only grows.
    """
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(loss, dtype=float))])
    ends = np.arange(1, len(sums))
    starts = np.maximum(0, ends - np.maximum(FEWEST_BATCHES, np.ceil(PART * ends).astype(int)))
    return (sums[ends] - sums[starts]) / (ends - starts)
