"""Ring 1: `guardian.core` plus sqlalchemy. Imports no other part."""
