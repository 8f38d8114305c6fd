"""The database itself: tables, engine, states, validation."""
