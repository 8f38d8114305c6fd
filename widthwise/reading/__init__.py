"""Models as they were read: from a forward pass, from a configuration file, or from a list of shapes."""
