//! Any bytes as a trace of unknown format and compression.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| runq_fuzz::check(data, None));
