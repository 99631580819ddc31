"""Who may ask: API keys, and what each of them is allowed."""
