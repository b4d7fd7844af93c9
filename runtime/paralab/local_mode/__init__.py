"""The second engine: the API without processes, sockets or threads, for debuggers and tests.

It stands beside the four rooms and not in one of them, as any other engine would: it knows what
they share (``task_spec``, ``serialization``, ``remote_errors``, the records of tasks) and nothing
of what makes processes work together.
"""
