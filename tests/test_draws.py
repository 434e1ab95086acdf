"""What is drawn: fair over noise levels and pictures, and the same sample wherever and whenever it is asked for."""

from __future__ import annotations

import pytest
import torch

from appl_search.gradients.draws import SEARCH, VALIDATION, Draw, Draws, RecordedDraws

SHAPES = [torch.Size([4, 8, 8]), torch.Size([4, 6, 10]), torch.Size([4, 8, 8])]


def draws(samples=20, batch_size=6, seed=3, purpose=SEARCH) -> Draws:
    return Draws(SHAPES, samples, batch_size, seed, purpose)


def assert_same(one: Draw, other: Draw) -> None:
    assert list(one.numbers) == list(other.numbers)
    assert torch.equal(one.indices, other.indices) and torch.equal(one.levels, other.levels)
    for part in ("noise", "probes"):
        for first, second in zip(getattr(one, part), getattr(other, part), strict=True):
            assert torch.equal(first, second)


def test_the_batches_use_up_the_samples_and_fit_the_pictures():
    batches = list(draws())
    assert [len(batch) for batch in batches] == [6, 6, 6, 2]
    for batch in batches:
        assert [each.shape for each in batch.noise] == [SHAPES[i] for i in batch.indices.tolist()]
        assert [each.shape for each in batch.probes] == [SHAPES[i] for i in batch.indices.tolist()]


def test_each_batch_has_one_noise_level_in_each_of_its_parts():
    for batch in draws(samples=200, batch_size=16):
        assert sorted((batch.levels * len(batch)).long().tolist()) == list(range(len(batch)))


@pytest.mark.parametrize("pictures", [2, 5, 10])
def test_the_levels_of_each_picture_are_spread_over_its_visits(pictures):
    """How many of them are in each quarter varies less than half as much as if they were drawn at random."""
    uneven, samples = [], 320
    for seed in range(8):
        counts = torch.zeros(pictures, 4)
        for batch in Draws([torch.Size([1, 1, 1])] * pictures, samples, 16, seed):
            counts.index_put_((batch.indices, (batch.levels * 4).long()), torch.ones(len(batch)), accumulate=True)
        uneven.append((counts - samples / pictures / 4).square().mean())
    assert float(torch.stack(uneven).mean()) < 0.5 * samples / pictures * (1 / 4) * (3 / 4)


def test_every_level_is_as_likely_for_each_picture():
    first = torch.cat([draws(seed=seed).current().levels[:1] for seed in range(400)])
    assert torch.bincount((first * 4).long(), minlength=4).tolist() == pytest.approx([100] * 4, abs=35)


def test_every_picture_comes_once_before_any_comes_again():
    order = torch.cat([batch.indices for batch in draws(samples=300, batch_size=7)]).view(-1, 3)
    assert (order.sort(dim=1).values == torch.arange(3)).all()
    assert len(set(map(tuple, order.tolist()))) == 6


@pytest.mark.parametrize("position", [6, 12, 18])
def test_from_its_position_on_another_object_goes_on_with_the_same(position):
    stopped, goes_on = draws(), draws()
    while stopped.position < position:
        stopped.advance()
    goes_on.load_state_dict(stopped.state_dict())
    for one, other in zip(list(draws())[position // 6 :], goes_on, strict=True):
        assert_same(one, other)


def test_recorded_draws_go_on_too_and_reach_their_own_timesteps():
    recorded = [(torch.tensor([i, 0]), torch.tensor([999 - i, i]), torch.randn(2, 4, 8, 8)) for i in range(3)]
    whole = list(RecordedDraws(recorded, 1000))
    for i, batch in enumerate(whole):
        assert (batch.levels * 1000).long().tolist() == [999 - i, i]
    goes_on = RecordedDraws(recorded, 1000)
    goes_on.load_state_dict({"position": 1})
    for one, other in zip(whole[1:], goes_on, strict=True):
        assert_same(one, other)


def test_rows_of_a_batch_are_what_they_are_in_the_batch():
    batch = draws().current()
    part = batch.of([1, 3, 5])
    assert len(part) == 3
    for row, whole_row in enumerate([1, 3, 5]):
        assert torch.equal(part.noise[row], batch.noise[whole_row]) and torch.equal(part.probes[row], batch.probes[whole_row])
    assert torch.equal(part.levels, batch.levels[[1, 3, 5]])
    assert_same(part.of([0, 2]), batch.of([1, 5]))


def test_nothing_is_drawn_twice():
    """Also for seeds that are equal in their lower 32 bits, which are all that torch's generator looks at."""
    found = [draws(), draws(seed=4), draws(seed=3 + 2**32), draws(purpose=VALIDATION)]
    noise = [each for series in found for batch in series for part in (batch.noise, batch.probes) for each in part]
    beginnings = {tuple(each.flatten()[:4].tolist()) for each in noise}
    assert len(beginnings) == len(noise) == 160
