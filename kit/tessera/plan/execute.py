"""The reference executor: a graph run in numpy, node by node.

Goal: the yardstick of every pass, plan and runtime. Float ops compute in float64 and round once to
float32; integer ops are exact with one stated rounding (`execute_integers`). A tensor is let go
after its last reader.
Non-goals: speed; threads; formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tessera.errors import TesseraError
from tessera.plan import (
    execute_integers,
    execute_maths,
    execute_moves,
    execute_norms,
    execute_windows,
)
from tessera.plan.execute_call import Call, Operator
from tessera.plan.graph import Array, Graph, Node, Tensor

OPERATORS: dict[str, Operator] = {
    **execute_windows.OPERATORS,
    **execute_maths.OPERATORS,
    **execute_norms.OPERATORS,
    **execute_moves.OPERATORS,
    **execute_integers.OPERATORS,
}


def run_node(node: Node, tensors: Mapping[str, Tensor], values: Mapping[str, Array]) -> Array:
    """The output of one node, in the shape and type that the graph says."""
    call = Call(
        node,
        tuple(values[name] for name in node.inputs),
        tuple(tensors[name] for name in node.inputs),
        tensors[node.outputs[0]],
    )
    made = OPERATORS[node.op](call)
    expected = call.output
    assert made.shape == expected.shape and made.dtype == expected.dtype.numpy, (
        f"{node.source}: {node.op} made {made.dtype}{made.shape}, "
        f"not {expected.dtype}{expected.shape}"
    )
    return made


def _checked(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    unknown = sorted(set(inputs) - set(graph.inputs))
    if unknown:
        raise TesseraError(
            f"the network has no input '{unknown[0]}'",
            where=graph.name,
            remedy=f"its inputs are {', '.join(graph.inputs)}",
        )
    values: dict[str, Array] = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        given = inputs.get(name)
        if given is None or given.shape != tensor.shape or given.dtype != tensor.dtype.numpy:
            said = "nothing" if given is None else f"{given.dtype} {given.shape}"
            raise TesseraError(
                f"input '{name}' is given {said}",
                where=graph.name,
                remedy=f"give {tensor.dtype} {tensor.shape}",
            )
        values[name] = given
    return values


def run(
    graph: Graph,
    inputs: Mapping[str, Array],
    watch: Callable[[Node, Array], None] | None = None,
) -> dict[str, Array]:
    """The outputs by name. `watch` sees every node's output as it is made.

    Raises `TesseraError` when the inputs are not those of the graph.
    """
    values = _checked(graph, inputs)
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    values |= {one.name: one.data for one in graph.constants() if one.data is not None}
    kept = set(graph.outputs)
    for index, node in enumerate(graph.nodes):
        made = run_node(node, graph.tensors, values)
        values[node.outputs[0]] = made
        if watch is not None:
            watch(node, made)
        for name in {*node.inputs, *node.outputs}:
            if last.get(name, -1) <= index and name not in kept and name in values:
                del values[name]
    return {name: values[name] for name in graph.outputs}
