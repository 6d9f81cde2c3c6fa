"""The request store: every answer of a language model, on disk."""
