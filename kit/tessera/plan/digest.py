"""A network's digest: equal for networks that compute the same with the same weights.

Goal: a plan names the network that it is for, whatever file that came from.
Non-goals: telling networks apart by their names of files, or hiding anything.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from tessera.plan.graph import Graph


def digest(graph: Graph) -> str:
    """sha256, as hex, over inputs, outputs, nodes with attributes, tensors and constants."""
    made = hashlib.sha256()
    made.update(json.dumps([graph.inputs, graph.outputs]).encode())
    for node in graph.nodes:
        row = [node.name, node.op, node.inputs, node.outputs, asdict(node.attrs)]
        made.update(json.dumps(row).encode())
    for one in graph.tensors.values():
        quantisation = asdict(one.quantisation) if one.quantisation else None
        made.update(json.dumps([one.name, one.shape, one.dtype, quantisation]).encode())
        if one.data is not None:
            made.update(one.data.tobytes())
    return made.hexdigest()
