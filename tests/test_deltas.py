"""Delta operators against patched weights and finite differences, in fp64."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from appl_search.deltas import BiasDifference, ConvGeometry, ConvLowRank, Dense, LinearLowRank

BATCH = 3


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def linear_case():
    layer = nn.Linear(6, 5).double()
    downs, ups = [random(2, 6), random(3, 6, seed=1)], [random(5, 2, seed=2), random(5, 3, seed=3)]
    return layer, LinearLowRank(downs, ups, [0, 1]), [up @ down for up, down in zip(ups, downs)], random(BATCH, 4, 6)


def conv_case():
    layer = nn.Conv2d(2, 3, 3, stride=2, padding=1).double()
    downs, ups = [random(2, 2, 3, 3), random(1, 2, 3, 3, seed=1)], [random(3, 2, seed=2), random(3, 1, seed=3)]
    differences = [torch.einsum("or,rihw->oihw", up, down) for up, down in zip(ups, downs)]
    return layer, ConvLowRank(downs, ups, [0, 1], ConvGeometry.of(layer)), differences, random(BATCH, 2, 5, 5)


def dense_case():
    layer = nn.Linear(6, 5).double()
    differences = [random(5, 6), random(5, 6, seed=9)]
    deltas = [Dense(lambda d=d: d, F.linear, i) for i, d in enumerate(differences)]
    return layer, Several(deltas), differences, random(BATCH, 4, 6)


class Several:
    def __init__(self, deltas):
        self.deltas = deltas

    def add(self, y, x, strengths):
        for delta in self.deltas:
            y = delta.add(y, x, strengths)
        return y


CASES = {"linear": linear_case, "conv": conv_case, "dense": dense_case}


@pytest.mark.parametrize("case", CASES)
def test_each_example_sees_the_weight_patched_at_its_own_strengths(case):
    layer, delta, differences, x = CASES[case]()
    strengths = random(BATCH, 2)
    found = delta.add(layer(x).detach(), x, strengths)
    for i in range(BATCH):
        weight = layer.weight + sum(s * d for s, d in zip(strengths[i], differences))
        patched = torch.func.functional_call(layer, {"weight": weight, "bias": layer.bias}, (x[i : i + 1],))
        torch.testing.assert_close(found[i : i + 1], patched)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_gradients_equal_finite_differences(case, shared):
    layer, delta, _, x = CASES[case]()
    layer.requires_grad_(False)
    strengths = random(1 if shared else BATCH, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, s: delta.add(layer(x), x, s), (x.requires_grad_(), strengths))


def test_bias_difference_of_a_convolution_goes_to_its_channels():
    difference, y = random(5), random(BATCH, 5, 2, 2)
    strengths = random(BATCH, 1).requires_grad_()
    found = BiasDifference(difference, 1, 0).add(y, y, strengths)
    torch.testing.assert_close(found, y + strengths[:, :, None, None] * difference[:, None, None])


def test_strengths_keep_small_gradients_in_half_precision():
    # 4096 products of about 1e-6 vanish in fp16 one by one, not in their fp32 sum.
    layer = nn.Linear(8, 8).half()
    delta = LinearLowRank([torch.full((1, 8), 1e-3).half()], [torch.full((8, 1), 1e-3).half()], [0])
    strengths = torch.ones(1, 1, requires_grad=True)
    x = torch.ones(1, 4096, 8, dtype=torch.float16)
    y = delta.add(layer(x).detach(), x, strengths)
    y.backward(torch.full_like(y, 1e-3))
    expected = 4096 * 8 * 1e-3 * (8 * 1e-3 * 1e-3)
    assert strengths.grad.item() == pytest.approx(expected, rel=0.02)


def test_only_the_input_projected_to_the_rank_is_kept_for_backward():
    layer, rank = nn.Linear(64, 64).requires_grad_(False), 2
    delta = LinearLowRank([torch.randn(rank, 64)], [torch.randn(64, rank)], [0])
    x, strengths = torch.randn(1, 100, 64), torch.ones(1, 1, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        delta.add(layer(x), x, strengths)
    assert max(kept) <= 100 * rank
