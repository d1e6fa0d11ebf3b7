//! The rules of one cache.

use super::{LINES_MAX, check_latency, check_name, check_range, check_replacement, check_ways};
use crate::base::ConfigError;
use crate::memory::config::{CacheConfig, Inclusion, PrefetcherKind, Size};

/// The shortest line, in bytes.
pub const LINE_SIZE_MIN: u64 = 4;

/// The longest line, in bytes: that of the smallest page.
pub const LINE_SIZE_MAX: u64 = 4096;

/// Lines that a prefetcher asks for at a time.
pub const PREFETCH_DEGREE_MAX: u32 = 16;

/// Holds the rules that need no other cache.
pub(super) fn check(cache: &CacheConfig, path: &str, cpus: u32) -> Result<(), ConfigError> {
    check_name(&format!("{path}.name"), &cache.name)?;
    check_geometry(cache, path, cpus)?;
    check_replacement(&format!("{path}.replacement"), cache.replacement, cache.ways)?;
    if let Some(cycles) = cache.latency_cycles {
        check_latency(&format!("{path}.latency_cycles"), cycles)?;
    }
    check_range(&format!("{path}.prefetch_degree"), cache.prefetch_degree, 1, PREFETCH_DEGREE_MAX)?;
    if cache.inclusion == Inclusion::Exclusive && cache.prefetcher != PrefetcherKind::None {
        return Err(ConfigError::new(
            format!("{path}.prefetcher"),
            "must be none at an exclusive level, which is filled by victims alone",
            cache.prefetcher,
        ));
    }
    Ok(())
}

/// The sets must be a power of two, and lines, ways and sets within their bounds.
fn check_geometry(cache: &CacheConfig, path: &str, cpus: u32) -> Result<(), ConfigError> {
    let (size, line) = (cache.size.bytes(), cache.line_size.bytes());
    if !line.is_power_of_two() || !(LINE_SIZE_MIN..=LINE_SIZE_MAX).contains(&line) {
        let rule = format!("must be a power of two from {LINE_SIZE_MIN} to {LINE_SIZE_MAX} bytes");
        return Err(ConfigError::new(format!("{path}.line_size"), rule, cache.line_size));
    }
    let whole = size.is_multiple_of(line);
    check_ways(&format!("{path}.ways"), cache.ways, whole.then_some(size / line))?;
    let set_size = u64::from(cache.ways) * line;
    let sets = size / set_size;
    if !size.is_multiple_of(set_size) || !sets.is_power_of_two() {
        let computed = format!("{} * {} = {}", cache.ways, cache.line_size, Size::from_bytes(set_size));
        let found = match (size.is_multiple_of(set_size), sets) {
            (false, _) => "which does not divide it".to_owned(),
            (true, sets) => format!("times {sets} here"),
        };
        let rule = format!("must be ways * line_size times a power of two ({computed}, {found})");
        return Err(ConfigError::new(format!("{path}.size"), rule, cache.size));
    }
    let copies = if cache.shared { 1 } else { u64::from(cpus) };
    if size / line > LINES_MAX / copies {
        let rule = format!("must be at most {LINES_MAX} lines over all cpus");
        return Err(ConfigError::new(format!("{path}.size"), rule, cache.size));
    }
    Ok(())
}
