//! What is asked of a pass, and its rules.

use crate::base::ConfigError;
use crate::memory::batch::MissFilter;
use crate::memory::config::{MachineConfig, PageSize, Size, StreamKind};
use crate::memory::one_pass::{Order, state_bytes};
use serde::{Deserialize, Serialize};

/// Ways at most.
pub const WAYS_MAX: u32 = 32;

/// Sets at most.
pub const SETS_MAX: u64 = 1 << 24;

/// The longest and the shortest line, in bytes.
pub const LINE_SIZES: (u64, u64) = (4, 1 << 30);

/// Bytes of all sets at most.
pub const STATE_MAX: u64 = 1 << 30;

/// What a pass sees of a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputOptions {
    /// Bytes a line.
    pub line_size: Size,
    /// The size of a page, if lines are pages.
    pub page_size: Option<PageSize>,
    /// Which accesses count: loads and stores, fetches, or both.
    pub kind: StreamKind,
    /// Levels inside: caches in a row, or TLBs if lines are pages.
    pub inner: Option<MachineConfig>,
    /// Seed of everything random.
    pub seed: u64,
}

impl InputOptions {
    /// log2 of the bytes a line.
    pub(super) fn line_bits(&self) -> u32 {
        self.page_size.map_or(self.line_size.bytes().trailing_zeros(), PageSize::bits)
    }

    /// log2 of where accesses are cut: at the lines of the first level.
    pub(super) fn cut_bits(&self) -> u32 {
        let first = self.inner.as_ref().and_then(|machine| machine.caches.first());
        first.map_or(self.line_bits(), |cache| cache.line_size.bytes().trailing_zeros())
    }

    fn check(&self) -> Result<(), ConfigError> {
        let (shortest, longest) = LINE_SIZES;
        let line = self.line_size.bytes();
        if !line.is_power_of_two() || !(shortest..=longest).contains(&line) {
            let longest = Size::from_bytes(longest);
            let rule = format!("must be a power of two from {shortest} bytes to {longest}");
            return Err(ConfigError::new("one_pass.line_size", rule, self.line_size));
        }
        let Some(machine) = &self.inner else { return Ok(()) };
        machine.check()?;
        let (caches, tlbs) = (&machine.caches, &machine.tlbs);
        let wanted = if self.page_size.is_some() { "TLBs" } else { "caches" };
        if caches.is_empty() == self.page_size.is_none() || tlbs.is_empty() == self.page_size.is_some() {
            return Err(ConfigError::new("one_pass.inner", format!("must be {wanted}"), "others"));
        }
        let takes_all = |kind: StreamKind| kind == StreamKind::Unified || kind == self.kind;
        let kinds =
            caches.iter().map(|c| (&c.name, c.stream_kind())).chain(tlbs.iter().map(|t| (&t.name, t.stream_kind())));
        for (index, (name, kind)) in kinds.enumerate() {
            if !takes_all(kind) {
                let rule = format!("must take the kind of access that is counted ({})", self.kind);
                return Err(ConfigError::new(
                    format!("one_pass.inner[{index}].kind"),
                    rule,
                    format!("{kind} ({name})"),
                ));
            }
        }
        match MissFilter::refusal(machine) {
            Some(why) => Err(ConfigError::new("one_pass.inner", format!("cannot be filtered ({why})"), wanted)),
            None => Ok(()),
        }
    }
}

/// The policy of the caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PassPolicy {
    /// Least recently used.
    Lru,
    /// First in, first out.
    Fifo,
}

impl From<PassPolicy> for Order {
    fn from(policy: PassPolicy) -> Self {
        match policy {
            PassPolicy::Lru => Self::Lru,
            PassPolicy::Fifo => Self::Fifo,
        }
    }
}

/// Caches of many numbers of sets and ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssociativityOptions {
    /// What they see.
    pub input: InputOptions,
    /// Numbers of sets.
    pub sets: Vec<u64>,
    /// Every number of ways from 1 to this.
    pub max_ways: u32,
    /// Replacement policy.
    pub order: PassPolicy,
}

impl AssociativityOptions {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.input.check()?;
        if !(1..=WAYS_MAX).contains(&self.max_ways) {
            let rule = format!("must be between 1 and {WAYS_MAX}");
            return Err(ConfigError::new("all_associativity.max_ways", rule, self.max_ways));
        }
        if self.sets.is_empty() {
            return Err(ConfigError::new("all_associativity.sets", "must name at least one number of sets", "[]"));
        }
        for (index, &sets) in self.sets.iter().enumerate() {
            let path = format!("all_associativity.sets[{index}]");
            if !sets.is_power_of_two() || sets > SETS_MAX {
                return Err(ConfigError::new(path, format!("must be a power of two from 1 to {SETS_MAX}"), sets));
            }
            if self.sets[..index].contains(&sets) {
                return Err(ConfigError::new(path, "must not be named twice", sets));
            }
        }
        let bytes = |sets: &u64| state_bytes(self.order.into(), *sets, self.max_ways);
        let all: u64 = self.sets.iter().map(bytes).sum();
        if all > STATE_MAX {
            let rule = format!("must be so few that their state fits into {} bytes", Size::from_bytes(STATE_MAX));
            return Err(ConfigError::new("all_associativity.sets", rule, format!("{all} bytes")));
        }
        Ok(())
    }
}

/// Caches of every size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurveOptions {
    /// What they see.
    pub input: InputOptions,
    /// The part of the lines that is looked at, or all of them, exactly.
    pub sample: Option<f64>,
}

impl CurveOptions {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.input.check()?;
        match self.sample {
            Some(sample) if !(1e-6..=1.0).contains(&sample) => {
                Err(ConfigError::new("miss_ratio_curve.sample", "must be between 0.000001 and 1", sample))
            }
            _ => Ok(()),
        }
    }

    /// The lines of 2^32 that are sampled.
    pub(super) fn rate(&self) -> Option<u64> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of 2^32")]
        self.sample.map(|sample| ((sample * 2f64.powi(32)).round() as u64).max(1))
    }
}
