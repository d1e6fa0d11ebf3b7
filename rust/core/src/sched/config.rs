//! Policies as users write them.

use super::Scheduler;
use super::policies::{
    Cfs, CfsConfig, Eevdf, EevdfConfig, Fifo, FifoConfig, Lottery, LotteryConfig, Mlfq, MlfqConfig, Priority,
    PriorityConfig, RoundRobin, RoundRobinConfig, Sjf, SjfConfig, Stcf, StcfConfig, Stride, StrideConfig,
};
use crate::base::{ConfigError, Picos};
use serde::{Deserialize, Deserializer, Serialize};

/// A policy with its numbers: `{"round-robin": {"time_slice_us": 10000}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is documented where it is defined")]
pub enum PolicyConfig {
    Fifo(FifoConfig),
    Sjf(SjfConfig),
    Stcf(StcfConfig),
    RoundRobin(RoundRobinConfig),
    Mlfq(MlfqConfig),
    Lottery(LotteryConfig),
    Stride(StrideConfig),
    Priority(PriorityConfig),
    Cfs(CfsConfig),
    Eevdf(EevdfConfig),
}

/// Calls a function that is generic over the policy with a maker of its queues: of cpus, seed and number of the queue.
macro_rules! with_policy {
    ($config:expr, $make:ident => $body:expr) => {
        match $config {
            PolicyConfig::Fifo(_) => {
                let $make = |_: u32, _: u64, _: u64| Fifo::default();
                $body
            }
            PolicyConfig::Sjf(_) => {
                let $make = |_: u32, _: u64, _: u64| Sjf::default();
                $body
            }
            PolicyConfig::Stcf(_) => {
                let $make = |_: u32, _: u64, _: u64| Stcf::default();
                $body
            }
            PolicyConfig::RoundRobin(config) => {
                let $make = |_: u32, _: u64, _: u64| RoundRobin::new(config);
                $body
            }
            PolicyConfig::Mlfq(config) => {
                let $make = |_: u32, _: u64, _: u64| Mlfq::new(config);
                $body
            }
            PolicyConfig::Lottery(config) => {
                let $make = |_: u32, seed: u64, index: u64| Lottery::new(config, seed, index);
                $body
            }
            PolicyConfig::Stride(config) => {
                let $make = |_: u32, _: u64, _: u64| Stride::new(config);
                $body
            }
            PolicyConfig::Priority(config) => {
                let $make = |_: u32, _: u64, _: u64| Priority::new(config);
                $body
            }
            PolicyConfig::Cfs(config) => {
                let $make = |cpus: u32, _: u64, _: u64| Cfs::new(config, cpus);
                $body
            }
            PolicyConfig::Eevdf(config) => {
                let $make = |cpus: u32, _: u64, _: u64| Eevdf::new(config, cpus);
                $body
            }
        }
    };
}

impl PolicyConfig {
    /// Holds the rules of a policy.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Fifo(_) | Self::Sjf(_) | Self::Stcf(_) => Ok(()),
            Self::RoundRobin(config) => config.check(),
            Self::Mlfq(config) => config.check(),
            Self::Lottery(config) => config.check(),
            Self::Stride(config) => config.check(),
            Self::Priority(config) => config.check(),
            Self::Cfs(config) => config.check(),
            Self::Eevdf(config) => config.check(),
        }
    }

    /// Reads a policy, or its name alone for the usual numbers.
    ///
    /// # Errors
    /// There is no such policy, or it has no such number.
    pub fn by_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut tree = serde_json::Value::deserialize(deserializer)?;
        if let serde_json::Value::String(name) = tree {
            tree = serde_json::json!({ name: {} });
        }
        serde_json::from_value(tree).map_err(serde::de::Error::custom)
    }

    /// A run queue under the policy: of a machine with so many cpus, with the random numbers of a seed, by its number.
    pub fn queue(&self, cpus: u32, seed: u64, index: u64) -> Box<dyn Scheduler + Send> {
        with_policy!(self, make => Box::new(make(cpus, seed, index)))
    }

    /// Whether every cpu has a queue of its own, since the policy keeps account of one running task.
    pub const fn is_per_cpu(&self) -> bool {
        matches!(self, Self::Cfs(_) | Self::Eevdf(_))
    }
}

/// A simulation of jobs under the policy that a configuration names.
pub(super) fn simulation(
    config: &PolicyConfig,
    jobs: Vec<super::Job>,
    options: &super::JobsOptions,
) -> Box<dyn super::Simulation> {
    let (cpus, seed) = (options.cpus, options.seed);
    let queues = options.queues_of(config.is_per_cpu());
    with_policy!(config, make => {
        let queues = (0..queues).map(|index| make(cpus, seed, u64::from(index))).collect();
        Box::new(super::jobs::Jobs::new(jobs, options, queues))
    })
}

/// A time that must not be zero.
pub(super) fn above_zero(path: &str, time: Picos) -> Result<(), ConfigError> {
    if time == Picos::ZERO { Err(ConfigError::new(path, "must be at least 1e-6 us", 0)) } else { Ok(()) }
}

/// A number of cpus, if any.
pub(super) fn some_cpus(path: &str, cpus: Option<u32>) -> Result<(), ConfigError> {
    if cpus == Some(0) { Err(ConfigError::new(path, "must be at least 1", 0)) } else { Ok(()) }
}
