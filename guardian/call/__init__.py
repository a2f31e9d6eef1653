"""Ring 1: `guardian.core` plus asyncio. Imports no other part."""
