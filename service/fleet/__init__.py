"""Who works for this service."""
