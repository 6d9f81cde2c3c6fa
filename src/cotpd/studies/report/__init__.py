"""The results of a study as tables, plots and files."""
