"""Sidecar files and rows of our own format: one schema for reading, and one way to write them."""
