"""One file per command. Each turns words into a call, and the result into text or JSON."""
