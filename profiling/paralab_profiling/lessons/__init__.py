"""What notebooks ask of learners: predictions before a run, and checks of exercises after it."""
