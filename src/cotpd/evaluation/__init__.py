"""Any predictor against gold: what matches, how well, and how sure that is. No torch."""
