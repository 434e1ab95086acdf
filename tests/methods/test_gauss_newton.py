"""Gauss-Newton in a world whose answer is known: it finds it, knows how far off it is, and stops in time."""

from __future__ import annotations

import math

import pytest
import torch

from appl_search.searching.methods.gauss_newton import GaussNewton
from appl_search.settings import SearchSettings
from tests.methods.planted import PlantedRates, PlantedWorld

RATES = 12
FREE = SearchSettings(samples=320, penalty=0.0, tolerance=0.0)


def test_the_more_samples_the_nearer_to_the_planted_rates():
    errors = []
    for samples in (160, 2560):
        world = PlantedWorld(RATES)
        found = world.run(GaussNewton, SearchSettings(samples=samples, penalty=0.0, tolerance=0.0)).solution()
        errors.append(float((found - world.best).norm()))
    assert errors[1] < 0.4 * errors[0] and errors[1] < 0.15 * float(world.best.norm())


def test_a_penalty_switches_useless_rates_off_exactly():
    world = PlantedWorld(RATES)
    found = world.run(GaussNewton, SearchSettings(samples=1280, penalty=1e-3)).solution()
    assert (found[world.best == 0] == 0).all() and (found[world.best > 0.5] > 0.3).all()


def test_standard_errors_are_true():
    hits = []
    for seed in range(40):
        world = PlantedWorld(RATES, seed)
        method = world.run(GaussNewton, FREE)
        found = method.solution()
        hits.append((found - world.best).abs() < 1.645 * method.model().stderr(found))
    assert 0.80 <= float(torch.cat(hits).double().mean()) <= 0.97


def test_the_expected_excess_of_the_loss_is_the_true_one():
    expected, true = [], []
    for seed in range(20):
        world = PlantedWorld(RATES, seed)
        method = world.run(GaussNewton, FREE)
        found = method.solution()
        off = found - world.best
        expected.append(method.model().excess())
        true.append(float(off @ world.curvature() @ off) / 2)
    assert sum(expected) == pytest.approx(sum(true), rel=0.35)


def test_it_stops_when_more_samples_would_hardly_help():
    world = PlantedWorld(RATES)
    method = world.run(GaussNewton, SearchSettings(samples=100_000, penalty=0.0, tolerance=5e-3))
    model = method.model()
    assert 96 <= world.samples < 5000
    assert model.excess() < 5e-3 * model.loss


def test_a_tolerance_of_zero_uses_all_samples():
    world = PlantedWorld(RATES)
    world.run(GaussNewton, SearchSettings(samples=9600, penalty=0.0, tolerance=0.0))
    assert world.samples == 9600


def test_rates_that_nothing_depends_on_stay_near_their_start():
    class Blind(PlantedWorld):
        def examples(self, count):
            jacobians, errors = super().examples(count)
            jacobians[:, :, 0] *= 1e-6
            return jacobians, errors

    found = Blind(RATES).run(GaussNewton, FREE).solution()
    assert float(found[0]) == pytest.approx(0.5, abs=0.05)


def test_batches_of_one_sample_come_near_too():
    world = PlantedWorld(RATES)
    found = world.run(GaussNewton, SearchSettings(samples=320, batch_size=1, penalty=0.0, tolerance=0.0)).solution()
    assert float((found - world.best).norm()) < 0.25 * float(world.best.norm())


def test_a_rate_with_a_sixth_of_the_curvature_that_the_probes_say_does_not_creep():
    """As a rate that saturates: with batches at the model's minima alone it is 0.12 away in the mean, and the others further off."""

    class Flat(PlantedWorld):
        def __init__(self, *args):
            super().__init__(*args)
            self.best[0] = 3.0

        def batch(self, parameters, count, probes):
            batch = super().batch(parameters, count, probes)
            batch.probes[:, 0] *= 6**0.5
            return batch

    settings = SearchSettings(samples=480, penalty=0.0, tolerance=0.0)
    found = [float(Flat(RATES, seed).run(GaussNewton, settings).solution()[0]) for seed in range(5)]
    assert sum(abs(each - 3.0) for each in found) / 5 < 0.05


@pytest.mark.parametrize("lower, upper", [(0.0, 0.6), (-math.inf, 0.4)])
def test_bounds_hold(lower, upper):
    class Bounded(PlantedRates):
        def __init__(self, count):
            super().__init__(count)
            self.lower, self.upper = lower, upper
            self.start = self.start.clamp(lower, upper)

    world = PlantedWorld(RATES)
    method = world.run(lambda rates, settings: GaussNewton(Bounded(len(rates)), settings), FREE)
    found = method.solution()
    assert found.min() >= lower and found.max() == upper
