"""Bootstrap intervals, significance tests and pooling of scores."""
