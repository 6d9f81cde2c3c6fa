"""Diagnosis of a finished run: known failures, each with its figures and what to change."""
