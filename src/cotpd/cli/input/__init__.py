"""What the command line reads: pipes and rows with marked entities."""
