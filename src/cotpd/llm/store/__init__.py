"""The request store: every answer that was paid for, on disk."""
