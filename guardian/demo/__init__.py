"""Ring 2, a root: the sample call behind `guardian demo`."""
