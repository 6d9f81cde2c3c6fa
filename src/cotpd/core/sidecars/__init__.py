"""Rows of the JSONL files beside a corpus: schema, serialisation and export."""
