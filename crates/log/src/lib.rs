//! The log: segments, group commit, recovery, over an injectable file layer.
