"""Test doubles for language models: a scripted model and a fake server."""
