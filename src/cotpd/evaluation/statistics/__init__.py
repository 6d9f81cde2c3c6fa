"""How certain a score is: intervals, significance, means over seeds."""
