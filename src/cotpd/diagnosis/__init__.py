"""What went wrong in a run: the signatures of known failures, each with its figures and what to change."""
