"""Ring 1: `guardian.core` plus cloudevents, standardwebhooks and httpx. Imports no other part."""
