//! Clients that fight for one row under an optimistic lock: the case that backoff with jitter was found on.
//!
//! Every client reads the version of the row, and writes with it; a write succeeds if nobody has written in between. Each
//! message takes a time on the network, reads and writes themselves take none. Who fails waits by its backoff and reads
//! again; who succeeds is done. Source: M. Brooker, `backoff_simulator.py` (AWS Architecture Blog, 2015).

use super::agenda::Agenda;
use super::backoff::{Backoff, Delays};
use crate::base::{ConfigError, Picos, Rng};
use crate::workload::distribution::{Duration, Sampler};
use serde::{Deserialize, Serialize};

/// The most clients: without backoff their calls grow with their square, and a run is not cut into pieces.
const CLIENTS_MAX: u32 = 2000;

/// Clients, their backoff and their network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentionConfig {
    /// How many clients write once each.
    pub clients: u32,
    /// What each waits after a failure.
    #[serde(default)]
    pub backoff: Backoff,
    /// What a message takes, one way.
    pub network_ns: Duration,
}

/// What one run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contended {
    /// When the last client knew that it was done.
    pub elapsed: Picos,
    /// Writes, those that failed included.
    pub calls: u64,
}

/// Clients at the row.
#[derive(Debug)]
pub struct Contention {
    config: ContentionConfig,
    network: Sampler,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A client asks for the version.
    Read,
    /// It is told.
    Version(u64),
    /// It writes, if the version is still that.
    Write(u64),
    /// It is told whether it has.
    Written(bool),
}

impl Contention {
    /// Checks a case.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn new(config: ContentionConfig, seed: u64) -> Result<Self, ConfigError> {
        if !(1..=CLIENTS_MAX).contains(&config.clients) {
            return Err(ConfigError::new("clients", format!("must be 1 to {CLIENTS_MAX}"), config.clients));
        }
        config.backoff.check("backoff")?;
        let network = config.network_ns.sampler("network_ns")?;
        Ok(Self { config, network, seed })
    }

    /// One run, by its number, from the first message to the last.
    pub fn run(&self, index: u64) -> Contended {
        let mut draws = Rng::stream(self.seed, "contention", index);
        let mut delays = vec![Delays::default(); self.config.clients as usize];
        let mut agenda = Agenda::default();
        for client in 0..self.config.clients {
            agenda.push(self.network.draw(&mut draws), (client, Event::Read));
        }
        let (mut version, mut calls, mut elapsed) = (0, 0, Picos::ZERO);
        while let Some((now, (client, event))) = agenda.pop() {
            elapsed = now;
            let (wait, next) = match event {
                Event::Read => (Picos::ZERO, Event::Version(version)),
                Event::Version(seen) => (Picos::ZERO, Event::Write(seen)),
                Event::Write(seen) => {
                    calls += 1;
                    let is_written = seen == version;
                    version += u64::from(is_written);
                    (Picos::ZERO, Event::Written(is_written))
                }
                Event::Written(true) => continue,
                Event::Written(false) => (delays[client as usize].next(&self.config.backoff, &mut draws), Event::Read),
            };
            agenda.push(now + wait + self.network.draw(&mut draws), (client, next));
        }
        Contended { elapsed, calls }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(clients: u32, network: &str) -> Contention {
        let json = format!(r#"{{"clients": {clients}, "backoff": {{"strategy": "none"}}, "network_ns": {network}}}"#);
        Contention::new(serde_json::from_str(&json).unwrap(), 1).unwrap()
    }

    #[test]
    fn one_client_needs_four_messages() {
        assert_eq!(case(1, "10").run(0), Contended { elapsed: Picos(40_000), calls: 1 });
    }

    #[test]
    fn with_a_constant_network_one_client_wins_each_round() {
        // Round k has n - k + 1 writes, and the rounds follow one another without a wait.
        assert_eq!(case(5, "10").run(0), Contended { elapsed: Picos(200_000), calls: 15 });
    }

    #[test]
    fn runs_differ_and_repeat() {
        let case = case(20, r#"{"normal": {"mean_ns": 10, "sd_ns": 2}}"#);
        assert_ne!(case.run(0), case.run(1));
        assert_eq!(case.run(1), case.run(1));
        assert!((0..20).all(|index| case.run(index).calls >= 20));
    }

    #[test]
    fn broken_rules_are_told_with_their_paths() {
        let config = serde_json::from_str(r#"{"clients": 0, "network_ns": 1}"#).unwrap();
        assert_eq!(Contention::new(config, 0).unwrap_err().to_string(), "clients: must be 1 to 2000, got 0");
    }
}
