"""Commands of `widthwise` that need the workers: found by the entry points of the server's distribution."""
