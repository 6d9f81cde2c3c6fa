"""Asking a language model: policy, pacing, budget, workers, progress."""
