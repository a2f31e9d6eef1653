"""Ring 1: `guardian.core` plus aiortc and av. Imports no other part."""
