"""Where the time of a task went, by function, and that of all workers."""
