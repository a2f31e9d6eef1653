"""Ring 0: pure values and decisions. Imports the standard library and numpy, nothing else."""
