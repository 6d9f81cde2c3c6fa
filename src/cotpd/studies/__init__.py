"""Studies: planned sets of runs that are trained, scored, compared and reported."""
