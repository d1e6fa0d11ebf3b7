//! Open arrivals as queueing theory has them: jobs that come and need what they need, whatever else goes on.
//!
//! Times between arrivals and service times are independent, each with a mean and a squared coefficient of variation
//! (SCV): 0 is constant, `1/k` is Erlang with k stages, 1 is exponential, more than 1 is hyperexponential with two
//! branches and balanced means (Whitt, 1982). So M/M/c is SCV 1 and 1, M/D/1 is 1 and 0. Logarithms are those of `libm`,
//! with the same bits everywhere; times are rounded to picoseconds.

use super::jobs::Job;
use super::micros;
use crate::base::{ConfigError, Picos, Rng};
use serde::{Deserialize, Serialize};

/// 2^-53: the distance of neighbouring uniform numbers.
const ULP: f64 = 1.0 / (1_u64 << 53) as f64;

/// The most stages of an Erlang distribution.
const STAGES_MAX: f64 = 1000.0;

/// Arrivals and service times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpenConfig {
    /// How many jobs come.
    pub jobs: u32,
    /// What part of the time servers are busy: mean service over mean time between arrivals and the servers.
    pub utilization: f64,
    /// The mean service time.
    #[serde(with = "micros")]
    pub service_us: Picos,
    /// The squared coefficient of variation of service times.
    pub service_scv: f64,
    /// The same of the times between arrivals.
    pub arrival_scv: f64,
}

impl Default for OpenConfig {
    fn default() -> Self {
        let service_us = Picos::from_nanos(1_000_000);
        Self { jobs: 10_000, utilization: 0.8, service_us, service_scv: 1.0, arrival_scv: 1.0 }
    }
}

impl OpenConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !(self.utilization > 1e-6 && self.utilization <= 100.0) {
            return Err(ConfigError::new("utilization", "must be above 1e-6 and at most 100", self.utilization));
        }
        if !(Picos(1000)..=Picos(1_000_000_000_000)).contains(&self.service_us) {
            let got = self.service_us.0 as f64 / 1e6;
            return Err(ConfigError::new("service_us", "must be 0.001 to 1e6 us", got));
        }
        for (name, scv) in [("service_scv", self.service_scv), ("arrival_scv", self.arrival_scv)] {
            let stages = 1.0 / scv;
            let is_erlang = stages <= STAGES_MAX && (stages - libm::round(stages)).abs() < 1e-6 * stages;
            if !(scv == 0.0 || (1.0..=1000.0).contains(&scv) || (scv > 0.0 && scv < 1.0 && is_erlang)) {
                return Err(ConfigError::new(name, "must be 0, one over 2 to 1000, or 1 to 1000", scv));
            }
        }
        Ok(())
    }
}

/// A distribution of times.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Constant,
    Erlang { stages: u32 },
    Hyperexponential { first: f64 },
}

/// Draws times with a mean.
#[derive(Clone, Debug)]
struct Times {
    rng: Rng,
    shape: Shape,
    mean: f64,
}

impl Times {
    fn new(rng: Rng, mean: f64, scv: f64) -> Self {
        let shape = if scv == 0.0 {
            Shape::Constant
        } else if scv > 1.0 {
            Shape::Hyperexponential { first: 0.5 * (1.0 + ((scv - 1.0) / (scv + 1.0)).sqrt()) }
        } else {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 1000 stages")]
            Shape::Erlang { stages: libm::round(1.0 / scv) as u32 }
        };
        Self { rng, shape, mean }
    }

    /// Uniform above 0 and up to 1.
    fn uniform(&mut self) -> f64 {
        ((self.rng.next_u64() >> 11) + 1) as f64 * ULP
    }

    fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    fn draw(&mut self) -> f64 {
        let factor = match self.shape {
            Shape::Constant => 1.0,
            Shape::Erlang { stages: 1 } => self.exponential(),
            Shape::Erlang { stages } => (0..stages).map(|_| self.exponential()).sum::<f64>() / f64::from(stages),
            Shape::Hyperexponential { first } => {
                let chance = if self.uniform() <= first { first } else { 1.0 - first };
                self.exponential() / (2.0 * chance)
            }
        };
        factor * self.mean
    }
}

/// Jobs one after the other.
#[derive(Clone, Debug)]
pub struct Open {
    gaps: Times,
    services: Times,
    now: f64,
    left: u32,
}

impl Open {
    /// Arrivals for so many servers.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(config: &OpenConfig, servers: u32, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        let service = config.service_us.0 as f64;
        let gap = service / (config.utilization * f64::from(servers.max(1)));
        if gap * f64::from(config.jobs) > 5e16 || service * f64::from(config.jobs) > 2e16 {
            return Err(ConfigError::new("jobs", "must come and be served within 1e10 us", config.jobs));
        }
        Ok(Self {
            gaps: Times::new(Rng::stream(seed, "sched.arrivals", 0), gap, config.arrival_scv),
            services: Times::new(Rng::stream(seed, "sched.services", 0), service, config.service_scv),
            now: 0.0,
            left: config.jobs,
        })
    }
}

impl Iterator for Open {
    type Item = Job;

    /// The next job; the first one comes after a first gap.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are positive and below 2^63")]
    fn next(&mut self) -> Option<Job> {
        self.left = self.left.checked_sub(1)?;
        self.now += self.gaps.draw();
        let arrival = Picos((self.now + 0.5) as u64);
        Some(Job::new(arrival, Picos(((self.services.draw() + 0.5) as u64).max(1))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left as usize, Some(self.left as usize))
    }
}
