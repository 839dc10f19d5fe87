"""What several tests need: a real gateway process, third-party clients, recorded data."""
