//! What reports tell of latencies.

/// A quantile of sorted microseconds, in milliseconds; 1 is the last, and there is none of nothing.
pub fn quantile_ms(sorted_us: &[u32], q: f64) -> Option<f64> {
    let at = ((sorted_us.len() as f64 * q) as usize).min(sorted_us.len().checked_sub(1)?);
    sorted_us.get(at).map(|us| f64::from(*us) / 1000.0)
}
