"""Memory of tasks: how much at most, what grows, and who holds it."""
