"""Every zoo network planned at three budgets, checked, and run tile by tile: peak bytes and time.

Goal: per network the peak of activations without tiles (ours, the bound, TensorFlow Lite Micro's
rule), what layers take when all are allocated at once and when one layer's weights are loaded at a
time; per budget the plan's peak, cost and certificate, and the largest difference between the
outputs of the tiled and the untiled run. As JSON, written anew after every plan.
Non-goals: judging: no exit code depends on a time; accuracy (weights of most networks are seeded).

Example: `python verification/bench/plan.py --models lenet_digits squeezenet11 -o out/plan.json`
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

from tessera.plan import arena, zoo
from tessera.plan.certificate.tiles import certify_plan
from tessera.plan.execute import run
from tessera.plan.fragment import GRANULE, TaSizes, demand_of
from tessera.plan.graph import Graph
from tessera.plan.make import make_plan
from tessera.plan.prepare import Calibration, prepared
from tessera.plan.tiles.choose import Chooser, TilePlan
from tessera.plan.tiles.run import TiledRun
from tessera.plan.tiles.steps import ALIGNMENT
from tessera.plan.tiles.units import Units
from tessera.plan.tiles.untiled import activation_buffers, untiled
from tessera.report.files import write_json

LARGE = 12 << 20
"""Bytes: the largest budget that is tried, about what a small secure world has for one TA."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", nargs="+", default=list(zoo.NAMES), choices=zoo.NAMES)
    parser.add_argument("--int8", action="store_true", help="quantised, run in integers")
    parser.add_argument("--budget", type=int, help="bytes: this one instead of three")
    parser.add_argument("--no-run", action="store_true", help="plan and check, do not execute")
    parser.add_argument("--seed", type=int, default=0, help="of the input")
    parser.add_argument("-o", "--output", type=Path, default=Path("out/plan.json"))
    chosen = parser.parse_args()
    document: dict[str, Any] = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "load_at_start": os.getloadavg()[0],
        "seed": chosen.seed,
        "int8": chosen.int8,
        "models": [],
    }
    for name in chosen.models:
        int8 = Calibration(seed=chosen.seed) if chosen.int8 else None
        graph = prepared(zoo.build(name), int8)
        begun = time.process_time()
        chooser = Chooser(graph)
        row = {**without_tiles(chooser.units), "assess_seconds": since(begun), "plans": []}
        document["models"].append({"model": name, **row})
        print(name, *(f"{k}={v}" for k, v in row.items()), sep="  ", flush=True)
        whole = None if chosen.no_run else run(graph, zoo.sample(graph, chosen.seed))
        for budget in budgets(chooser) if chosen.budget is None else (chosen.budget,):
            plan = planned(chooser, budget)
            if whole is not None:
                plan.update(compared(plan.pop("found"), whole, chosen.seed))
            plan.pop("found", None)
            row["plans"].append(plan)
            print(" ", *(f"{k}={v}" for k, v in plan.items()), sep="  ", flush=True)
            write_json(chosen.output, document)


def since(begun: float) -> float:
    """Seconds of the processor."""
    return round(time.process_time() - begun, 2)


def budgets(chooser: Chooser) -> list[int | None]:
    """None is the least; the most is 12 MiB, or what everything resident takes if that is less."""
    least = chooser.minimise().placement.height
    most = min(LARGE, untiled(chooser.units).resident)
    return [None, round(math.sqrt(least * most)), most]


def without_tiles(units: Units) -> dict[str, Any]:
    """Peaks of the network run layer by layer, in bytes."""
    graph, loads = units.graph, untiled(units)
    given = [
        arena.Buffer(one.name, one.lower, one.upper, one.size, ALIGNMENT)
        for one in activation_buffers(units)
    ]
    placed = arena.plan_arena(given)
    active = sum(one.bytes for one in graph.tensors.values() if one.data is None)
    return {
        "weight_bytes": graph.weight_bytes,
        "activations_bound": loads.activations,
        "activations_ours": placed.height,
        "activations_tflm_rule": placed.rules[arena.METHODS[-1]],
        "one_layer_loaded": loads.streamed,
        "all_resident": loads.resident,
        "all_layers_allocated": graph.weight_bytes + active,
    }


def planned(chooser: Chooser, budget: int | None) -> dict[str, Any]:
    """A plan, judged by its checker."""
    begun = time.process_time()
    found = chooser.minimise() if budget is None else chooser.choose(budget)
    seconds = since(begun)
    plan = make_plan(found, budget, chooser.space)
    judged = certify_plan(plan.to_json(), chooser.units.graph)
    return {
        "budget": budget,
        "peak": plan.peak,
        "all_of_the_ta": demand_of(plan, TaSizes()).total * GRANULE,
        "largest_live_load": plan.offsets.load,
        "gap": plan.offsets.gap,
        "method": plan.offsets.method,
        "resident": sum(one.resident for one in plan.groups),
        "loaded": plan.costs.loaded,
        "cost": round(plan.costs.cost),
        "steps": len(plan.steps),
        "buffers": len(plan.buffers),
        "choose_seconds": seconds,
        "certificate": "holds" if judged.holds else "refused",
        "found": found,
    }


def compared(found: TilePlan, whole: dict[str, Any], seed: int) -> dict[str, Any]:
    """The tiled run against the untiled one: the largest difference, relative to the largest value
    (integers: exactly equal or not)."""
    graph: Graph = found.units.graph
    begun = time.process_time()
    tiled = TiledRun(found.schedule, found.placement.offsets, found.placement.height)
    made = tiled.run(zoo.sample(graph, seed))
    worst = 0.0
    for name, values in whole.items():
        apart = np.abs(made[name].astype(np.float64) - values.astype(np.float64)).max()
        worst = max(worst, float(apart / max(np.abs(values).max(), 1e-30)))
    equal = all(np.array_equal(made[name], values) for name, values in whole.items())
    return {"run_seconds": since(begun), "equal_bits": equal, "relative_difference": worst}


if __name__ == "__main__":
    main()
