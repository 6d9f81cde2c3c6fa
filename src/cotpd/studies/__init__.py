"""Studies: a plan names runs, their seeds and what is compared; here they are made, scored and reported."""
