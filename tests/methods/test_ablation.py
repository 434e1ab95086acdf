"""What blocks do by a search's own models: rises and likenesses that are known beforehand, and intervals that hold them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from appl_search.comparing.ablation import OFF, ON
from appl_search.gradients.batch import Gradients
from appl_search.gradients.draws import Draws
from appl_search.searching.groups import Groups, third_of
from appl_search.searching.insight import ablation_by_models, likeness_by_models
from appl_search.searching.methods.gauss_newton import GaussNewton
from appl_search.searching.methods.moments import Moments
from appl_search.settings import SearchSettings
from tests.methods.planted import PlantedRates, PlantedWorld


class SomeLoras(PlantedRates):
    """LoRAs of so many blocks each."""

    def __init__(self, loras: int, blocks: int = 2):
        super().__init__(loras * blocks)
        self.parameter_of = torch.arange(loras * blocks).view(loras, blocks)
        self.layouts = [None] * loras


class Columns:
    """The loss |J (w - best) + e|^2 / M where J's columns are given, and each works in some thirds of the timesteps only."""

    def __init__(self, columns: Tensor, best: Tensor, works: Tensor, noise: float):
        """``columns`` [outputs, p]; ``works`` [p, 3]: 0 or 1."""
        self._generator = torch.Generator().manual_seed(0)
        self.columns, self.best, self.works, self._noise = columns, best, works, noise

    def batch(self, place: Tensor, thirds: Tensor, probes: int) -> Gradients:
        jacobians = self.columns * self.works.T[thirds][:, None]
        outputs = len(self.columns)
        errors, random = torch.randn(2, len(thirds), outputs, generator=self._generator, dtype=torch.float64)
        residuals = jacobians @ (place - self.best) + self._noise * errors
        gradients = 2 * torch.einsum("bmp,bm->bp", jacobians, residuals) / outputs
        directions = torch.einsum("bmp,bm->bp", jacobians[:probes], random[:probes])
        return Gradients(residuals.square().mean(1), gradients, directions / outputs**0.5)

    def loss(self, w: Tensor, third: int | None = None) -> float:
        """The expected loss, but for the noise."""
        if third is None:
            return sum(self.loss(w, each) for each in range(3)) / 3
        return float(((self.columns * self.works[:, third]) @ (w - self.best)).square().mean())


def searched(rates: PlantedRates, batch: Callable[[Tensor, Tensor, int], Gradients], samples: int, size: int = 16, seed: int = 0):
    """Groups of a search by gauss-newton, and what it found."""
    settings = SearchSettings(samples=samples, batch_size=size, tolerance=0.0)
    method, groups = GaussNewton(rates, settings), Groups(rates, settings, folds=[], examples=1)
    for draw in Draws([torch.Size([1])], samples, size, seed=seed):
        of_batch = batch(method.parameters, third_of(draw.levels), method.probes(len(draw)))
        groups.add(method.parameters, of_batch, draw)
        method.step(of_batch)
    return groups, method.solution()


