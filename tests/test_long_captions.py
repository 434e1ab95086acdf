"""Captions of more than 75 tokens, as ComfyUI reads them and as kohya's trainers do."""

from __future__ import annotations

import pytest
import torch

from appl_search.demo import load_tiny_sdxl
from appl_search.host import conditioning, long_captions

WORDS = " ".join(["a large red zibby on a green background"] * 30)


@pytest.fixture(scope="module")
def clip():
    return load_tiny_sdxl()[1]


def ids(tokens: dict) -> dict[str, list[list[int]]]:
    return {name: [[token[0] for token in section] for section in sections] for name, sections in tokens.items()}


def test_sections_have_75_tokens_each_and_the_rest_is_cut_off(clip):
    whole = clip.tokenize(WORDS)
    for limit in (75, 150, 225):
        made = ids(long_captions.cut(clip, whole, limit))
        for name, sections in made.items():
            tokenizer = getattr(clip.tokenizer, f"clip_{name}")
            own = [token for section in ids(whole)[name] for token in section if token not in (section[0], tokenizer.end_token)]
            assert [len(section) for section in sections] == [77] * (limit // 75)
            assert [token for section in sections for token in section[1:-1]] == own[:limit]
            assert {(section[0], section[-1]) for section in sections} == {(ids(whole)[name][0][0], tokenizer.end_token)}


def test_a_short_caption_is_padded_to_as_many_sections(clip):
    for name, (first, second) in ids(long_captions.cut(clip, clip.tokenize("a red zibby"), 150)).items():
        tokenizer = getattr(clip.tokenizer, f"clip_{name}")
        assert [first] == ids(clip.tokenize("a red zibby"))[name]
        assert second == [first[0], tokenizer.end_token, *[tokenizer.pad_token] * 75]


def test_the_contexts_of_sections_are_joined_as_the_published_program_joins_them():
    # The places that its get_hidden_states_sdxl keeps of 231 (run on arange for 225 tokens).
    kept = [0, *range(1, 76), *range(78, 153), *range(155, 230), 230]
    assert long_captions.joined(torch.arange(231.0).view(1, -1, 1)).flatten().tolist() == kept


def test_the_context_is_that_of_the_sections_and_pooled_that_of_the_first(clip):
    context, pooled = conditioning.encode_caption(clip, WORDS, 150)
    assert context.shape[1] == 152
    first, first_pooled = conditioning.encode_caption(clip, WORDS, 75)
    torch.testing.assert_close(context[:, :76], first[:, :76])
    torch.testing.assert_close(pooled, first_pooled)
    plain, _ = conditioning.encode_caption(clip, WORDS)
    assert plain.shape[1] % 77 == 0 and plain.shape[1] > 231


def test_it_is_the_same_when_text_encoders_are_searched(clip):
    captions = [(WORDS, 150), ("a zibby", 0), (WORDS, 75)]
    together = conditioning.CaptionEncoder(clip)(captions, lambda rows: None)
    for caption, (context, pooled) in zip(captions, together):
        expected, expected_pooled = conditioning.encode_caption(clip, *caption)
        torch.testing.assert_close(context, expected)
        torch.testing.assert_close(pooled, expected_pooled)
