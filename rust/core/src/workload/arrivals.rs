//! Loads: when requests arrive.
//!
//! An open load does not care how requests fare: they come at a constant distance, at random (Poisson), in bursts (a
//! Markov-modulated Poisson process of two states), or as recorded. In a closed load each client thinks, asks, and waits
//! for the answer before it thinks again. `docs/distributions.md` is the specification.

use super::distribution::{Duration, Sampler};
use crate::base::{ConfigError, Picos, Rng};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Requests a second: one in a day, and one in a picosecond.
const RATES: std::ops::RangeInclusive<f64> = 1e-5..=1e12;

/// The most times of a recorded load, and the most clients of a closed one.
const COUNT_MAX: u64 = 1 << 24;

/// Cycles of bursts that may pass without an arrival, on average.
const EMPTY_CYCLES_MAX: f64 = 1000.0;

/// What arrives, as a user writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// When.
    pub arrivals: Arrivals,
    /// How many requests; without a limit if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Until when requests arrive; without an end if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ns: Option<Picos>,
    /// Requests that may be there at a time; more are turned away and counted.
    #[serde(default = "in_flight_max")]
    pub in_flight_max: u32,
}

fn in_flight_max() -> u32 {
    1_000_000
}

/// When requests arrive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Arrivals {
    /// At random, independent of one another.
    Poisson {
        /// How many a second.
        rate_per_s: f64,
    },
    /// At a constant distance; the first after one such distance.
    Constant {
        /// How many a second.
        rate_per_s: f64,
    },
    /// At random at one of two rates in turn, each for a time that is drawn exponentially. Begins with the first.
    Bursts {
        /// How many a second in each state; one of them may be 0.
        rates_per_s: [f64; 2],
        /// How long each state lasts on average.
        mean_ns: [f64; 2],
    },
    /// As listed.
    Recorded {
        /// When, in order.
        times_ns: Vec<Picos>,
    },
    /// Clients that wait for their answers.
    Closed {
        /// How many.
        clients: u32,
        /// How long each thinks before it asks.
        #[serde(default)]
        think_ns: Duration,
    },
}

/// The times of a load, one after the other.
#[derive(Clone, Debug)]
pub struct ArrivalTimes {
    process: Process,
    draws: Rng,
    /// When the next request arrives, as far as that is known.
    next: Option<Picos>,
    /// Requests that may still arrive.
    left: u64,
    until: Picos,
}

#[derive(Clone, Debug)]
enum Process {
    /// Mean distance in picoseconds.
    Poisson(f64, Clock),
    Constant(f64, Clock),
    Bursts(Box<Bursts>),
    Recorded(std::vec::IntoIter<Picos>),
    Closed {
        think: Sampler,
        due: BinaryHeap<Reverse<Picos>>,
    },
}

#[derive(Clone, Debug)]
struct Bursts {
    /// By state: mean distance of arrivals and mean length, in picoseconds.
    gaps: [f64; 2],
    lengths: [f64; 2],
    state: usize,
    /// What is left of the state.
    left: f64,
    states: Rng,
    clock: Clock,
}

/// A time that goes on by parts of picoseconds without losing them.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    whole: u64,
    part: f64,
}

impl Clock {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is cut to what fits")]
    fn advance(&mut self, picos: f64) -> Picos {
        let sum = self.part + picos;
        let whole = sum as u64;
        self.part = sum - whole as f64;
        self.whole = self.whole.saturating_add(whole);
        Picos(self.whole)
    }
}

impl Load {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        if self.in_flight_max == 0 {
            return Err(ConfigError::new(format!("{path}.in_flight_max"), "must be at least 1", 0));
        }
        self.arrivals.check(&format!("{path}.arrivals"))
    }
}

