"""Training: the losses, the objective that joins two views, the loop, and the recipe from corpus to extractor."""
