"""Guards at the border to files, models and processes that this package does not own."""
