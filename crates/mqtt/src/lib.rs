//! Packets and session rules of MQTT 3.1.1 and 5: no I/O, no clock, no dependencies.
