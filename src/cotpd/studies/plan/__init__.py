"""What a study asks: its plan, the runs it expands to, its checks."""
