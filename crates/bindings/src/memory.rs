//! The allocator's settings.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// `mi_option_purge_delay` of mimalloc 3; the bindings of C give it no name.
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds. Under load the history writes a file every few seconds, and needs the same memory for each.
const DELAY_MS: c_long = 10_000;

/// Freed memory goes back to the system after ten seconds instead of one, by the next thread that asks for more: to get it
/// back, zeroed page by page, took half of the history thread's time. MIMALLOC_PURGE_DELAY in the environment goes before.
pub fn keep_for_reuse() {
    // SAFETY: the function changes a number within the allocator, which any thread may do at any time.
    unsafe { mi_option_set_default(PURGE_DELAY, DELAY_MS) };
}
