"""The input of the command line: pipes, and rows with marked entities."""
