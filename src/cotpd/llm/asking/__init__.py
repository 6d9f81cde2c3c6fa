"""Ask a language model many questions: policy, pacing, budget, worker threads, progress."""
