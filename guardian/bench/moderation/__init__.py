"""What is heard of attempts, what is flagged wrongly, how late it is told, and what it costs."""
