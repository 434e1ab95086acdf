"""`python run.py bench`: one table, as Markdown and JSON, of what the search costs and how many samples it needs.

On a machine with a CUDA GPU the costs are those of a full-size SDXL with random weights in bf16, else
those of a small one on the CPU. Ratios are within one run; compare them, not seconds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from appl_search.host.embedded import prepare  # noqa: E402

prepare()

import coverage  # noqa: E402
import demo_seeds  # noqa: E402
import early_late  # noqa: E402
import many_pictures  # noqa: E402
import models  # noqa: E402
import quality  # noqa: E402
import step_cost  # noqa: E402
import torch  # noqa: E402
import verdicts  # noqa: E402

from appl_search.demo import ASSETS  # noqa: E402

TASKS = {"1 LoRA": (["style"], "styled_train"), "2 LoRAs": (["character", "style"], "styled_train")}
TOLERANCES = (0.01, 0.002)
BUDGETS = {
    "gauss-newton": [32, 48, 64, 96, 128, 192, 256, 320, 480],
    "adamw, batch 16, cosine": [96, 192, 320, 640, 960],
    "published": [100, 200, 300, 400, 500, 600, 800, 1000, 1250, 1500, 2000, 2500, 3000],
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="run.py bench")
    parser.add_argument("--only", choices=["cost", "quality", "verdicts", "coverage", "demo", "early-late", "pictures"], help="one part")
    parser.add_argument("--pictures", type=int, default=1000, help="how many are made for the last part (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="few repeats and seeds: shows that it works, measures nothing")
    parser.add_argument("--output", type=Path, default=Path("benchmarks"), help="folder to write to (%(default)s)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    report = {"machine": _machine()}
    if options.only in (None, "cost"):
        report["cost"] = [asdict(row) for row in _costs(options.quick)]
    if options.only in (None, "quality"):
        report["quality"] = [_quality_row(row) for row in _qualities(options.quick, options.output / "world")]
    if options.only in (None, "verdicts"):
        report["verdicts"] = [asdict(row) for row in verdicts.measure(2 if options.quick else 100)]
    if options.only in (None, "coverage"):
        report["coverage"] = [asdict(row) for row in coverage.measure(2 if options.quick else 200)]
    if options.only in (None, "demo"):
        rows = list(demo_seeds.measure(range(1 if options.quick else 5)))
        report["demo"] = demo_seeds.table(rows)
        demo_seeds.draw(rows, options.output / "demo.png")
    if options.only in (None, "early-late"):
        report["early-late"] = early_late.table(early_late.measure(range(1 if options.quick else 3)))
    if options.only in (None, "pictures"):
        count = 20 if options.quick else options.pictures
        report["pictures"] = [asdict(row) for row in many_pictures.measure(count, options.output / "pictures")]
    (options.output / "benchmarks.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    text = markdown(report)
    (options.output / "benchmarks.md").write_text(text, encoding="utf-8")
    print(text)


def _costs(quick: bool) -> list[step_cost.Row]:
    if torch.cuda.is_available():
        return step_cost.measure(step_cost.GPU_CASES, models.FULL, torch.bfloat16, 2 if quick else 5)
    cases = step_cost.CPU_CASES[:2] if quick else step_cost.CPU_CASES
    return step_cost.measure(cases, models.SMALL, torch.float32, 1 if quick else 7)


def _qualities(quick: bool, world: Path) -> list[quality.Row]:
    if quick:
        return quality.measure(ASSETS, dict([next(iter(TASKS.items()))]), {name: [32] for name in BUDGETS}, 1, 64, 2)
    return quality.measure(quality.make_world(world), TASKS, BUDGETS, seeds=5, long_run=9600, repeats=40)


def _quality_row(row: quality.Row) -> dict:
    settled = {str(tolerance): row.settled_within(tolerance) for tolerance in TOLERANCES}
    return asdict(row) | {"first_within_1%": row.first_within(0.01), "settled_within": settled}


def _machine() -> str:
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} threads"
    return f"{where}; torch {torch.__version__}; {platform.system()}"


def markdown(report: dict) -> str:
    """The report as tables."""
    lines = ["# Benchmarks", "", f"Machine: {report['machine']}. Median of several runs.", ""]
    if "cost" in report:
        lines += [
            "## Cost of a step", "",
            "In units of the plain U-Net forward without gradient on the same batch. `limit`: plain forward with gradient and",
            "backward to the activations. `step`: of the search, and as a multiple of the limit; half of the examples have a",
            "probe besides. `kept`: memory kept for backward, in units of what the limit keeps. `peak`: most memory besides",
            "weights, in units of what the plain forward takes.", "",
            "| | forward, s | limit | step | step / limit | with probe | published loop | kept | kept, published | peak |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]  # fmt: skip
        for row in report["cost"]:
            numbers = [row[key] for key in ("plain_backward", "search", "search_with_probe", "naive", "kept", "kept_naive", "peak")]
            numbers.insert(2, row["search"] / row["plain_backward"])
            lines.append(f"| {row['case']['name']} | {row['forward_seconds']:.3f} | " + " | ".join(f"{n:.2f}" for n in numbers) + " |")
        lines.append("")
    if "quality" in report:
        lines += [
            "## Samples to quality", "",
            "Samples until loss + penalty is near the best known (a very long run), for each seed: when it is first within 1%,",
            "and from when on it stays there; - where the budgets tried did not get there.", "",
            "| task | method | best | first within 1% | stays within 1% | stays within 0.2% | median distance after so many samples |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]  # fmt: skip
        for row in report["quality"]:
            samples = [row["first_within_1%"], *row["settled_within"].values()]
            needed = " | ".join(", ".join("-" if n is None else str(n) for n in each) for each in samples)
            gaps = (statistics.median(values) / row["best"] - 1 for values in zip(*row["objectives"]))
            shown = ", ".join(f"{budget}: {gap:.2%}" for budget, gap in zip(row["budgets"], gaps))
            lines.append(f"| {row['task']} | {row['method']} | {row['best']:.5f} | {needed} | {shown} |")
        lines.append("")
        for row in report["quality"]:
            if row["coverage"] is not None:
                lines += [f"{row['task']}: 90% intervals of {row['method']} contain the true rate in {row['coverage']:.0%} of cases.", ""]
    if "verdicts" in report:
        lines += [
            "## Verdicts", "",
            "How often a search's verdict on what it found is right, in worlds whose best rates are known. With one picture it is right as long",
            "as it claims nothing for other pictures.", "",
            "| best are | pictures | verdicts | right |",
            "| --- | --- | --- | --- |",
        ]  # fmt: skip
        for row in report["verdicts"]:
            given = ", ".join(f"{kind} {count}" for kind, count in sorted(row["verdicts"].items()))
            lines.append(f"| {row['best']} | {row['pictures']} | {given} | {row['right']:.0%} |")
        lines.append("")
    if "coverage" in report:
        lines += _of_coverage(report["coverage"])
    if "demo" in report:
        lines += report["demo"]
    if "early-late" in report:
        lines += report["early-late"]
    if "pictures" in report:
        lines += _of_pictures(report["pictures"])
    return "\n".join(lines)


def _of_coverage(rows: list[dict]) -> list[str]:
    lines = [
        "## Known rates", "",
        f"How near searches of 320 samples come to rates that are known, in {rows[0]['repeats']} repeats with worlds, pictures and draws of their own, and",
        f"how often their 90% intervals contain them. `all`: repeats in which each of the 20 rates is within {coverage.NEAR}.", "",
        f"| world | typical distance | largest | within {coverage.NEAR} | all | 90% intervals hold |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for row in rows:
        parts = " | ".join(f"{row[key]:.1%}" for key in ("near", "all_near", "held"))
        lines.append(f"| {row['world']} | {row['distance']:.4f} | {row['largest']:.4f} | {parts} |")
    return [*lines, ""]


def _of_pictures(rows: list[dict]) -> list[str]:
    one, *rows = rows
    lines = [
        "## Many pictures", "",
        "Pictures of 1024 x 1024 pixels with captions of their own, in SDXL's sizes. `until the first step`: to look at all files, and",
        "to encode them; `reading`, `encoding`: what these would take one after the other, by one thread each. `memory`: most until",
        "then, beside what a search on one picture takes. `sample`: to get a sample's latent and conditioning. `encoded`: pictures",
        "and captions.", "",
        "| kept | pictures | looking, s | encoding them, s | of the processor, s | reading | encoding | memory, GB | sample, ms | encoded |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    names = {"memory": "in memory", "disk": "on disk, the first time", "kept before": "on disk, later"}
    for row in rows:
        times = " | ".join(f"{row[key]:.1f}" for key in ("looking", "opening", "processor", "reading", "encoding"))
        memory = max(row["peak"] - one["peak"], 0) / 1e9
        lines.append(f"| {names[row['case']]} | {row['pictures']} | {times} | {memory:.2f} | {1000 * row['sample']:.2f} | {row['encoded']} |")
    return [*lines, ""]


if __name__ == "__main__":
    main()
