"""The penalised minimum of a quadratic model against SciPy's bounded minimiser."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from appl_search.searching.methods.quadratic import Quadratic
from appl_search.searching.penalty_path import PenaltyPath


def random_model(seed: int, lower: float = -math.inf, upper: float = math.inf, size: int = 6) -> Quadratic:
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    center, gradient = (torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(2))
    noise = 0.01 * torch.eye(size, dtype=torch.float64)
    counts = torch.arange(1, size + 1).double()
    return Quadratic(
        center=center, loss=1.0, gradient=gradient, hessian=root @ root.T / size + 0.1 * torch.eye(size), noise=noise,
        counts=counts, negative_penalty=10.0, lower=lower, upper=upper,
    )  # fmt: skip


def by_scipy(model: Quadratic, penalty: float) -> np.ndarray:
    """w = positive part - negative part, each at least 0, so that the penalty is linear."""
    size = len(model.center)
    prices = penalty * model.counts.numpy()

    def objective(parts):
        w = torch.from_numpy(parts[:size] - parts[size:])
        slope = (model.gradient + model.hessian @ (w - model.center)).numpy()
        value = model.predicted_loss(w) + prices @ parts[:size] + (1 + model.negative_penalty) * prices @ parts[size:]
        return value, np.concatenate([slope + prices, -slope + (1 + model.negative_penalty) * prices])

    bounds = [(0, max(model.upper, 0))] * size + [(0, max(-model.lower, 0))] * size
    found = minimize(objective, np.full(2 * size, 0.1), jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-14,
                     options={"maxiter": 20000, "maxfun": 40000, "gtol": 1e-12})  # fmt: skip
    return found.x[:size] - found.x[size:]


@pytest.mark.parametrize("penalty", [0.0, 0.003, 0.03, 0.3])
@pytest.mark.parametrize("bounds", [(-math.inf, math.inf), (-0.2, 0.7), (0.0, 1.0)])
@pytest.mark.parametrize("seed", range(5))
def test_the_minimum_is_scipys(seed, bounds, penalty):
    model = random_model(seed, *bounds)
    found = model.minimum(penalty, torch.zeros(6, dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), by_scipy(model, penalty), atol=2e-4)


def test_the_path_goes_from_the_lowest_loss_to_no_block_at_all():
    path = PenaltyPath(random_model(1), torch.tensor([[*range(6), *[-1] * 14]]), torch.zeros(1, 20, dtype=torch.float64))
    solutions = path.grid(30)
    losses, sizes = [one.predicted_loss for one in solutions], [float(one.values.abs().sum()) for one in solutions]
    assert losses == sorted(losses) and solutions[0].penalty == 0
    assert sizes[-1] == 0 < sizes[-2]


@pytest.mark.parametrize("bounds", [(-math.inf, math.inf), (-0.2, 0.5), (0.0, 1.0)])
@pytest.mark.parametrize("seed", [3, 4, 5])
def test_the_best_single_strengths_are_those_of_a_scan(seed, bounds):
    model = random_model(seed, *bounds)
    parameter_of = torch.full((2, 20), -1)
    parameter_of[0, [2, 5, 9]], parameter_of[1, [1, 10, 13]] = torch.arange(3), torch.arange(3, 6)
    single = PenaltyPath(model, parameter_of, torch.zeros(2, 20, dtype=torch.float64)).best_single()
    grid = torch.linspace(max(-3, bounds[0]), min(3, bounds[1]), 121, dtype=torch.float64)
    losses = {(a, b): model.predicted_loss(torch.tensor([a] * 3 + [b] * 3, dtype=torch.float64)) for a in grid.tolist() for b in grid.tolist()}
    scanned = min(losses, key=losses.get)
    assert single.strengths == pytest.approx(scanned, abs=0.05)
    assert losses[scanned] - 5e-3 < single.predicted_loss < losses[scanned] + 1e-9


def test_standard_errors_are_those_of_a_linear_map_of_the_noise():
    model = random_model(2)
    found = model.minimum(0.0, model.center)
    inverse = torch.linalg.inv(model.hessian)
    torch.testing.assert_close(model.stderr(found), (inverse @ model.noise @ inverse).diagonal().sqrt())
