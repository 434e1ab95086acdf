"""What blocks do, in sentences that a newcomer understands: few, and only of what is sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .ablation import OFF, ON, PICTURES, THIRD_NAMES, TIMESTEPS, Ablation
from .likeness import Likeness
from .units import Unit, listed

#: Sentences in all, and those that say what single blocks carry.
MOST, MOST_CARRYING = 6, 3
#: A block matters from this part of what its LoRA brings on, and can go where it surely is less than that.
MATTERS, CAN_GO = 0.05, 0.02
#: A block is better off where at 1 the loss is surely higher by more than this part of it.
WORTH_SAYING = 0.001
#: Blocks do the same, or fight, where their cosine is surely beyond this.
ALIKE = 0.6
_LISTED = 8


@dataclass(frozen=True)
class Finding:
    """``key``, ``values``: the sentence of ``SENTENCES`` and what fills it."""

    key: str
    values: Mapping[str, str]

    @property
    def text(self) -> str:
        return SENTENCES[self.key].format_map(self.values)


SENTENCES = {
    "carries": "{block} carries {share}% of what {lora} brings: without it the loss is {percent}% higher ({low} to {high}%).",
    "carries, third": "{block} carries {share}% of what {lora} brings, most of it {third}: without it the loss is {percent}% higher ({low} to {high}%).",
    "carries, group": "{block} carries {share}% of what {lora} brings, the most for {group}: without it the loss is {percent}% higher ({low} to {high}%).",
    "carries, third and group": (
        "{block} carries {share}% of what {lora} brings, most of it {third}, and the most for {group}: without it the loss is {percent}% higher ({low} to {high}%)."
    ),
    "harms": "{block} does harm: without it the loss is {percent}% lower ({low} to {high}%).",
    "can go": "{blocks} could go: without any one of them less than {share}% of what {lora} brings is lost.",
    "one can go": "{blocks} could go: without it less than {share}% of what {lora} brings is lost.",
    "stays off": "{blocks} are better off: at 1 the loss would be higher, by {percent}% and more.",
    "one stays off": "{blocks} is better off: at 1 the loss would be {percent}% higher ({low} to {high}%).",
    "not sure": "Which blocks of {lora} matter cannot be told from {samples} samples.",
    "alike": "{block} and {other} do the same: one of them could go.",
    "fight": "{block} and {other} work against each other: each undoes a part of what the other does.",
}

THE_LORA, THAT_LORA = "the LoRA", "that LoRA"
#: What stands in sentences instead of names; all else in them is names and numbers.
PHRASES = (THE_LORA, THAT_LORA, *THIRD_NAMES)


def findings(
    ablation: Ablation | None, likeness: Likeness | None, loras: Sequence[str], blocks: Sequence[str], rates: Sequence[Sequence[float]]
) -> list[Finding]:
    """The most important ones first. ``loras``, ``blocks``: names. ``rates``: of each LoRA and block, as they were found."""
    told = _Told(loras, blocks, rates)
    carrying = list(told.of_blocks(ablation)) if ablation is not None else []
    pairs = list(told.of_pairs(likeness, ablation))[:2] if likeness is not None else []
    rest = list(told.of_the_rest(ablation)) if ablation is not None else []
    carrying = carrying[: max(MOST_CARRYING, MOST - len(pairs) - len(rest))]
    return [*carrying, *pairs, *rest][:MOST]


@dataclass(frozen=True)
class _Told:
    """The names and rates of the blocks that sentences are about."""

    loras: Sequence[str]
    blocks: Sequence[str]
    rates: Sequence[Sequence[float]]

    def of_blocks(self, ablation: Ablation) -> Iterator[Finding]:
        """Of the LoRAs of which nothing is sure, and of the blocks that matter: what they carry, or that they do harm."""
        for lora in range(len(self.loras)):
            if any(unit.lora == lora for unit in ablation.units) and not ablation.whole_low[lora, 0] > 0:
                yield Finding("not sure", {"lora": self._lora(lora), "samples": str(ablation.samples)})
        shares = ablation.share.tolist()
        for number in sorted(range(len(shares)), key=lambda number: -float(ablation.rise[number, OFF, 0].abs())):
            if ablation.low[number, OFF, 0] > 0 and shares[number] >= MATTERS:
                yield self._carries(ablation, number, shares[number])
            elif ablation.high[number, OFF, 0] < 0:
                yield Finding("harms", {"block": self._unit(ablation, number), **_percent(ablation, number, OFF, sign=-1)})

    def of_pairs(self, likeness: Likeness, ablation: Ablation | None) -> Iterator[Finding]:
        """Of pairs of blocks that are on: which do the same, and which fight."""
        for one, other, cosine, error in likeness.pairs():
            names = [likeness.units[number].name(self.loras, self.blocks) for number in (one, other)]
            if abs(cosine) - error >= ALIKE and all(self._is_on(likeness.units[number]) for number in (one, other)):
                yield Finding("alike" if cosine > 0 else "fight", {"block": names[0], "other": names[1]})

    def of_the_rest(self, ablation: Ablation) -> Iterator[Finding]:
        """For each LoRA: which of its blocks could go, and which are better off."""
        for lora in range(len(self.loras)):
            whole = float(ablation.whole[lora, 0])
            units = [number for number, unit in enumerate(ablation.units) if unit.lora == lora]
            on = [number for number in units if self._is_on(ablation.units[number])]
            if ablation.whole_low[lora, 0] > 0:
                going = [number for number in on if 0 <= ablation.high[number, OFF, 0] < CAN_GO * whole]
                if going:
                    values = {"blocks": self._units(ablation, going), "lora": self._lora(lora), "share": f"{100 * CAN_GO:.0f}"}
                    yield Finding("can go" if len(going) > 1 else "one can go", values)
            off = [number for number in units if number not in on and ablation.low[number, ON, 0] > WORTH_SAYING * ablation.losses[0]]
            if off:
                values = _percent(ablation, min(off, key=lambda number: float(ablation.rise[number, ON, 0])), ON)
                yield Finding("stays off" if len(off) > 1 else "one stays off", {"blocks": self._units(ablation, off), **values})

    def _carries(self, ablation: Ablation, number: int, share: float) -> Finding:
        rise, low = ablation.rise[number, OFF], ablation.low[number, OFF]
        values = {"block": self._unit(ablation, number), "lora": THAT_LORA if len(self.loras) > 1 else THE_LORA, "share": f"{100 * share:.0f}"}
        values |= _percent(ablation, number, OFF)
        parts = {one: float(rise[one]) * ablation.groups[one].share for one in ablation.of_kind(TIMESTEPS)}
        third = max(parts, key=parts.__getitem__, default=None)
        if third is not None and low[third] > 0 and parts[third] > sum(parts.values()) / 2:
            values["third"] = ablation.groups[third].name
        group = max(ablation.of_kind(PICTURES), key=lambda one: float(rise[one]), default=None)
        if group is not None and low[group] > rise[0]:
            values["group"] = ablation.groups[group].name
        more = " and ".join(name for name in ("third", "group") if name in values)
        return Finding(f"carries, {more}" if more else "carries", values)

    def _is_on(self, unit: Unit) -> bool:
        return any(self.rates[unit.lora][block] != 0 for block in unit.blocks)

    def _unit(self, ablation: Ablation, number: int) -> str:
        return ablation.units[number].name(self.loras, self.blocks)

    def _units(self, ablation: Ablation, numbers: Sequence[int]) -> str:
        """Several of one LoRA."""
        names = listed([self.blocks[block] for number in numbers for block in ablation.units[number].blocks], _LISTED)
        return f"{names} ({self.loras[ablation.units[numbers[0]].lora]})" if len(self.loras) > 1 else names

    def _lora(self, lora: int) -> str:
        return self.loras[lora] if len(self.loras) > 1 else THE_LORA


def _percent(ablation: Ablation, number: int, target: int, sign: int = 1) -> dict[str, str]:
    """A rise and its interval as parts of the loss, to as many digits as the interval has a meaning."""
    ends = sorted(sign * 100 * float(of[number, target, 0] / ablation.losses[0]) for of in (ablation.low, ablation.rise, ablation.high))
    digits = 1 if ends[2] - ends[0] >= 0.1 else 3
    return dict(zip(("low", "percent", "high"), (f"{end:.{digits}f}" for end in ends)))
