"""The bytes of objects: one arena of shared memory for each node.

``arena`` is the node's side, which alone decides what lies where (``state.object_table``);
``mapping`` is everyone's, which writes and looks.
"""
