"""Ring 1: `guardian.core` plus asyncio subprocesses. Imports no other part."""
