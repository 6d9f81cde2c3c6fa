"""Examples to chain-of-thought knowledge, by asking a language model."""
