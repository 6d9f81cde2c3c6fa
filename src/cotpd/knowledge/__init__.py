"""Chain-of-thought knowledge about examples, elicited from a language model."""
