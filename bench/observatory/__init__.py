"""The observatory, measured on records of real outages."""
