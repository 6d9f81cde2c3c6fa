"""Corpora: reading and writing of their formats, splits, sidecar files, statistics and inspection."""
