"""Reports of single examples, and the demonstration on the sample corpus."""
