"""Commands of `widthwise` that need the service: registered as entry points of the server's distribution."""
