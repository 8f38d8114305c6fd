"""Jobs that measure exponents."""
