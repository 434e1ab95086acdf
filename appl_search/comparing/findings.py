"""What blocks do, in sentences that a newcomer understands: few, and only of what is sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .ablation import OFF, ON, PICTURES, TIMESTEPS, Ablation
from .likeness import Likeness
from .units import Unit, listed

#: Sentences in all, and those that say what single blocks carry.
MOST, MOST_CARRYING = 6, 3
#: A block matters from this part of what its LoRA brings on, and can go where it surely is less than that.
MATTERS, CAN_GO = 0.05, 0.02
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
    "carries": "{block} carries {share}% of what {lora} brings: without it the loss is {percent}% ± {error}% higher.",
    "carries, third": "{block} carries {share}% of what {lora} brings, most of it {third}: without it the loss is {percent}% ± {error}% higher.",
    "carries, group": "{block} carries {share}% of what {lora} brings, the most for {group}: without it the loss is {percent}% ± {error}% higher.",
    "carries, third and group": (
        "{block} carries {share}% of what {lora} brings, most of it {third}, and the most for {group}: without it the loss is {percent}% ± {error}% higher."
    ),
    "harms": "{block} does harm: without it the loss is {percent}% ± {error}% lower.",
    "can go": "{blocks} could go: without any one of them less than {share}% of what {lora} brings is lost.",
    "one can go": "{blocks} could go: without it less than {share}% of what {lora} brings is lost.",
    "stays off": "{blocks} are better off: at 1 the loss would be higher, by {percent}% and more.",
    "one stays off": "{blocks} is better off: at 1 the loss would be {percent}% ± {error}% higher.",
    "not sure": "Which blocks of {lora} matter cannot be told from {samples} samples.",
    "alike": "{block} and {other} do the same: one of them could go.",
    "fight": "{block} and {other} work against each other: each undoes a part of what the other does.",
}


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
            if any(unit.lora == lora for unit in ablation.units) and not ablation.whole[lora, 0] > ablation.whole_error[lora, 0]:
                yield Finding("not sure", {"lora": self._lora(lora), "samples": str(ablation.samples)})
        shares = ablation.share.tolist()
        for number in sorted(range(len(shares)), key=lambda number: -float(ablation.rise[number, OFF, 0].abs())):
            rise, error = float(ablation.rise[number, OFF, 0]), float(ablation.error[number, OFF, 0])
            if rise > error and shares[number] >= MATTERS:
                yield self._carries(ablation, number, shares[number])
            elif rise < -error:
                yield Finding("harms", {"block": self._unit(ablation, number), **_percent(-rise, error, ablation)})

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
            if whole > float(ablation.whole_error[lora, 0]):
                rises, errors = (of[:, OFF, 0].tolist() for of in (ablation.rise, ablation.error))
                going = [number for number in on if -errors[number] <= rises[number] < CAN_GO * whole - errors[number]]
                if going:
                    values = {"blocks": self._units(ablation, going), "lora": self._lora(lora), "share": f"{100 * CAN_GO:.0f}"}
                    yield Finding("can go" if len(going) > 1 else "one can go", values)
            off = [number for number in units if number not in on and bool((ablation.rise > ablation.error)[number, ON, 0])]
            if off:
                least = min(off, key=lambda number: float(ablation.rise[number, ON, 0]))
                values = _percent(float(ablation.rise[least, ON, 0]), float(ablation.error[least, ON, 0]), ablation)
                yield Finding("stays off" if len(off) > 1 else "one stays off", {"blocks": self._units(ablation, off), **values})

    def _carries(self, ablation: Ablation, number: int, share: float) -> Finding:
        rise, error = ablation.rise[number, OFF], ablation.error[number, OFF]
        values = {"block": self._unit(ablation, number), "lora": "that LoRA" if len(self.loras) > 1 else "the LoRA", "share": f"{100 * share:.0f}"}
        values |= _percent(float(rise[0]), float(error[0]), ablation)
        parts = {one: float(rise[one]) * ablation.groups[one].share for one in ablation.of_kind(TIMESTEPS)}
        third = max(parts, key=parts.__getitem__, default=None)
        if third is not None and rise[third] > error[third] and parts[third] > sum(parts.values()) / 2:
            values["third"] = ablation.groups[third].name
        group = max(ablation.of_kind(PICTURES), key=lambda one: float(rise[one]), default=None)
        if group is not None and rise[group] - error[group] > rise[0]:
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
        return f"{names} of {self.loras[ablation.units[numbers[0]].lora]}" if len(self.loras) > 1 else names

    def _lora(self, lora: int) -> str:
        return self.loras[lora] if len(self.loras) > 1 else "the LoRA"


def _percent(rise: float, error: float, ablation: Ablation) -> dict[str, str]:
    """As parts of the loss, to as many digits as the interval has a meaning."""
    loss = float(ablation.losses[0])
    digits = 1 if error >= 0.0005 * loss else 3
    return {"percent": f"{100 * rise / loss:.{digits}f}", "error": f"{100 * error / loss:.{digits}f}"}
