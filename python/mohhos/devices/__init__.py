"""Devices: the registry, whether they are there, and commands to them."""
