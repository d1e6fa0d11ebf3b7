//! A circuit breaker: a client that has seen too many failures calls nobody for a while.
//!
//! Closed, it counts the results of the last calls. Where a share of them are failures it opens: calls are refused at
//! once. After a time it is half open: some calls pass as probes. If all of them succeed it closes and forgets; one that
//! fails opens it again. Results of calls from before its last change say nothing.
//! Source: M. Nygard, "Release It!", 2007.

use crate::base::{ConfigError, Picos};
use serde::{Deserialize, Serialize};

/// The numbers of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// Results that are looked at.
    pub window: u32,
    /// The share of failures among them at which it opens.
    pub failure_share: f64,
    /// How long it stays open.
    pub open_ns: Picos,
    /// Calls that pass while it is half open.
    pub probes: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { window: 100, failure_share: 0.5, open_ns: Picos::from_nanos(1_000_000_000), probes: 5 }
    }
}

impl BreakerConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        for (field, value) in [("window", self.window), ("probes", self.probes)] {
            if !(1..=128).contains(&value) {
                return Err(ConfigError::new(format!("{path}.{field}"), "must be 1 to 128", value));
            }
        }
        if !(self.failure_share > 0.0 && self.failure_share <= 1.0) {
            let rule = "must be above 0 and at most 1";
            return Err(ConfigError::new(format!("{path}.failure_share"), rule, self.failure_share));
        }
        Ok(())
    }
}

/// A breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    /// Changes so far.
    generation: u32,
    /// How often it opened.
    openings: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The last results, the newest in the lowest bit; failures are ones.
    Closed {
        results: u128,
        count: u32,
    },
    Open {
        until: Picos,
    },
    HalfOpen {
        admitted: u32,
        succeeded: u32,
    },
}

/// That a call may pass, given at one state of a breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permit(u32);

impl Breaker {
    /// A closed one, of a checked configuration.
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed { results: 0, count: 0 }, generation: 0, openings: 0 }
    }

    /// Whether a call may pass.
    pub fn admit(&mut self, now: Picos) -> Option<Permit> {
        if let State::Open { until } = self.state {
            if now < until {
                return None;
            }
            self.change(State::HalfOpen { admitted: 0, succeeded: 0 });
        }
        if let State::HalfOpen { admitted, .. } = &mut self.state {
            if *admitted == self.config.probes {
                return None;
            }
            *admitted += 1;
        }
        Some(Permit(self.generation))
    }

    /// What became of a call.
    pub fn settle(&mut self, permit: Permit, has_failed: bool, now: Picos) {
        if permit.0 != self.generation {
            return;
        }
        match &mut self.state {
            State::Closed { results, count } => {
                let window = self.config.window;
                *results = (*results << 1 | u128::from(has_failed)) & (u128::MAX >> (128 - window));
                *count = (*count + 1).min(window);
                if *count == window && f64::from(results.count_ones()) >= self.config.failure_share * f64::from(window)
                {
                    self.open(now);
                }
            }
            State::HalfOpen { .. } if has_failed => self.open(now),
            State::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                if *succeeded == self.config.probes {
                    self.change(State::Closed { results: 0, count: 0 });
                }
            }
            State::Open { .. } => unreachable!("nobody passes an open breaker"),
        }
    }

    /// How often it opened.
    pub fn openings(&self) -> u64 {
        self.openings
    }

    /// Whether it refuses all calls at a time.
    pub fn is_open(&self, now: Picos) -> bool {
        matches!(self.state, State::Open { until } if now < until)
    }

    fn open(&mut self, now: Picos) {
        self.openings += 1;
        self.change(State::Open { until: now + self.config.open_ns });
    }

    fn change(&mut self, state: State) {
        self.generation = self.generation.wrapping_add(1);
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: BreakerConfig = BreakerConfig { window: 4, failure_share: 0.5, open_ns: Picos(100), probes: 2 };

    fn call(breaker: &mut Breaker, has_failed: bool, now: u64) -> bool {
        let permit = breaker.admit(Picos(now));
        if let Some(permit) = permit {
            breaker.settle(permit, has_failed, Picos(now));
        }
        permit.is_some()
    }

    #[test]
    fn it_opens_at_its_share_of_a_full_window_and_closes_after_its_probes() {
        let mut breaker = Breaker::new(CONFIG);
        for (has_failed, now) in [(true, 0), (false, 1), (false, 2), (true, 3)] {
            assert!(call(&mut breaker, has_failed, now), "the window is not full before");
        }
        assert!(breaker.is_open(Picos(102)) && !call(&mut breaker, false, 102));
        assert!(call(&mut breaker, false, 103) && call(&mut breaker, false, 104));
        assert!(call(&mut breaker, true, 105) && !breaker.is_open(Picos(105)), "it has forgotten what was");
    }

    #[test]
    fn half_open_admits_its_probes_alone_and_one_failure_opens_it() {
        let mut breaker = Breaker::new(CONFIG);
        (0..4).for_each(|now| assert!(call(&mut breaker, true, now)));
        let (first, second) = (breaker.admit(Picos(200)).unwrap(), breaker.admit(Picos(200)).unwrap());
        assert_eq!(breaker.admit(Picos(200)), None);
        breaker.settle(first, true, Picos(210));
        breaker.settle(second, false, Picos(220));
        assert!(breaker.is_open(Picos(309)) && !breaker.is_open(Picos(310)));
        assert_eq!(breaker.openings(), 2);
    }

    proptest! {
        #[test]
        fn nobody_passes_while_it_is_open(steps in prop::collection::vec((0_u64..40, any::<bool>(), 0_usize..4), 1..300)) {
            let mut breaker = Breaker::new(CONFIG);
            let (mut now, mut pending) = (0, Vec::new());
            for (pause, has_failed, place) in steps {
                now += pause;
                let was_open = breaker.is_open(Picos(now));
                let permit = breaker.admit(Picos(now));
                prop_assert!(!(was_open && permit.is_some()));
                pending.extend(permit);
                if place < pending.len() {
                    breaker.settle(pending.swap_remove(place), has_failed, Picos(now));
                }
            }
        }
    }
}
