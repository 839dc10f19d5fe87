"""Virtual devices with believable behaviour, and replay of recorded data; both over real MQTT connections."""
