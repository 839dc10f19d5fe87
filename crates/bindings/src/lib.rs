//! What Python sees of the native gateway.
