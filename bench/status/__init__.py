"""What a view of the status page costs on the worst day: `make status-bench`."""
