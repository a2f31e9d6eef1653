"""Ring 1: `guardian.core` plus prometheus-client and structlog. Imports no other part."""
