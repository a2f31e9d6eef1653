"""Ring 2, roots: one module per command of the `guardian` program."""
