"""Extraction from rows of text: reading rows, marked entities in rows, and the answer to each row."""
