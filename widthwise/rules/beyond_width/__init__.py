"""Rules for what changes besides width, each in force only where a request names it."""
