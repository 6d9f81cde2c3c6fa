"""What the encoder reads: the three views of a post, as padded numpy arrays. No torch."""
