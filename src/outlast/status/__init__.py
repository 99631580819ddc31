"""The status page: what the public reads, and what programs read of it."""
