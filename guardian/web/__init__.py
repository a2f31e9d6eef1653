"""Ring 1: `guardian.core` plus fastapi and jinja2. Imports no other part."""
