"""What the command line shows: progress, reports, safe text."""
