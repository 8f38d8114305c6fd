"""Commands of `widthwise` that need the workers: registered as entry points of the server's distribution."""
