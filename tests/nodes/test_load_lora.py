"""The learnable loader acts as the stock one until the search, and touches nothing else."""

from __future__ import annotations

import pytest

from appl_search import LoraError
from appl_search.host.learnable import split_learnable
from tests import oracle
from tests.nodes.patched import assert_same_weights, stock


@pytest.mark.parametrize("init", [0.5, 1.0, -0.3, 0.0])
def test_acts_as_the_stock_loader_at_strength_init(node, folders, model, init):
    learnable, clip = node("ApplSearchLoadLora").load(model, "a.safetensors", init)
    assert clip is None
    assert_same_weights(learnable, stock(model, oracle.LORA_A, init))


def test_the_incoming_model_stays_as_it_is(node, folders, model):
    before = stock(model, oracle.LORA_B, 0.7)
    patches, identity = {key: list(entries) for key, entries in before.patches.items()}, before.patches_uuid
    node("ApplSearchLoadLora").load(before, "a.safetensors", 0.5)
    assert before.patches == patches and before.patches_uuid == identity
    assert not model.patches


def test_loras_of_stock_loaders_around_it_stay_applied_and_are_not_searched(node, folders, model):
    before = stock(model, oracle.LORA_B, 0.7)
    learnable, _ = node("ApplSearchLoadLora").load(before, "a.safetensors", 0.5)
    after = stock(learnable, oracle.LORA_B, 0.2)
    assert_same_weights(after, stock(stock(stock(model, oracle.LORA_B, 0.7), oracle.LORA_A, 0.5), oracle.LORA_B, 0.2))

    rest, _, sources = split_learnable(after, None)
    assert [source.name for source in sources] == ["a"]
    assert_same_weights(rest, stock(before, oracle.LORA_B, 0.2))


def test_chained_loaders_are_searched_in_loading_order(node, folders, model):
    names = ["sub/b.safetensors", "a.safetensors", "sub/b.safetensors"]
    for name in names:
        model, _ = node("ApplSearchLoadLora").load(model, name, 0.5)
    _, _, sources = split_learnable(model, None)
    assert [source.name for source in sources] == ["b", "a", "b"]


def test_each_lora_starts_at_its_own_init(node, folders, model):
    first, _ = node("ApplSearchLoadLora").load(model, "a.safetensors", 0.25)
    second, _ = node("ApplSearchLoadLora").load(first, "sub/b.safetensors", 0.75)
    _, _, sources = split_learnable(second, None)
    assert [set(source.start.values()) for source in sources] == [{0.25}, {0.75}]


def test_a_lora_that_is_gone_is_named(node, folders, model):
    with pytest.raises(LoraError, match="There is no LoRA 'gone.safetensors'. Put the file into"):
        node("ApplSearchLoadLora").load(model, "gone.safetensors", 0.5)


def test_a_truncated_lora_is_named(node, folders, model):
    path = folders / "loras" / "a.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(LoraError, match="a.safetensors cannot be read as safetensors"):
        node("ApplSearchLoadLora").load(model, "a.safetensors", 0.5)


def test_the_demo_loras_are_listed_after_the_users_own(node, folders):
    from appl_search import demo

    (names, _) = node("ApplSearchLoadLora").INPUT_TYPES()["required"]["lora_name"]
    assert names == ["a.safetensors", "sub/b.safetensors", *(f"[demo] {name}" for name in demo.lora_paths())]
