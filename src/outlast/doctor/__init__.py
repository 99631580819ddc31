"""`outlast doctor`: what works and what does not, step by step, and what to do about it."""

from outlast.doctor.examine import examine
from outlast.doctor.findings import Finding, Mark, worst

__all__ = ["Finding", "Mark", "examine", "worst"]