impl Arrivals {
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        match self {
            Self::Poisson { rate_per_s } => check_rate(*rate_per_s, &format!("{path}.poisson.rate_per_s")),
            Self::Constant { rate_per_s } => check_rate(*rate_per_s, &format!("{path}.constant.rate_per_s")),
            Self::Bursts { rates_per_s, mean_ns } => check_bursts(rates_per_s, mean_ns, &format!("{path}.bursts")),
            Self::Recorded { times_ns } => check_recorded(times_ns, &format!("{path}.recorded.times_ns")),
            Self::Closed { clients, think_ns } => {
                if !(1..=COUNT_MAX).contains(&u64::from(*clients)) {
                    return Err(ConfigError::new(format!("{path}.closed.clients"), "must be 1 to 2^24", clients));
                }
                think_ns.sampler(&format!("{path}.closed.think_ns")).map(|_| ())
            }
        }
    }
}

fn check_rate(rate: f64, path: &str) -> Result<(), ConfigError> {
    if RATES.contains(&rate) {
        return Ok(());
    }
    Err(ConfigError::new(path, "must be 1e-5 to 1e12", rate))
}

fn check_bursts(rates: &[f64; 2], lengths: &[f64; 2], path: &str) -> Result<(), ConfigError> {
    for (index, &rate) in rates.iter().enumerate() {
        if rate != 0.0 {
            check_rate(rate, &format!("{path}.rates_per_s[{index}]"))?;
        }
    }
    for (index, &length) in lengths.iter().enumerate() {
        if !(1.0..=1e14).contains(&length) {
            return Err(ConfigError::new(format!("{path}.mean_ns[{index}]"), "must be 1 to 1e14", length));
        }
    }
    let arrivals = (rates[0] * lengths[0] + rates[1] * lengths[1]) / 1e9;
    if arrivals * EMPTY_CYCLES_MAX < 1.0 {
        let rule = format!("must make at least one arrival in {EMPTY_CYCLES_MAX} turns of both states");
        return Err(ConfigError::new(format!("{path}.rates_per_s"), rule, format!("{rates:?}")));
    }
    Ok(())
}

fn check_recorded(times: &[Picos], path: &str) -> Result<(), ConfigError> {
    if times.len() as u64 > COUNT_MAX {
        return Err(ConfigError::new(path, "must hold at most 2^24 times", times.len()));
    }
    match times.windows(2).position(|pair| pair[1] < pair[0]) {
        None => Ok(()),
        Some(index) => {
            let rule = format!("must not be before the time in front of it ({})", times[index].nanos());
            Err(ConfigError::new(format!("{path}[{}]", index + 1), rule, times[index + 1].nanos()))
        }
    }
}

impl ArrivalTimes {
    /// The arrivals of a load. `index` tells apart loads of one run.
    ///
    /// # Errors
    /// The first rule that is broken; paths begin with `path`.
    pub fn new(load: &Load, path: &str, seed: u64, index: u64) -> Result<Self, ConfigError> {
        load.check(path)?;
        let draws = Rng::stream(seed, "load.arrivals", index);
        let process = match &load.arrivals {
            Arrivals::Poisson { rate_per_s } => Process::Poisson(1e12 / rate_per_s, Clock::default()),
            Arrivals::Constant { rate_per_s } => Process::Constant(1e12 / rate_per_s, Clock::default()),
            Arrivals::Bursts { rates_per_s, mean_ns } => {
                let mut states = Rng::stream(seed, "load.states", index);
                let lengths = mean_ns.map(|length| 1000.0 * length);
                let left = exponential(&mut states, lengths[0]);
                let gaps = rates_per_s.map(|rate| 1e12 / rate);
                Process::Bursts(Box::new(Bursts { gaps, lengths, state: 0, left, states, clock: Clock::default() }))
            }
            Arrivals::Recorded { times_ns } => Process::Recorded(times_ns.clone().into_iter()),
            Arrivals::Closed { think_ns, .. } => {
                let think = think_ns.sampler(&format!("{path}.arrivals.closed.think_ns"))?;
                Process::Closed { think, due: BinaryHeap::new() }
            }
        };
        let until = load.until_ns.unwrap_or(Picos::RUN_MAX).min(Picos::RUN_MAX);
        let left = load.requests.unwrap_or(u64::MAX);
        let mut times = Self { process, draws, next: None, left, until };
        if let Arrivals::Closed { clients, .. } = load.arrivals {
            (0..clients).for_each(|_| times.completed(Picos::ZERO));
        } else {
            times.next = times.draw();
        }
        Ok(times)
    }

