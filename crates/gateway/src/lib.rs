//! One running native gateway: hub, log, stream and history joined by threads and rings.
