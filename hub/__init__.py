"""Puts the house together: environment, settings, addresses, web server, workers."""
