//! A dependency with a capacity of its own: servers, and a queue in front of them, first come first served.
//!
//! Who calls and gives up is not noticed: the request is served all the same, unless requests carry their deadline and
//! the station drops those that nobody waits for any longer.

use crate::base::{ConfigError, Picos, Rng};
use crate::workload::distribution::{Duration, Sampler};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The most servers.
const SERVERS_MAX: u32 = 1 << 16;

/// The longest queue.
const QUEUE_MAX: u32 = 1 << 22;

/// A station as a user writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StationConfig {
    /// Requests that are served at a time.
    #[serde(default = "one")]
    pub servers: u32,
    /// Requests that may wait; more are refused.
    #[serde(default = "queue_max")]
    pub queue_max: u32,
    /// How long a request is served.
    pub service_ns: Duration,
    /// What a message to or from it takes.
    #[serde(default)]
    pub network_ns: Duration,
    /// Whether requests whose caller does not wait any longer are dropped instead of served.
    #[serde(default)]
    pub drops_expired: bool,
}

fn one() -> u32 {
    1
}

fn queue_max() -> u32 {
    100_000
}

impl StationConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        if !(1..=SERVERS_MAX).contains(&self.servers) {
            return Err(ConfigError::new(
                format!("{path}.servers"),
                format!("must be 1 to {SERVERS_MAX}"),
                self.servers,
            ));
        }
        if self.queue_max > QUEUE_MAX {
            let rule = format!("must be at most {QUEUE_MAX}");
            return Err(ConfigError::new(format!("{path}.queue_max"), rule, self.queue_max));
        }
        self.service_ns.sampler(&format!("{path}.service_ns"))?;
        self.network_ns.sampler(&format!("{path}.network_ns")).map(|_| ())
    }
}

/// A request at a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Whose it is.
    pub id: u32,
    /// When it came.
    pub arrived: Picos,
    /// Until when somebody waits for it.
    pub expires: Picos,
}

/// What becomes of a request that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served for so long.
    Started(Picos),
    /// It waits.
    Queued,
    /// There is no room, or nobody serves.
    Refused,
}

/// A station.
#[derive(Clone, Debug)]
pub struct Station {
    servers: u32,
    queue_max: usize,
    drops_expired: bool,
    service: Sampler,
    draws: Rng,
    busy: u32,
    queue: VecDeque<Ticket>,
    /// What service times are multiplied by.
    slowdown: f64,
    is_down: bool,
    changed: Picos,
    /// What happened here.
    pub stats: StationStats,
}

/// What happened at a station. Times are in picoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StationStats {
    /// Requests that were taken.
    pub admitted: u64,
    /// Requests whose service began.
    pub started: u64,
    /// Requests that were dropped since nobody waited for them.
    pub expired: u64,
    /// How long those that were started waited.
    pub wait: u128,
    /// How long those that were started are served.
    pub service: u128,
    /// Requests there, by time.
    pub area: u128,
    /// How long each request was there.
    pub stay: u128,
    /// Servers that serve, by time.
    pub busy: u128,
    /// The longest queue.
    pub queue_peak: u64,
}

impl Station {
    /// An idle station of a configuration. `index` tells apart the random numbers of stations.
    ///
    /// # Errors
    /// A service time that is none.
    pub fn new(config: &StationConfig, path: &str, seed: u64, index: u64) -> Result<Self, ConfigError> {
        config.check(path)?;
        Ok(Self {
            servers: config.servers,
            queue_max: config.queue_max as usize,
            drops_expired: config.drops_expired,
            service: config.service_ns.sampler(&format!("{path}.service_ns"))?,
            draws: Rng::stream(seed, "service.times", index),
            busy: 0,
            queue: VecDeque::new(),
            slowdown: 1.0,
            is_down: false,
            changed: Picos::ZERO,
            stats: StationStats::default(),
        })
    }

    /// From now on services that begin take so many times as long, or none begins that is not there.
    pub fn trouble(&mut self, slowdown: f64, is_down: bool) {
        (self.slowdown, self.is_down) = (slowdown, is_down);
    }

    /// A request comes.
    pub fn arrive(&mut self, now: Picos, ticket: Ticket) -> Admission {
        if self.is_down || (self.busy == self.servers && self.queue.len() >= self.queue_max) {
            return Admission::Refused;
        }
        self.count(now);
        self.stats.admitted += 1;
        if self.busy == self.servers {
            self.queue.push_back(ticket);
            self.stats.queue_peak = self.stats.queue_peak.max(self.queue.len() as u64);
            return Admission::Queued;
        }
        self.busy += 1;
        Admission::Started(self.start(now, ticket))
    }

