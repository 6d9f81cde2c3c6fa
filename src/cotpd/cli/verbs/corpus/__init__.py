"""Verbs that read corpora."""
