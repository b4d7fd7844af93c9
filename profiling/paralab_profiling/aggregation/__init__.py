"""Chain against tree: the same values and the same function, combined in two orders."""
