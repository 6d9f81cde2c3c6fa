"""A language model and only that: a protocol and three ways to have one (endpoint, local file, script)."""
