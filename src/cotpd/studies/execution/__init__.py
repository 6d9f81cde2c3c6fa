"""Execution of a study: training, scoring, and the estimate of the time left."""
