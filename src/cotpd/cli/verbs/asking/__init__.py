"""Verbs that ask language models and captioners, and manage what they answered."""
