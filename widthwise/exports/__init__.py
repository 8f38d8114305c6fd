"""Plans as files that trainers read: one module for each export, and a registry of their records."""
