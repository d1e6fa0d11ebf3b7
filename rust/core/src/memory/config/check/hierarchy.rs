//! What caches and TLBs must be to one another.

use crate::base::ConfigError;
use crate::memory::config::{CacheConfig, Coherence, Inclusion, MachineConfig, StreamKind};

/// Holds the rules between levels.
pub(super) fn check(machine: &MachineConfig) -> Result<(), ConfigError> {
    check_names(machine)?;
    check_shared(machine)?;
    check_unified(machine)?;
    for (kind, name) in [(StreamKind::Data, "data"), (StreamKind::Instruction, "instruction")] {
        check_path(&path_of(machine, kind), name)?;
    }
    if machine.cpus > 1 && machine.coherence == Coherence::Mesi {
        check_coherent_lines(machine)?;
    }
    Ok(())
}

/// A result is asked for by name, so names are unique among all levels.
fn check_names(machine: &MachineConfig) -> Result<(), ConfigError> {
    let caches = machine.caches.iter().enumerate().map(|(index, cache)| (format!("caches[{index}]"), &cache.name));
    let tlbs = machine.tlbs.iter().enumerate().map(|(index, tlb)| (format!("tlbs[{index}]"), &tlb.name));
    let mut seen: Vec<(String, &String)> = Vec::new();
    for (path, name) in caches.chain(tlbs) {
        if let Some((first, _)) = seen.iter().find(|(_, earlier)| *earlier == name) {
            return Err(ConfigError::new(
                format!("{path}.name"),
                format!("must be unique among caches and tlbs ({first} has it)"),
                format!("{name:?}"),
            ));
        }
        seen.push((path, name));
    }
    Ok(())
}

/// After the first shared cache all are shared.
fn check_shared(machine: &MachineConfig) -> Result<(), ConfigError> {
    let Some(first) = machine.caches.iter().position(|cache| cache.shared) else { return Ok(()) };
    match machine.caches[first..].iter().position(|cache| !cache.shared) {
        None => Ok(()),
        Some(offset) => Err(ConfigError::new(
            format!("caches[{}].shared", first + offset),
            format!("must be true after a shared cache (caches[{first}])"),
            false,
        )),
    }
}

/// After the first unified cache all are unified: the paths of data and fetches do not part again.
fn check_unified(machine: &MachineConfig) -> Result<(), ConfigError> {
    let kinds: Vec<_> = machine.caches.iter().map(CacheConfig::stream_kind).collect();
    let Some(first) = kinds.iter().position(|&kind| kind == StreamKind::Unified) else { return Ok(()) };
    match kinds[first..].iter().position(|&kind| kind != StreamKind::Unified) {
        None => Ok(()),
        Some(offset) => Err(ConfigError::new(
            format!("caches[{}].kind", first + offset),
            format!("must be unified after a unified cache (caches[{first}])"),
            kinds[first + offset],
        )),
    }
}

/// The caches that references of a kind go through, with their places in the list.
fn path_of(machine: &MachineConfig, kind: StreamKind) -> Vec<(usize, &CacheConfig)> {
    let on_path = |cache: &CacheConfig| match kind {
        StreamKind::Instruction => cache.stream_kind().takes_fetches(),
        StreamKind::Data | StreamKind::Unified => cache.stream_kind().takes_data(),
    };
    machine.caches.iter().enumerate().filter(|(_, cache)| on_path(cache)).collect()
}

/// Lines grow outwards, and an exclusive level only takes what inner levels give it.
fn check_path(levels: &[(usize, &CacheConfig)], path_name: &str) -> Result<(), ConfigError> {
    let mut inner: Option<(usize, &CacheConfig)> = None;
    for &(index, cache) in levels {
        let exclusive = cache.inclusion == Inclusion::Exclusive;
        if let Some((inner_index, inner)) = inner {
            let rule = if exclusive && cache.line_size != inner.line_size {
                Some("must equal that of the levels inside an exclusive one")
            } else if cache.line_size < inner.line_size {
                Some("must not be less than that of the level inside it")
            } else {
                None
            };
            if let Some(rule) = rule {
                return Err(ConfigError::new(
                    format!("caches[{index}].line_size"),
                    format!("{rule} (caches[{inner_index}]: {})", inner.line_size),
                    cache.line_size,
                ));
            }
        } else if exclusive {
            return Err(ConfigError::new(
                format!("caches[{index}].inclusion"),
                format!("must not be exclusive at the first level of the {path_name} path, which has no level inside"),
                cache.inclusion,
            ));
        }
        inner = Some((index, cache));
    }
    check_lines_inside_exclusive(levels)
}

/// Not only the neighbour: all levels before an exclusive one have lines of the same length.
fn check_lines_inside_exclusive(levels: &[(usize, &CacheConfig)]) -> Result<(), ConfigError> {
    let Some(last) = levels.iter().rposition(|(_, cache)| cache.inclusion == Inclusion::Exclusive) else {
        return Ok(());
    };
    let (outer_index, outer) = levels[last];
    for (index, cache) in &levels[..last] {
        if cache.line_size != outer.line_size {
            return Err(ConfigError::new(
                format!("caches[{index}].line_size"),
                format!("must equal that of the exclusive level outside (caches[{outer_index}]: {})", outer.line_size),
                cache.line_size,
            ));
        }
    }
    Ok(())
}

/// The directory knows lines of one length.
fn check_coherent_lines(machine: &MachineConfig) -> Result<(), ConfigError> {
    let mut private = machine.caches.iter().enumerate().filter(|(_, cache)| !cache.shared);
    let Some((first_index, first)) = private.next() else { return Ok(()) };
    match private.find(|(_, cache)| cache.line_size != first.line_size) {
        None => Ok(()),
        Some((index, cache)) => Err(ConfigError::new(
            format!("caches[{index}].line_size"),
            format!("must be equal in all private caches under mesi (caches[{first_index}]: {})", first.line_size),
            cache.line_size,
        )),
    }
}
