"""Who did what when: lanes of a recording, runs on one axis, and traces for Perfetto."""
