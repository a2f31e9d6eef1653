"""Ring 1: `guardian.core` plus cryptography and av. Imports no other part."""
