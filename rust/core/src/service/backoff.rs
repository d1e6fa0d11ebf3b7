//! How long a client waits before it tries again.
//!
//! With n failures so far, base b and cap c, exponential backoff is e = min(c, b 2^n). Full jitter waits U(0, e), equal
//! jitter e/2 + U(0, e/2), decorrelated jitter min(c, U(b, 3 s)) with s what it waited before, b at first.
//! Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015, and its simulator.

use crate::base::{ConfigError, Picos, Rng};
use serde::{Deserialize, Serialize};

/// A strategy with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// How waits grow and vary.
    pub strategy: Strategy,
    /// What grows.
    pub base_ns: Picos,
    /// The longest wait.
    pub cap_ns: Picos,
}

/// How waits grow and vary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// No wait.
    None,
    /// Twice as long each time.
    Exponential,
    /// Anything up to that.
    #[default]
    FullJitter,
    /// At least half of it.
    EqualJitter,
    /// Up to three times of what it was before.
    Decorrelated,
}

impl Default for Backoff {
    fn default() -> Self {
        let nanos = Picos::from_nanos;
        Self { strategy: Strategy::default(), base_ns: nanos(5_000_000), cap_ns: nanos(2_000_000_000) }
    }
}

impl Backoff {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        if self.base_ns < Picos::from_nanos(1) {
            return Err(ConfigError::new(format!("{path}.base_ns"), "must be 1 to 1e14", self.base_ns.nanos()));
        }
        if self.cap_ns < self.base_ns {
            let rule = format!("must be at least base_ns ({})", self.base_ns.nanos());
            return Err(ConfigError::new(format!("{path}.cap_ns"), rule, self.cap_ns.nanos()));
        }
        Ok(())
    }
}

/// The waits of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delays {
    failures: u32,
    /// What it waited last; nothing before the first wait.
    previous: Picos,
}

impl Delays {
    /// Another failure: how long to wait.
    pub fn next(&mut self, backoff: &Backoff, draws: &mut Rng) -> Picos {
        self.failures = self.failures.saturating_add(1);
        let (base, cap) = (backoff.base_ns.0, backoff.cap_ns.0);
        let grown = if self.failures >= 64 { cap } else { base.saturating_mul(1 << self.failures).min(cap) };
        let wait = match backoff.strategy {
            Strategy::None => 0,
            Strategy::Exponential => grown,
            Strategy::FullJitter => between(0, grown, draws),
            Strategy::EqualJitter => between(grown / 2, grown, draws),
            Strategy::Decorrelated => between(base, 3 * self.previous.0.max(base), draws).min(cap),
        };
        self.previous = Picos(wait);
        self.previous
    }

    /// Failures so far.
    pub fn failures(&self) -> u32 {
        self.failures
    }
}

fn between(low: u64, high: u64, draws: &mut Rng) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the width")]
    let part = (draws.unit() * (high - low) as f64) as u64;
    low + part
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(strategy: Strategy, count: usize, seed: u64) -> Vec<u64> {
        let backoff = Backoff { strategy, base_ns: Picos(5), cap_ns: Picos(2000) };
        let (mut delays, mut draws) = (Delays::default(), Rng::stream(seed, "test", 0));
        (0..count).map(|_| delays.next(&backoff, &mut draws).0).collect()
    }

    #[test]
    fn waits_without_jitter_double_up_to_the_cap() {
        assert_eq!(waits(Strategy::None, 3, 0), [0, 0, 0]);
        assert_eq!(waits(Strategy::Exponential, 10, 0), [10, 20, 40, 80, 160, 320, 640, 1280, 2000, 2000]);
        assert_eq!(*waits(Strategy::Exponential, 100, 0).last().unwrap(), 2000, "no shift is too far");
    }

    #[test]
    fn jitter_lies_within_its_bounds_and_has_its_mean() {
        let grown = waits(Strategy::Exponential, 12, 0);
        let (mut full, mut equal) = (0.0, 0.0);
        for seed in 0..2000 {
            for (wait, most) in waits(Strategy::FullJitter, 12, seed).into_iter().zip(&grown) {
                assert!(wait <= *most);
                full += wait as f64 / *most as f64 / 24_000.0;
            }
            for (wait, most) in waits(Strategy::EqualJitter, 12, seed).into_iter().zip(&grown) {
                assert!(most / 2 <= wait && wait <= *most);
                equal += wait as f64 / *most as f64 / 24_000.0;
            }
            let mut previous = 5;
            for wait in waits(Strategy::Decorrelated, 40, seed) {
                assert!((5..=2000).contains(&wait) && wait <= 3 * previous, "{wait} after {previous}");
                previous = wait;
            }
        }
        // Whole picoseconds are cut: a wait of up to 10 loses half of one.
        assert!((full - 0.5).abs() < 0.02 && (equal - 0.75).abs() < 0.02, "{full} {equal}");
    }

    #[test]
    fn broken_rules_are_told_with_their_paths() {
        let backoff: Backoff = serde_json::from_str(r#"{"base_ns": 10, "cap_ns": 5}"#).unwrap();
        assert_eq!(
            backoff.check("client.backoff").unwrap_err().to_string(),
            "client.backoff.cap_ns: must be at least base_ns (10), got 5"
        );
        let backoff: Backoff = serde_json::from_str(r#"{"base_ns": 0}"#).unwrap();
        assert!(backoff.check("b").unwrap_err().to_string().starts_with("b.base_ns: must be 1 to 1e14, got 0"));
    }
}
