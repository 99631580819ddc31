"""Vendors' status feeds: what is fetched, when, how each format is read, and what changed. Pure."""
