"""What shows the method at work: one example with all that belongs to it, and the demonstration on the sample."""
