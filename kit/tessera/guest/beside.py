"""With a plan and without: a package beside the naive runtime, on one input.

Goal: per way to run a network its memory, instructions, seconds, bytes decrypted, and how far its
answer is from the numpy reference's.
Non-goals: running in OP-TEE (its run is handed in), printing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tessera.guest import answers, board, process
from tessera.guest.answers import Agreement, Values
from tessera.package.contents import Contents
from tessera.plan import execute, naive_file
from tessera.plan.graph import Graph

LEVELS = ("-O2", "-O3")
"""Of gcc, for the naive runtime."""


@dataclass(frozen=True, slots=True)
class Way:
    """One inference, run in one way. `memory` in bytes, `seconds` of this machine's processor."""

    name: str
    memory: int
    instructions: int | None
    seconds: float | None
    decrypted: int
    agreement: Agreement

    def to_json(self) -> dict[str, Any]:
        """All of it, for scripts."""
        return {
            "way": self.name,
            "memory": self.memory,
            "instructions": self.instructions,
            "seconds": self.seconds,
            "decrypted": self.decrypted,
            "holds": self.agreement.holds,
            "largest": self.agreement.largest,
            "same_top": self.agreement.same_top,
        }


@dataclass(frozen=True, slots=True)
class Beside:
    """All ways. `float32`: the package is in float32 as well, so every answer has to agree."""

    without: tuple[Way, ...]
    plain: Way
    float32: bool
    sealed: Way | None = None

    @property
    def ways(self) -> tuple[Way, ...]:
        """In the order in which they are shown."""
        return (*self.without, self.plain, *([self.sealed] if self.sealed is not None else []))

    @property
    def holds(self) -> bool:
        """Whether answers agree with the reference in float32; integers are only told apart."""
        judged = self.ways if self.float32 else self.without
        return all(one.agreement.holds for one in judged)


@dataclass(frozen=True, slots=True)
class Judge:
    """The float32 network on its first input: what is run without a plan, and the yardstick."""

    graph: Graph
    given: Values
    network: bytes  # for the naive runtime
    wanted: tuple[Values, ...]

    def judge(self, made: Sequence[Values]) -> Agreement:
        """An answer beside the reference's."""
        return answers.beside(self.wanted, [made], exact=False)

    def judge_both(self, took: board.Took) -> Agreement:
        """The board's answer and this machine's, which may differ in roundings."""
        both = [[np.frombuffer(one, "<f4") for one in made] for made in took.outputs]
        return answers.beside(self.wanted, both, exact=False)


def prepare(graph: Graph, given: Values) -> Judge:
    """`given`: the values of the only input, in any shape.

    Raises `TesseraError` for a network that the naive runtime has no operations for.
    """
    network = naive_file.dump(graph)
    name = graph.inputs[0]
    made = execute.run(graph, {name: given.reshape(graph.tensors[name].shape)})
    return Judge(graph, given, network, tuple(made[one] for one in graph.outputs))


def run(
    judge: Judge, contents: Contents, *, float32: bool, progress: process.Progress = process.silent
) -> Beside:
    """Both in the clear. Raises `TesseraError` when a driver cannot be compiled or run."""
    given, count = judge.given.tobytes(), len(judge.graph.outputs)
    without = []
    for level in LEVELS:
        progress(f"running without a plan, compiled with {level}")
        took = board.naive(judge.network, given, count, level)
        without.append(_way(f"without, {level}", took, judge))
    progress("running the package in the clear")
    return Beside(
        tuple(without), _way("with, in the clear", board.planned(contents, [given]), judge), float32
    )


def _way(name: str, took: board.Took, judge: Judge) -> Way:
    agreement = judge.judge_both(took)
    return Way(name, took.memory, took.instructions, took.seconds, 0, agreement)
