"""Text to predictions: the one way of decoding, and the extractor that ships."""
