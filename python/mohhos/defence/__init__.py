"""What keeps a device that misbehaves from doing harm: throttle, quarantine, kick."""
