"""What a run is trained on: the examples of a corpus, selected and changed as configured."""