    /// When the next request arrives, as far as that is known: in a closed load an answer may bring it nearer.
    pub fn peek(&self) -> Option<Picos> {
        let next = if let Process::Closed { due, .. } = &self.process {
            due.peek().map(|&Reverse(time)| time)
        } else {
            self.next
        };
        next.filter(|&time| self.left > 0 && time < self.until)
    }

    /// A request of a closed load has been answered, or turned away: its client begins to think. Says nothing to an open one.
    pub fn completed(&mut self, at: Picos) {
        if let Process::Closed { think, due } = &mut self.process {
            due.push(Reverse(at + think.draw(&mut self.draws)));
        }
    }

    /// Whether clients wait for their answers.
    pub fn is_closed(&self) -> bool {
        matches!(self.process, Process::Closed { .. })
    }

    fn draw(&mut self) -> Option<Picos> {
        match &mut self.process {
            Process::Poisson(gap, clock) => Some(clock.advance(exponential(&mut self.draws, *gap))),
            Process::Constant(gap, clock) => Some(clock.advance(*gap)),
            Process::Bursts(bursts) => Some(bursts.draw(&mut self.draws)),
            Process::Recorded(times) => times.next(),
            Process::Closed { .. } => None,
        }
    }
}

impl Iterator for ArrivalTimes {
    type Item = Picos;

    /// Takes the time that [`peek`](Self::peek) shows.
    fn next(&mut self) -> Option<Picos> {
        let time = self.peek()?;
        self.left -= 1;
        if let Process::Closed { due, .. } = &mut self.process {
            due.pop();
        } else {
            self.next = self.draw();
        }
        Some(time)
    }
}

impl Bursts {
    /// Goes on to the next arrival. What is left of a gap is drawn anew in the next state: neither remembers.
    fn draw(&mut self, draws: &mut Rng) -> Picos {
        let mut passed = 0.0;
        loop {
            let gap = exponential(draws, self.gaps[self.state]);
            if gap <= self.left {
                self.left -= gap;
                return self.clock.advance(passed + gap);
            }
            passed += self.left;
            self.state = 1 - self.state;
            self.left = exponential(&mut self.states, self.lengths[self.state]);
        }
    }
}

