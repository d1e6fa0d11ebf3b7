//! The system's allocator, told to keep what the points of a sweep free.
//!
//! Each point takes about as much memory as the last and frees it. glibc hands such memory back to the system, and the
//! next point takes a fault for each page of it: a replay of a tenth of a millisecond then takes ten times as long. The
//! thresholds are those of the process and are set where its first pool of threads is made.

use std::sync::Once;

static KEPT: Once = Once::new();

/// Keeps freed memory for what is allocated next, up to 256 MiB an arena.
pub fn keep_freed() {
    KEPT.call_once(set);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "the allocator's settings are a function of C")]
fn set() {
    use std::ffi::c_int;

    // Of malloc.h.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;

    unsafe extern "C" {
        fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }
    // The most that the second may be; above it memory is mapped and unmapped each time.
    for (parameter, bytes) in [(M_TRIM_THRESHOLD, 256 << 20), (M_MMAP_THRESHOLD, 32 << 20)] {
        // SAFETY: it takes two numbers and the allocator's lock. A number that it does not take it leaves.
        unsafe { mallopt(parameter, bytes) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn set() {}
