"""A second reading of Inspire's rules, which shares nothing with the code that writes its vectors.

What ``LoraLoaderBlockWeight //Inspire`` does with a vector (September 2025, seen running; tests/end_to_end compares
with the node itself):

* The vector is split at commas; a value is a number ``-?digits(.digits)?``, or several of them with single spaces
  between. With fewer than 12 values it is taken for a preset's name.
* The first value is for all keys that are in no block of the U-Net.
* The other keys are sorted: input, middle, output blocks, each by the number in their name. Going through them, the
  next value is taken whenever that number differs from the key's before, if there is a value left.
* A value of several numbers is spent one number per key; the last number stays in force.
"""

from __future__ import annotations

import re

_NUMBER = re.compile(r"^-?[0-9]+(\.[0-9]+)?$")
_BLOCK = re.compile(r"^diffusion_model\.(input_blocks|middle_block|output_blocks)\.([0-9]+)\.")
_ORDER = ["input_blocks", "middle_block", "output_blocks"]


def inspire_ratios(vector: str, keys: list[str]) -> dict[str, float]:
    """The ratio that the node would give each model key of a LoRA."""
    values = [value.split(" ") for value in vector.split(",")]
    assert len(values) >= 12, f"taken for a preset's name: {vector}"
    for number in (number for value in values for number in value):
        assert _NUMBER.match(number), f"not a number there: {number!r}"
    queue = [[float(number) for number in value] for value in values]

    base = queue.pop(0)[0]
    ratios = {key: base for key in keys if not _BLOCK.match(key)}
    in_blocks = [(_ORDER.index(match[1]), int(match[2]), key) for key in keys if (match := _BLOCK.match(key))]
    before, current = None, []
    for _, number, key in sorted(in_blocks, key=lambda entry: entry[:2]):
        if number != before and queue:
            current = queue.pop(0)
        elif len(current) > 1:
            current = current[1:]
        ratios[key] = current[0]
        before = number
    return ratios
