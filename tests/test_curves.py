"""The mean curve over the losses of batches."""

from __future__ import annotations

import numpy as np
import pytest

from appl_search.report.curves import running_mean


@pytest.mark.parametrize(("batch", "batches"), [(1, 1), (5, 5), (8, 8), (9, 8), (64, 8), (65, 9), (200, 25)])
def test_each_point_is_the_mean_of_the_last_eight_batches_or_of_the_last_eighth(batch, batches):
    loss = np.random.default_rng(0).random(200)
    assert running_mean(loss)[batch - 1] == pytest.approx(loss[batch - batches : batch].mean(), abs=1e-12)


def test_what_is_drawn_stays_when_the_search_goes_on():
    loss = np.random.default_rng(0).random(200)
    assert np.array_equal(running_mean(loss)[:70], running_mean(loss[:70]))
    assert len(running_mean([])) == 0
