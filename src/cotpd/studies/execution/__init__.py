"""Running a plan: training, scoring, time left."""
