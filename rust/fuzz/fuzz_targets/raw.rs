//! Any bytes as raw traces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use runq_core::trace::Format;

fuzz_target!(|data: &[u8]| runq_fuzz::check(data, Some(Format::Raw)));
