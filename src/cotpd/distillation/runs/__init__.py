"""Runs on disk: their directories, the corpora that they read, and their evaluation."""
