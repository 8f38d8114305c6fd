"""What turns the repository's pages into a site: hooks of MkDocs, and the reference that is written from the code."""
