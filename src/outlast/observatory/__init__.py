"""The observatory: from every kind of evidence to one honest account of an outage."""
