"""What Ray calls experimental, as far as paralab has it: progress bars."""
