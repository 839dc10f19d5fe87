"""The MOHHOS IoT Edge Gateway."""
