"""Patched layers against the layer with the patched weight and finite differences, in fp64."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from appl_search.gradients.deltas import Chain, Dense, LayerDeltas, LowRank, OutputDeltas
from appl_search.gradients.patching import Patched
from appl_search.host.operations import operation_of
from appl_search.host.undo import Undo

BATCH = 3


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=torch.float64)


def linear():
    return nn.Linear(8, 6), random(BATCH, 9, 8)


def vector():
    return nn.Linear(8, 6), random(BATCH, 8)


def conv():
    return nn.Conv2d(2, 3, 3, stride=2, padding=1), random(BATCH, 2, 5, 5)


def low_rank(ranks):
    def deltas(weight):
        downs = [random(rank, *weight.shape[1:], seed=rank) for rank in ranks]
        ups = [random(len(weight), rank, seed=rank + 7) for rank in ranks]
        differences = [(up @ down.flatten(1)).view_as(weight) for up, down in zip(ups, downs)]
        return [LowRank(downs, ups, [0, 1], 2)], lambda a, b: a * differences[0] + b * differences[1]

    return deltas


def dense(weight):
    one, two = random(*weight.shape), random(*weight.shape, seed=5)
    return [Dense(lambda _: one, 0), Dense(lambda w: w * two, 1)], lambda a, b: a * one + b * weight * two


def chain(weight):
    change = random(*weight.shape)
    patched = lambda w, numbers: (w + numbers[0] * change) * (1 + numbers[1] ** 2)  # noqa: E731
    return [Chain(patched)], lambda a, b: (weight + a * change) * (1 + b**2) - weight


LAYERS = {"linear": linear, "vector": vector, "conv": conv}
DELTAS = {"low rank": low_rank([1, 2]), "ranks above the layer's size": low_rank([20, 30]), "dense": dense, "chain": chain}


@pytest.mark.parametrize("deltas", DELTAS)
@pytest.mark.parametrize("kind", LAYERS)
def test_output_and_gradients_for_each_example(kind, deltas):
    layer, x = LAYERS[kind]()
    layer = layer.double().requires_grad_(False)
    weights, difference = DELTAS[deltas](layer.weight)
    bias = random(len(layer.weight), seed=3)
    layers = {"0": LayerDeltas(operation_of(layer), weights, [(1, bias)], [4, 2])}
    a, b = torch.tensor(0.7, dtype=torch.float64), torch.tensor(-0.4, dtype=torch.float64)
    x.requires_grad_()
    strengths = torch.zeros(BATCH, 5)
    strengths[:, 4], strengths[:, 2] = a, b
    strengths.requires_grad_()
    with Undo() as undo:
        patched = Patched(nn.Sequential(layer), layers, undo)
        patched.strengths = strengths
        y = patched.model(x)
        seed = random(*y.shape)
        by_x, by_strengths = torch.autograd.grad(y, (x, strengths), seed)

    def plain(a, b, x=x):
        parameters = {"weight": layer.weight + difference(a, b), "bias": layer.bias + b * bias}
        return torch.func.functional_call(layer, parameters, (x,))

    torch.testing.assert_close(y, plain(a, b), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(by_x, torch.autograd.grad(plain(a, b), x, seed)[0], rtol=1e-6, atol=1e-6)
    step = 1e-5
    for column, ahead, behind in ((4, (a + step, b), (a - step, b)), (2, (a, b + step), (a, b - step))):
        expected = ((plain(*ahead) - plain(*behind)) / (2 * step) * seed).flatten(1).sum(1)
        torch.testing.assert_close(by_strengths[:, column].double(), expected, rtol=1e-5, atol=1e-4)


def test_strengths_shared_by_the_batch_get_the_sum_of_its_gradients():
    layer, x = linear()
    layer = layer.double().requires_grad_(False)
    weights, _ = low_rank([1, 2])(layer.weight)
    found = []
    with Undo() as undo:
        patched = Patched(nn.Sequential(layer), {"0": LayerDeltas(operation_of(layer), weights, [], [0, 1])}, undo)
        for rows in (1, BATCH):
            strengths = torch.full((rows, 2), 0.5, requires_grad=True)
            patched.strengths = strengths
            found.append(torch.autograd.grad(patched.model(x).square().sum(), strengths)[0].sum(0))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("norm", [nn.LayerNorm(4), nn.GroupNorm(2, 4)], ids=["layer norm", "group norm"])
def test_norms_take_differences_of_weight_and_bias(norm):
    norm = norm.double().requires_grad_(False)
    is_group = isinstance(norm, nn.GroupNorm)
    x, weight, bias = random(BATCH, 4, 4), random(4, seed=1), random(4, seed=2)
    plain = type(norm)(*((2, 4) if is_group else (4,)), affine=False) if is_group else nn.LayerNorm(4, elementwise_affine=False)
    channels = (lambda t: t[:, None]) if is_group else (lambda t: t)
    deltas = OutputDeltas(lambda x, w: plain(x) * channels(w), [(0, weight)], [(0, bias)], 1 if is_group else -1, [0])
    strengths = random(BATCH, 1).requires_grad_()
    found = deltas.add(norm(x), x, strengths)
    for i in range(BATCH):
        s = strengths[i, 0]
        patched = {"weight": norm.weight + s * weight, "bias": norm.bias + s * bias}
        torch.testing.assert_close(found[i : i + 1], torch.func.functional_call(norm, patched, (x[i : i + 1],)))


def test_strengths_keep_small_gradients_in_half_precision():
    # 4096 products of about 1e-6 vanish in fp16 one by one, not in their fp32 sum.
    layer = nn.Linear(8, 8).half().requires_grad_(False)
    deltas = LowRank([torch.full((1, 8), 1e-3).half()], [torch.full((8, 1), 1e-3).half()], [0], 1)
    strengths = torch.ones(1, 1, requires_grad=True)
    with Undo() as undo:
        patched = Patched(nn.Sequential(layer), {"0": LayerDeltas(operation_of(layer), [deltas], [], [0])}, undo)
        patched.strengths = strengths
        y = patched.model(torch.ones(1, 4096, 8, dtype=torch.float16))
    y.backward(torch.full_like(y, 1e-3))
    assert strengths.grad.item() == pytest.approx(4096 * 8 * 1e-3 * (8 * 1e-3 * 1e-3), rel=0.02)


def test_large_sums_of_a_full_difference_stay_within_half_precision():
    layer = nn.Linear(8, 8).half().requires_grad_(False)
    deltas = Dense(lambda weight: torch.full_like(weight, 0.5, dtype=torch.float32), 0)
    strengths = torch.ones(1, 1, requires_grad=True)
    with Undo() as undo:
        patched = Patched(nn.Sequential(layer), {"0": LayerDeltas(operation_of(layer), [deltas], [], [0])}, undo)
        patched.strengths = strengths
        y = patched.model(torch.full((1, 4096, 8), 8.0, dtype=torch.float16))
    y.backward(torch.full_like(y, 4.0))  # dL/dweight is 4096 * 8 * 4 = 131072, above fp16's 65504
    assert strengths.grad.item() == pytest.approx(64 * 131072 * 0.5, rel=0.01)


@pytest.mark.parametrize("ranks, most", [([1, 1], 100 * 2), ([64, 64], 100 * 64)])
def test_only_the_input_projected_to_the_ranks_is_kept_or_the_input_itself_if_smaller(ranks, most):
    layer = nn.Linear(64, 64).requires_grad_(False)
    weights = LowRank([torch.randn(r, 64) for r in ranks], [torch.randn(64, r) for r in ranks], [0, 1], 2)
    x, kept = torch.randn(1, 100, 64), []
    with Undo() as undo:
        patched = Patched(nn.Sequential(layer), {"0": LayerDeltas(operation_of(layer), [weights], [], [0, 1])}, undo)
        patched.strengths = torch.ones(1, 2, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            patched.model(x)
    assert 0 < sum(kept) <= most
