"""The guide: the documentation as a site, served under /guide."""
