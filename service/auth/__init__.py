"""Who is calling, what they may do, and how often: API keys, scopes and limits."""