def orthogonal(outputs: int, columns: int) -> Tensor:
    """Columns of mean square 1 that have nothing to do with each other."""
    return torch.linalg.qr(torch.randn(outputs, columns, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0] * outputs**0.5


def test_rises_are_those_of_the_planted_loss_in_all_and_by_thirds():
    rates, best = SomeLoras(1), torch.tensor([0.8, 0.5], dtype=torch.float64)
    works = torch.tensor([[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]], dtype=torch.float64)  # the first in the noisiest third alone
    world = Columns(0.3 * orthogonal(40, 2), best, works, noise=0.1)
    groups, found = searched(rates, world.batch, samples=3200)
    ablation = ablation_by_models(rates, groups.by_thirds(), found, 3200, 1)
    assert [group.name for group in ablation.groups] == ["all", "details", "form", "composition"]
    assert [group.share for group in ablation.groups[1:]] == pytest.approx([1 / 3] * 3, abs=0.03)
    for unit in range(2):
        for target, rate in ((OFF, 0.0), (ON, 1.0)):
            end = found.clone()
            end[unit] = rate
            for number, third in enumerate((None, 0, 1, 2)):
                known = world.loss(end, third) - world.loss(found, third)
                assert float(ablation.rise[unit, target, number]) == pytest.approx(known, rel=0.15, abs=2e-3)
    whole = world.loss(torch.zeros(2, dtype=torch.float64)) - world.loss(found)
    assert float(ablation.whole[0, 0]) == pytest.approx(whole, rel=0.1)
    assert ablation.losses.tolist() == pytest.approx([0.01] * 4, rel=0.15), "the loss itself: nothing of the pull to the start is in it"


def test_the_pull_to_the_start_and_the_shrinkage_are_no_loss():
    """After one batch both are large in what a search goes by, and the loss is that of the batch."""
    world, place = PlantedWorld(8), torch.zeros(8, dtype=torch.float64)
    batch, moments = world.batch(place, 40, 40), Moments(PlantedRates(8), SearchSettings())
    moments.add(place, batch)
    model, steadied = moments.loss_model(), moments.quadratic()
    torch.testing.assert_close(model.gradient, batch.gradients.mean(0))
    torch.testing.assert_close(model.curvature, 2 * batch.probes.T @ batch.probes / 40)
    torch.testing.assert_close(model.noise, torch.cov(batch.gradients.T) / 40)
    assert (steadied.hessian - model.curvature).abs().max() > 0.05 * model.curvature.abs().max()
    assert model.predicted_loss(place) == pytest.approx(float(batch.losses.mean()))
    rise = model.gradient.sum() + model.curvature.sum() / 2
    assert model.rise(place, torch.ones_like(place))[0] == pytest.approx(float(rise))


@pytest.mark.parametrize("size, samples, blocks", [(16, 320, 6), (4, 96, 4)])
def test_intervals_hold_the_true_rise_in_about_95_of_100_searches(size, samples, blocks):
    hits, thirds, likenesses = [], [], []
    world, rates = PlantedWorld(blocks), SomeLoras(1, blocks)
    hessian = world.curvature()

    def loss(w: Tensor) -> float:
        return float((w - world.best) @ hessian @ (w - world.best)) / 2

    for seed in range(30):
        world.draw_from(1000 + seed)
        groups, found = searched(rates, lambda place, thirds, probes: world.batch(place, len(thirds), probes), samples, size, seed)
        ablation = ablation_by_models(rates, groups.by_thirds(), found, samples, 1)
        likeness = likeness_by_models(rates, groups.by_thirds(), found)
        for unit in range(blocks):
            for target, rate in ((OFF, 0.0), (ON, 1.0)):
                end = found.clone()
                end[unit] = rate
                known = loss(end) - loss(found)
                is_within = (ablation.low[unit, target] <= known) & (known <= ablation.high[unit, target])
                hits.append(bool(is_within[0]))
                thirds += is_within[1:].tolist()
        size_of = hessian.diagonal().sqrt() * torch.where(found < 0, -1.0, 1.0)
        within = (likeness.cosine - hessian / (size_of[:, None] * size_of)).abs() <= likeness.error
        likenesses += within[~torch.eye(blocks, dtype=torch.bool)].tolist()
    for which in (hits, thirds, likenesses):
        assert 0.89 <= sum(which) / len(which) <= 0.99


@pytest.mark.parametrize("signs", [(1, 1), (1, -1)])
def test_loras_that_do_the_same_are_alike_and_opposite_ones_contrary(signs):
    """Two LoRAs of two blocks: the first block of both does the same, or the second one's the opposite; with positive rates."""
    column, rest = 0.3 * orthogonal(40, 3)[:, :1], 0.3 * orthogonal(40, 3)[:, 1:]
    columns = torch.cat([signs[0] * column, rest[:, :1], signs[1] * column, rest[:, 1:]], 1)
    world = Columns(columns, torch.full((4,), 0.5, dtype=torch.float64), torch.ones(4, 3, dtype=torch.float64), noise=0.1)
    rates = SomeLoras(2)
    groups, found = searched(rates, world.batch, samples=320)
    assert (found > 0).all()
    likeness = likeness_by_models(rates, groups.by_thirds(), found)
    one, other, cosine, error = next(likeness.pairs())
    assert {(likeness.units[number].lora, likeness.units[number].blocks) for number in (one, other)} == {(0, (0,)), (1, (0,))}
    assert cosine == pytest.approx(signs[0] * signs[1], abs=1e-9) and error < 1e-6
    assert abs(float(likeness.cosine[0, 1])) < 0.3 and likeness.cosine.diagonal().tolist() == pytest.approx([1.0] * 4)
    # What the sign means: with one of two alike gone the other stands in for it, one of two contrary ones alone does too much.
    ends = [torch.tensor(end, dtype=torch.float64) for end in ([0.0, 0.5, 0.5, 0.5], [0.0, 0.5, 1.0, 0.5])]
    assert (world.loss(ends[1]) < world.loss(ends[0])) == (signs[0] * signs[1] > 0)


def test_a_negative_rate_does_the_opposite_of_its_block():
    column = 0.3 * orthogonal(40, 1)
    world = Columns(torch.cat([column, column], 1), torch.tensor([1.0, -0.5], dtype=torch.float64), torch.ones(2, 3, dtype=torch.float64), 0.1)
    rates = SomeLoras(1)
    groups, _ = searched(rates, world.batch, samples=64)
    likeness = likeness_by_models(rates, groups.by_thirds(), torch.tensor([1.0, -0.5], dtype=torch.float64))
    assert float(likeness.cosine[0, 1]) == pytest.approx(-1.0)


def test_a_third_without_samples_is_left_out_and_nothing_is_known_without_any():
    world, rates = PlantedWorld(2), SomeLoras(1)
    settings = SearchSettings(samples=32, max_timestep=300)
    groups = Groups(rates, settings, folds=[], examples=1)
    assert ablation_by_models(rates, groups.by_thirds(), rates.start, 0, 1) is None
    assert likeness_by_models(rates, groups.by_thirds(), rates.start) is None
    for draw in Draws([torch.Size([1])], 32, 16, seed=0, levels=settings.levels):
        groups.add(rates.start, world.batch(rates.start, len(draw), 8), draw)
    found = ablation_by_models(rates, groups.by_thirds(), rates.start, 32, 1)
    assert [(group.name, group.share) for group in found.groups] == [("all", 1.0), ("details", 1.0)]
