"""The pages for a browser: dashboard, API reference, problem types."""
