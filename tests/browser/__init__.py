"""The page as a reader meets it: a real browser, a real service."""