    /// A service has ended: who is served next, and for how long.
    /// `dropped` is given those that are dropped on the way.
    pub fn depart(&mut self, now: Picos, ticket: Ticket, mut dropped: impl FnMut(Ticket)) -> Option<(Ticket, Picos)> {
        self.count(now);
        self.stats.stay += u128::from((now - ticket.arrived).0);
        while let Some(next) = self.queue.pop_front() {
            if self.drops_expired && next.expires <= now {
                self.stats.expired += 1;
                self.stats.stay += u128::from((now - next.arrived).0);
                dropped(next);
                continue;
            }
            return Some((next, self.start(now, next)));
        }
        self.busy -= 1;
        None
    }

    /// How much time all servers have had.
    pub fn capacity(&self, now: Picos) -> u128 {
        u128::from(self.servers) * u128::from(now.0)
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Ends the count. `serving` are the requests that are served.
    pub fn close(&mut self, now: Picos, serving: impl Iterator<Item = Ticket>) {
        self.count(now);
        let stay = |ticket: &Ticket| u128::from((now - ticket.arrived).0);
        self.stats.stay += self.queue.iter().map(stay).sum::<u128>();
        self.stats.stay += serving.map(|ticket| stay(&ticket)).sum::<u128>();
    }

    fn start(&mut self, now: Picos, ticket: Ticket) -> Picos {
        let drawn = self.service.draw(&mut self.draws);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to what fits")]
        let time = if self.slowdown == 1.0 { drawn } else { Picos((drawn.0 as f64 * self.slowdown) as u64) };
        let time = time.min(Picos::RUN_MAX);
        self.stats.started += 1;
        self.stats.wait += u128::from((now - ticket.arrived).0);
        self.stats.service += u128::from(time.0);
        time
    }

    fn count(&mut self, now: Picos) {
        let (busy, since) = (u128::from(self.busy), u128::from((now - self.changed).0));
        self.stats.area += (busy + self.queue.len() as u128) * since;
        self.stats.busy += busy * since;
        self.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(json: &str) -> Station {
        Station::new(&serde_json::from_str(json).unwrap(), "dependency", 1, 0).unwrap()
    }

    fn ticket(id: u32, arrived: u64, expires: u64) -> Ticket {
        Ticket { id, arrived: Picos(arrived), expires: Picos(expires) }
    }

    #[test]
    fn servers_then_the_queue_then_nothing() {
        let mut station = station(r#"{"servers": 1, "queue_max": 1, "service_ns": 1}"#);
        assert_eq!(station.arrive(Picos(0), ticket(0, 0, 9)), Admission::Started(Picos(1000)));
        assert_eq!(station.arrive(Picos(10), ticket(1, 10, 19)), Admission::Queued);
        assert_eq!(station.arrive(Picos(20), ticket(2, 20, 29)), Admission::Refused);
        let next = station.depart(Picos(1000), ticket(0, 0, 9), |_| unreachable!("nobody is dropped"));
        assert_eq!(next, Some((ticket(1, 10, 19), Picos(1000))), "it is served though nobody waits for it");
        assert_eq!(station.depart(Picos(2000), ticket(1, 10, 19), |_| ()), None);
        let stats = station.stats;
        assert_eq!((stats.admitted, stats.started, stats.wait, stats.queue_peak), (2, 2, 990, 1));
        assert_eq!((stats.area, stats.stay), (2990, 2990), "Little's law");
        assert_eq!(stats.busy, 2000);
    }

    #[test]
    fn who_is_not_waited_for_may_be_dropped() {
        let mut station = station(r#"{"service_ns": 1, "drops_expired": true}"#);
        for id in 0..4 {
            station.arrive(Picos(0), ticket(id, 0, if id == 3 { 2000 } else { 500 }));
        }
        let mut dropped = Vec::new();
        let next = station.depart(Picos(1000), ticket(0, 0, 500), |ticket| dropped.push(ticket.id));
        assert_eq!((next, dropped), (Some((ticket(3, 0, 2000), Picos(1000))), vec![1, 2]));
        assert_eq!(station.stats.expired, 2);
    }

    #[test]
    fn trouble_slows_down_and_refuses() {
        let mut station = station(r#"{"servers": 2, "service_ns": 1}"#);
        station.trouble(2.5, false);
        assert_eq!(station.arrive(Picos(0), ticket(0, 0, 9)), Admission::Started(Picos(2500)));
        station.trouble(1.0, true);
        assert_eq!(station.arrive(Picos(0), ticket(1, 0, 9)), Admission::Refused);
    }
}
