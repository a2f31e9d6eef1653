"""Ring 2, a root: the measurements behind `guardian bench`."""
