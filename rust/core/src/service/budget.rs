//! A retry budget: retries that a client may make in proportion to its calls.
//!
//! A token bucket. Every call adds a part of a token, time adds some, a retry takes one, and the bucket holds so many at
//! most. So retries can never be more than `burst + per_call calls + per_s seconds`, whatever fails.

use crate::base::{ConfigError, Picos};
use serde::{Deserialize, Serialize};

/// One token, in the units that are counted: what one token a second adds in a picosecond.
const TOKEN: u64 = 1_000_000_000_000;

/// The most tokens of a bucket.
const BURST_MAX: u32 = 1_000_000;

/// The numbers of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Retries for each call.
    pub per_call: f64,
    /// Retries a second beside these.
    pub per_s: u32,
    /// What is there at first, and at most.
    pub burst: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self { per_call: 0.1, per_s: 0, burst: 10 }
    }
}

impl Budget {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        if !(0.0..=100.0).contains(&self.per_call) {
            return Err(ConfigError::new(format!("{path}.per_call"), "must be 0 to 100", self.per_call));
        }
        if !(1..=BURST_MAX).contains(&self.burst) {
            return Err(ConfigError::new(format!("{path}.burst"), "must be 1 to 1000000", self.burst));
        }
        Ok(())
    }
}

/// A bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    level: u64,
    most: u64,
    per_call: u64,
    per_picosecond: u64,
    at: Picos,
}

impl TokenBucket {
    /// A full one at time 0, of a checked budget.
    pub fn new(budget: &Budget) -> Self {
        let most = u64::from(budget.burst) * TOKEN;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 100 tokens")]
        let per_call = (budget.per_call * TOKEN as f64 + 0.5) as u64;
        Self { level: most, most, per_call, per_picosecond: budget.per_s.into(), at: Picos::ZERO }
    }

    /// A call is made.
    pub fn deposit(&mut self) {
        self.level = (self.level + self.per_call).min(self.most);
    }

    /// Takes a token, if there is one.
    pub fn take(&mut self, now: Picos) -> bool {
        let passed = now.saturating_sub(self.at).0;
        self.at = self.at.max(now);
        self.level = self.level.saturating_add(passed.saturating_mul(self.per_picosecond)).min(self.most);
        let has_one = self.level >= TOKEN;
        if has_one {
            self.level -= TOKEN;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tenth_of_a_retry_for_each_call() {
        let mut bucket = TokenBucket::new(&Budget { per_call: 0.1, per_s: 0, burst: 1 });
        assert!(bucket.take(Picos::ZERO) && !bucket.take(Picos::ZERO));
        (0..9).for_each(|_| bucket.deposit());
        assert!(!bucket.take(Picos::ZERO));
        bucket.deposit();
        assert!(bucket.take(Picos::ZERO));
    }

    #[test]
    fn time_adds_whole_tokens_exactly() {
        let mut bucket = TokenBucket::new(&Budget { per_call: 0.0, per_s: 3, burst: 1 });
        assert!(bucket.take(Picos::ZERO));
        assert!(!bucket.take(Picos(333_333_333_333)));
        assert!(bucket.take(Picos(333_333_333_334)));
    }

    proptest! {
        #[test]
        fn never_above_its_rate(
            burst in 1_u32..5, per_s in 0_u32..1000, per_call in 0.0_f64..2.0,
            steps in prop::collection::vec((0_u64..2_000_000_000, any::<bool>()), 1..200),
        ) {
            let mut bucket = TokenBucket::new(&Budget { per_call, per_s, burst });
            let (mut now, mut calls, mut taken) = (0_u64, 0, 0);
            for (pause, is_call) in steps {
                now += pause;
                if is_call {
                    bucket.deposit();
                    calls += 1;
                } else {
                    taken += i32::from(bucket.take(Picos(now)));
                }
                let most = f64::from(burst) + f64::from(per_s) * now as f64 / 1e12 + per_call * f64::from(calls);
                prop_assert!(f64::from(taken) <= most + 1e-9, "{} of {}", taken, most);
            }
        }
    }
}
