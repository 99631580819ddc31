"""Outlast keeps people working when their AI provider goes down, and tells them the truth."""

__version__ = "0.1.0"
