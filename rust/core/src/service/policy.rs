//! What a client does about slow and failed calls: timeouts, deadlines, retries, budgets, breakers.
//!
//! A [`CallPolicy`] is what a user writes, a [`Caller`] one client with its budget and breaker, a [`Call`] one call of it.
//! The caller is told what happens and when, and says what to do; who sends, waits and counts is somebody else.

use super::backoff::{Backoff, Delays};
use super::breaker::{Breaker, BreakerConfig, Permit};
use super::budget::{Budget, TokenBucket};
use crate::base::{ConfigError, Picos, Rng};
use serde::{Deserialize, Serialize};

/// Retries that need no wait between them.
const RETRIES_AT_ONCE_MAX: u32 = 1000;

/// A policy as a user writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallPolicy {
    /// How long an attempt may take; for ever if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ns: Option<Picos>,
    /// How long all attempts together may take; for ever if absent. Who is called is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ns: Option<Picos>,
    /// Attempts after the first one.
    pub retries: u32,
    /// What lies between attempts.
    pub backoff: Backoff,
    /// What limits retries in proportion to calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What keeps from calling at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerConfig>,
}

impl Default for CallPolicy {
    fn default() -> Self {
        Self {
            timeout_ns: None,
            deadline_ns: None,
            retries: 3,
            backoff: Backoff::default(),
            budget: None,
            breaker: None,
        }
    }
}

impl CallPolicy {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        for (field, time) in [("timeout_ns", self.timeout_ns), ("deadline_ns", self.deadline_ns)] {
            if time == Some(Picos::ZERO) {
                return Err(ConfigError::new(format!("{path}.{field}"), "must be above 0", 0));
            }
        }
        if self.retries > RETRIES_AT_ONCE_MAX && self.backoff.strategy == super::Strategy::None {
            let rule = format!("must be at most {RETRIES_AT_ONCE_MAX} without a backoff");
            return Err(ConfigError::new(format!("{path}.retries"), rule, self.retries));
        }
        self.backoff.check(&format!("{path}.backoff"))?;
        if let Some(budget) = &self.budget {
            budget.check(&format!("{path}.budget"))?;
        }
        if let Some(breaker) = &self.breaker {
            breaker.check(&format!("{path}.breaker"))?;
        }
        Ok(())
    }
}

/// A client.
#[derive(Clone, Debug)]
pub struct Caller {
    policy: CallPolicy,
    bucket: Option<TokenBucket>,
    breaker: Option<Breaker>,
    draws: Rng,
}

/// One call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// When it gives up, whatever happens.
    deadline: Picos,
    delays: Delays,
    permit: Permit,
}

/// Why a call has failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// All its attempts have failed.
    Retries,
    /// The budget has no retry left.
    Budget,
    /// Its time is up, or would be before another attempt.
    Deadline,
    /// The breaker is open.
    Breaker,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Make an attempt now, and wait for its answer until then.
    Attempt(Picos),
    /// Try again then.
    Retry(Picos),
    /// Tell whoever asked that it failed.
    GiveUp(GiveUp),
}

impl Caller {
    /// A client with a checked policy. `index` tells apart the random numbers of clients.
    pub fn new(policy: &CallPolicy, seed: u64, index: u64) -> Self {
        Self {
            policy: policy.clone(),
            bucket: policy.budget.as_ref().map(TokenBucket::new),
            breaker: policy.breaker.map(Breaker::new),
            draws: Rng::stream(seed, "service.backoff", index),
        }
    }

    /// A call begins, which whoever asks needs until a deadline of its own.
    pub fn begin(&mut self, now: Picos, deadline: Picos) -> Call {
        if let Some(bucket) = &mut self.bucket {
            bucket.deposit();
        }
        let own = self.policy.deadline_ns.map_or(Picos::NEVER, |time| now + time);
        Call { deadline: own.min(deadline), delays: Delays::default(), permit: Permit::default() }
    }

    /// An attempt is due.
    pub fn attempt(&mut self, call: &mut Call, now: Picos) -> Verdict {
        if now >= call.deadline {
            return Verdict::GiveUp(GiveUp::Deadline);
        }
        if let Some(breaker) = &mut self.breaker {
            match breaker.admit(now) {
                Some(permit) => call.permit = permit,
                None => return Verdict::GiveUp(GiveUp::Breaker),
            }
        }
        Verdict::Attempt(self.policy.timeout_ns.map_or(Picos::NEVER, |time| now + time).min(call.deadline))
    }

    /// An attempt was answered.
    pub fn succeed(&mut self, call: &Call, now: Picos) {
        if let Some(breaker) = &mut self.breaker {
            breaker.settle(call.permit, false, now);
        }
    }

    /// An attempt was refused, or nobody waits for it any longer.
    pub fn fail(&mut self, call: &mut Call, now: Picos) -> Verdict {
        if let Some(breaker) = &mut self.breaker {
            breaker.settle(call.permit, true, now);
        }
        if call.delays.failures() >= self.policy.retries {
            return Verdict::GiveUp(GiveUp::Retries);
        }
        let again = now + call.delays.next(&self.policy.backoff, &mut self.draws);
        if again >= call.deadline {
            return Verdict::GiveUp(GiveUp::Deadline);
        }
        if self.bucket.as_mut().is_some_and(|bucket| !bucket.take(now)) {
            return Verdict::GiveUp(GiveUp::Budget);
        }
        Verdict::Retry(again)
    }

