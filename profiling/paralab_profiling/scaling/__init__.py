"""Whether going parallel paid: measured speed-up, its model, and replays on other machines."""
