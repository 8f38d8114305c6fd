"""Every theoretical exponent."""
