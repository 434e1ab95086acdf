"""How pictures differ: planted differences, and SSIM as scikit-image 0.26 gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from appl_search.exploring.differences import difference, difference_map, structural_similarity

Y, X = np.mgrid[0:48, 0:64]
ONE = np.stack([X * 4 % 256, Y * 5 % 256, X * Y % 256], -1).astype(np.uint8)
OTHERS = {
    "moved colours": np.stack([(X * 4 + 40) % 256, Y * 5 % 256, X * (Y + 3) % 256], -1).astype(np.uint8),
    "moved aside": np.roll(ONE, 2, 1),
    "darker": ONE // 2,
}
#: structural_similarity(luma(ONE), luma(other), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0)
#: with luma(a) = a / 255 @ [0.299, 0.587, 0.114]; and numpy's mean absolute difference in %.
EXPECTED = {"moved colours": (0.3076033, 21.023625), "moved aside": (0.5166298, 11.160131), "darker": (0.6965467, 23.502179)}


def picture(pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))


@pytest.mark.parametrize("name", OTHERS)
def test_numbers_are_those_of_scikit_image(name):
    found = difference(picture(ONE), picture(OTHERS[name]))
    ssim, pixels = EXPECTED[name]
    assert found.ssim == pytest.approx(ssim, abs=2e-5)
    assert found.pixels == pytest.approx(pixels, rel=1e-6)


def test_a_planted_difference():
    other = ONE.copy()
    other[:12] = np.where(ONE[:12] < 128, ONE[:12] + 51, ONE[:12] - 51)  # a quarter of the picture, by a fifth of the range
    assert difference(picture(ONE), picture(other)).pixels == pytest.approx(5.0)


def test_the_same_picture_has_no_difference():
    found = difference(picture(ONE), picture(ONE))
    assert found.pixels == 0 and found.ssim == 1


def test_pictures_smaller_than_the_window_have_a_similarity():
    assert structural_similarity(picture(ONE[:8, :8]), picture(ONE[:8, :8])) == 1


def test_a_map_is_black_for_the_same_and_lighter_the_more_differs():
    one = torch.zeros(1, 256, 3, dtype=torch.uint8)
    found = difference_map(one, torch.arange(256, dtype=torch.uint8)[None, :, None].expand(1, 256, 3)).int()
    assert found[0, 0].tolist() == [0, 0, 4] and found[0, 255].tolist() == [252, 255, 164]
    luma = (found[0].double() @ torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)).diff()
    assert (luma > -1).all() and luma.sum() > 200


def test_a_map_shows_where_pictures_differ():
    other = ONE.copy()
    other[10:20, 30:40] ^= 0xFF
    black = (difference_map(picture(ONE), picture(other)) == torch.tensor([0, 0, 4], dtype=torch.uint8)).all(-1)
    assert not black[10:20, 30:40].any() and int(black.sum()) == 48 * 64 - 100