/// An exponential number; infinite if its mean is.
fn exponential(draws: &mut Rng, mean: f64) -> f64 {
    -libm::log(draws.unit()) * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(json: &str) -> ArrivalTimes {
        ArrivalTimes::new(&serde_json::from_str(json).unwrap(), "load", 1, 0).unwrap()
    }

    fn error(json: &str) -> String {
        let load: Load = serde_json::from_str(json).unwrap();
        ArrivalTimes::new(&load, "load", 1, 0).unwrap_err().to_string()
    }

    /// Arrivals by window, as mean and as the ratio of variance to mean.
    fn dispersion(times: ArrivalTimes, window: Picos, windows: u64) -> (f64, f64) {
        let mut counts = vec![0.0; usize::try_from(windows).unwrap()];
        for time in times {
            counts[usize::try_from(time.0 / window.0).unwrap()] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / windows as f64;
        let variance = counts.iter().map(|count| (count - mean) * (count - mean)).sum::<f64>() / windows as f64;
        (mean, variance / mean)
    }

    #[test]
    fn poisson_counts_vary_as_much_as_their_mean() {
        let times = times(r#"{"arrivals": {"poisson": {"rate_per_s": 1e6}}, "until_ns": 1e9}"#);
        let (mean, ratio) = dispersion(times, Picos::from_nanos(10_000), 100_000);
        assert!((mean - 10.0).abs() < 0.05, "{mean}");
        assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
    }

    #[test]
    fn bursts_vary_more_and_have_the_mean_of_both_rates() {
        let json = r#"{"arrivals": {"bursts": {"rates_per_s": [3e6, 0], "mean_ns": [1e5, 2e5]}}, "until_ns": 1e10}"#;
        let (mean, ratio) = dispersion(times(json), Picos::from_nanos(10_000_000), 1000);
        assert!((mean - 10_000.0).abs() < 300.0, "{mean}");
        // Heffes & Lucantoni (1986): 1 + 2 (r0-r1)^2 q0 q1 / ((q0+q1)^2 (r0 q1 + r1 q0)), with q the rates of leaving.
        let (r0, q0, q1) = (3.0, 1e-2, 0.5e-2);
        let expected = 1.0 + 2.0 * r0 * r0 * q0 * q1 / ((q0 + q1) * (q0 + q1) * r0 * q1);
        assert!((ratio / expected - 1.0).abs() < 0.15, "{ratio} {expected}");
    }

    #[test]
    fn constant_and_recorded_times_are_exact() {
        let constant = times(r#"{"arrivals": {"constant": {"rate_per_s": 3.2e11}}, "requests": 8}"#);
        assert_eq!(constant.map(|time| time.0).collect::<Vec<_>>(), [3, 6, 9, 12, 15, 18, 21, 25]);
        let recorded = times(r#"{"arrivals": {"recorded": {"times_ns": [1, 1, 5]}}, "until_ns": 5}"#);
        assert_eq!(recorded.map(|time| time.0).collect::<Vec<_>>(), [1000, 1000]);
    }

    #[test]
    fn closed_clients_wait_for_their_answers() {
        let mut load = times(r#"{"arrivals": {"closed": {"clients": 2, "think_ns": 10}}, "requests": 4}"#);
        assert_eq!(load.next(), Some(Picos(10_000)));
        assert_eq!(load.next(), Some(Picos(10_000)));
        assert_eq!(load.next(), None);
        load.completed(Picos(25_000));
        load.completed(Picos(15_000));
        assert_eq!(load.peek(), Some(Picos(25_000)));
        assert_eq!(load.next(), Some(Picos(25_000)));
        assert_eq!(load.next(), Some(Picos(35_000)));
        load.completed(Picos(40_000));
        assert_eq!(load.peek(), None, "four have come");
    }

    #[test]
    fn loads_without_a_limit_end_with_the_longest_run() {
        let times = times(r#"{"arrivals": {"poisson": {"rate_per_s": 0.01}}}"#);
        let count = times.count() as f64;
        assert!((count - 1000.0).abs() < 150.0, "{count}");
    }

    #[test]
    fn broken_rules_are_told_with_their_paths() {
        assert_eq!(
            error(r#"{"arrivals": {"poisson": {"rate_per_s": 0}}}"#),
            "load.arrivals.poisson.rate_per_s: must be 1e-5 to 1e12, got 0"
        );
        assert_eq!(
            error(r#"{"arrivals": {"constant": {"rate_per_s": 1e18}}}"#),
            "load.arrivals.constant.rate_per_s: must be 1e-5 to 1e12, got 1000000000000000000"
        );
        assert_eq!(
            error(r#"{"arrivals": {"bursts": {"rates_per_s": [0, 0], "mean_ns": [1, 1]}}}"#),
            "load.arrivals.bursts.rates_per_s: must make at least one arrival in 1000 turns of both states, got [0.0, 0.0]"
        );
        assert_eq!(
            error(r#"{"arrivals": {"recorded": {"times_ns": [3, 2]}}}"#),
            "load.arrivals.recorded.times_ns[1]: must not be before the time in front of it (3), got 2"
        );
        assert_eq!(
            error(r#"{"arrivals": {"closed": {"clients": 0}}}"#),
            "load.arrivals.closed.clients: must be 1 to 2^24, got 0"
        );
        let load = r#"{"arrivals": {"closed": {"clients": 1, "think_ns": {"exponential": {"mean_ns": -5}}}}}"#;
        assert_eq!(error(load), "load.arrivals.closed.think_ns.exponential.mean_ns: must be 0 to 1e14, got -5");
        assert_eq!(
            error(r#"{"arrivals": {"poisson": {"rate_per_s": 1}}, "in_flight_max": 0}"#),
            "load.in_flight_max: must be at least 1, got 0"
        );
    }
}
