"""What must not be forgotten: the database and the journal in front of it."""
