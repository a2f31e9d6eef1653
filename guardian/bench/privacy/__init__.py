"""Whether what must be hidden is hidden: judged by others than the networks that do the hiding."""
