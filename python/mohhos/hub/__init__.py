"""The Python face of the native hub: what it is told, and what it tells."""
