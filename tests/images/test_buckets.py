"""Buckets, resizing and crops are those of kohya's own code, whose numbers are in tests/data/kohya."""

from __future__ import annotations

import json

import pytest

from appl_search.images.buckets import Buckets, crop_told
from tests.pack import ROOT

KOHYA = ROOT / "tests" / "data" / "kohya"
CASES = json.loads((KOHYA / "buckets.json").read_text())


def buckets(case: dict) -> Buckets:
    resolution = tuple(case["resolution"])
    if case["step"] is None:
        return Buckets(resolution, several=False)
    return Buckets(resolution, case["minimum"], case["maximum"], case["step"], case["no_upscale"])


@pytest.mark.parametrize("case", CASES)
def test_the_list_of_buckets_is_kohyas(case):
    if case["buckets"] is not None:
        assert [list(size) for size in buckets(case).sizes] == case["buckets"]


@pytest.mark.parametrize("case", CASES)
def test_every_picture_goes_into_kohyas_bucket_with_kohyas_crop(case):
    ours = buckets(case)
    for width, height, *expected in case["pictures"]:
        bucket, resized = ours.choose((width, height))
        left, top, right = crop_told(bucket, (width, height))
        assert [*bucket, *resized, left, top, right] == [*expected[:4], *map(int, expected[4:6]), expected[6]]


def test_a_resolution_outside_the_limits_of_the_buckets_is_refused():
    with pytest.raises(
        ValueError, match="resolution is 1024x2112, expected sides from the smallest .256. to the largest"
    ):
        Buckets((1024, 2112))
    with pytest.raises(ValueError, match="step is 60, expected a multiple of 8"):
        Buckets((1024, 1024), step=60)
