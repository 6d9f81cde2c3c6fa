"""What every stage speaks: records, labels, files, errors. No torch, and nothing else of ours."""
