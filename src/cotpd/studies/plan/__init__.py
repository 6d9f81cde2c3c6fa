"""Plan files and the study designs that they describe."""