    /// How often its breaker opened.
    pub fn openings(&self) -> u64 {
        self.breaker.as_ref().map_or(0, Breaker::openings)
    }
}

impl Call {
    /// When it gives up, whatever happens: what is handed down.
    pub fn deadline(&self) -> Picos {
        self.deadline
    }

    /// Attempts that have failed and were, or will be, followed by another.
    pub fn retries(&self) -> u32 {
        self.delays.failures()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(json: &str) -> Caller {
        let policy: CallPolicy = serde_json::from_str(json).unwrap();
        policy.check("client").unwrap();
        Caller::new(&policy, 1, 0)
    }

    fn error(json: &str) -> String {
        serde_json::from_str::<CallPolicy>(json).unwrap().check("client").unwrap_err().to_string()
    }

    #[test]
    fn attempts_end_with_their_timeout_and_calls_with_their_deadline() {
        let backoff = r#"{"strategy": "exponential", "base_ns": 1, "cap_ns": 100}"#;
        let mut caller =
            caller(&format!(r#"{{"timeout_ns": 10, "deadline_ns": 25, "retries": 9, "backoff": {backoff}}}"#));
        let mut call = caller.begin(Picos::ZERO, Picos::NEVER);
        assert_eq!(caller.attempt(&mut call, Picos::ZERO), Verdict::Attempt(Picos(10_000)));
        assert_eq!(caller.fail(&mut call, Picos(10_000)), Verdict::Retry(Picos(12_000)));
        assert_eq!(caller.attempt(&mut call, Picos(12_000)), Verdict::Attempt(Picos(22_000)));
        assert_eq!(caller.fail(&mut call, Picos(22_000)), Verdict::GiveUp(GiveUp::Deadline));
        let mut call = caller.begin(Picos(30_000), Picos(33_000));
        assert_eq!(caller.attempt(&mut call, Picos(30_000)), Verdict::Attempt(Picos(33_000)), "what was handed down");
    }

    #[test]
    fn retries_and_budgets_end() {
        let none = r#""backoff": {"strategy": "none"}"#;
        let mut limited = caller(&format!(r#"{{"retries": 1, {none}}}"#));
        let mut call = limited.begin(Picos::ZERO, Picos::NEVER);
        assert_eq!(limited.attempt(&mut call, Picos::ZERO), Verdict::Attempt(Picos::NEVER));
        assert_eq!(limited.fail(&mut call, Picos::ZERO), Verdict::Retry(Picos::ZERO));
        assert_eq!(limited.fail(&mut call, Picos::ZERO), Verdict::GiveUp(GiveUp::Retries));
        assert_eq!(call.retries(), 1);
        let mut thrifty = caller(&format!(r#"{{"retries": 9, {none}, "budget": {{"per_call": 0.5, "burst": 1}}}}"#));
        let mut call = thrifty.begin(Picos::ZERO, Picos::NEVER);
        assert_eq!(thrifty.fail(&mut call, Picos::ZERO), Verdict::Retry(Picos::ZERO));
        assert_eq!(thrifty.fail(&mut call, Picos::ZERO), Verdict::GiveUp(GiveUp::Budget));
    }

    #[test]
    fn an_open_breaker_is_no_attempt() {
        let mut caller = caller(r#"{"retries": 0, "breaker": {"window": 1, "open_ns": 10}}"#);
        let mut call = caller.begin(Picos::ZERO, Picos::NEVER);
        assert!(matches!(caller.attempt(&mut call, Picos::ZERO), Verdict::Attempt(_)));
        assert_eq!(caller.fail(&mut call, Picos(1)), Verdict::GiveUp(GiveUp::Retries));
        assert_eq!(caller.attempt(&mut call, Picos(10_000)), Verdict::GiveUp(GiveUp::Breaker));
        assert!(matches!(caller.attempt(&mut call, Picos(10_001)), Verdict::Attempt(_)));
        assert_eq!(caller.openings(), 1);
    }

    #[test]
    fn broken_rules_are_told_with_their_paths() {
        assert_eq!(
            error(r#"{"retries": 4294967295, "backoff": {"strategy": "none"}}"#),
            "client.retries: must be at most 1000 without a backoff, got 4294967295"
        );
        assert_eq!(error(r#"{"timeout_ns": 0}"#), "client.timeout_ns: must be above 0, got 0");
        assert_eq!(error(r#"{"budget": {"per_call": -1}}"#), "client.budget.per_call: must be 0 to 100, got -1");
        assert_eq!(error(r#"{"breaker": {"window": 0}}"#), "client.breaker.window: must be 1 to 128, got 0");
        assert_eq!(
            error(r#"{"breaker": {"failure_share": 0}}"#),
            "client.breaker.failure_share: must be above 0 and at most 1, got 0"
        );
    }
}
