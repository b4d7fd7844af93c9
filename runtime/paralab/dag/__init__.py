"""Graphs of calls: ``bind`` writes calls down, ``execute`` makes them.

::

    with InputNode() as x:
        graph = add.bind(double.bind(x), 1)
    paralab.get(graph.execute(20))
"""

from __future__ import annotations

from paralab.dag.class_node import ClassMethodNode, ClassNode
from paralab.dag.dag_node import DAGNode
from paralab.dag.function_node import FunctionNode
from paralab.dag.input_node import DAGInputData, InputAttributeNode, InputNode
from paralab.dag.output_node import MultiOutputNode

__all__ = [
    "ClassMethodNode",
    "ClassNode",
    "DAGInputData",
    "DAGNode",
    "FunctionNode",
    "InputAttributeNode",
    "InputNode",
    "MultiOutputNode",
]
