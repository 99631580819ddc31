"""Measurements: what Outlast does beside its peers, on this machine."""
