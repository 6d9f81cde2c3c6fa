"""Shared vocabulary of all stages: records, labels, files and errors. Imports no torch and no other stage."""
