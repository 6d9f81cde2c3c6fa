"""Augmentation: variants of training posts in another voice, with another entity or another image."""
