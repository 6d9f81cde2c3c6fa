"""Text to predictions: one way of decoding, and the extractors."""
