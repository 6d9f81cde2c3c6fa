"""Image captioning with BLIP-2 or a vision model."""
