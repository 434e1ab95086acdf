"""Pictures are read while others are encoded, a few at a time, and what is made of them lies together."""

from __future__ import annotations

import threading

import pytest
import torch

from appl_search import TrainingOptions, TrainingSet
from appl_search.images.ahead import ahead
from appl_search.images.encoding import encode
from appl_search.images.frames import Frame
from appl_search.images.memory import Blocks
from appl_search.images.pictures import Picture
from tests.images.encoders import PlainEncoders

PATIENCE = 20.0  # seconds


class Source:
    """Pixels that are made when they are read; it notes in ``read`` that they were."""

    def __init__(self, number: int, read: list[int], was_read: threading.Condition):
        self._number, self._read, self._was_read = number, read, was_read

    def read(self):
        with self._was_read:
            self._read.append(self._number)
            self._was_read.notify_all()
        return torch.full((64, 64, 3), self._number / 100), None


@pytest.fixture
def reading():
    """(the training set, numbers of the pictures that were read so far, what tells of them)."""
    read, was_read = [], threading.Condition()
    frame = Frame.of((64, 64), None, "a picture")
    items = [Picture(Source(number, read, was_read), "", frame, f"picture {number}", TrainingOptions()) for number in range(40)]
    return TrainingSet(tuple(items)), read, was_read


def test_the_next_pictures_are_read_while_one_is_encoded_and_not_all_of_them(reading):
    training_set, read, was_read = reading

    class Slow(PlainEncoders):
        def image(self, pixels):
            now = len(self.images)
            with was_read:
                assert was_read.wait_for(lambda: len(read) >= min(now + 3, 40), PATIENCE), "nothing is read ahead"
                assert len(read) <= now + 6
            return super().image(pixels)

    examples = encode(training_set, Slow())
    assert sorted(read) == list(range(40))
    assert [round(100 * examples.of(index, 0).latent[0, 0, 0].item()) for index in range(40)] == list(range(40))


def test_an_error_comes_in_its_place_and_nothing_more_is_begun():
    begun = []

    def work(number):
        begun.append(number)
        return 1 // (number - 10)

    done = ahead(work, range(1000), 2, 3)
    assert [next(done) for _ in range(10)] == [1 // (number - 10) for number in range(10)]
    with pytest.raises(ZeroDivisionError):
        next(done)
    assert max(begun) < 20


def test_what_stays_lies_in_few_places_and_is_what_it_was():
    blocks = Blocks()
    given = [torch.randn(4, 128, 128, generator=torch.Generator().manual_seed(number)) for number in range(300)]
    kept = [blocks.keep(tensor) for tensor in given]
    assert all(torch.equal(*pair) for pair in zip(given, kept))
    assert len({tensor.untyped_storage().data_ptr() for tensor in kept}) == 2
    large = torch.zeros(3 << 22)
    assert blocks.keep(large).untyped_storage().nbytes() == 4 * large.numel()
