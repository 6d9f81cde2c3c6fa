"""Verbs that ask language models and captioners, and the verb for their request store."""
