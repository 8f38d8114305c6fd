"""The workers of this service."""
