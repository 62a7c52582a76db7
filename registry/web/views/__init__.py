"""The registry's pages: parse the request, make one call, render."""
