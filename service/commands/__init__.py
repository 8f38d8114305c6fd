"""Commands of `widthwise` that need the service: found by the entry points of the server's distribution."""
