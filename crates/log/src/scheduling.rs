//! How the system schedules this thread.

/// `struct sched_attr` of Linux (sched_setattr(2)), 48 bytes.
#[repr(C)]
#[derive(Default)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// The slice of the processor that this thread asks for, in nanoseconds: the least that Linux grants.
const SLICE_NS: u64 = 100_000;

/// Asks for short slices: a thread that answers within milliseconds then runs soon after it is woken, beside others
/// that compute for long, and gets no more of the processor than they do (Linux 6.12 and later; elsewhere, and where
/// it is refused, nothing changes).
pub fn prefer_latency() {
    let attr = SchedAttr { size: size_of::<SchedAttr>() as u32, runtime: SLICE_NS, ..SchedAttr::default() };
    // SAFETY: the structure lives for the call and tells its size; 0 is the calling thread.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attr, 0u32) };
}
