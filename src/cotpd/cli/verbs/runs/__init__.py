"""Verbs that train students and use them."""
