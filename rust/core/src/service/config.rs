//! A service as a user writes it: who asks, what is between, what answers, and what goes wrong when.

use super::cache::CacheConfig;
use super::policy::CallPolicy;
use super::station::StationConfig;
use crate::base::{ConfigError, Picos};
use crate::workload::arrivals::{Arrivals, Load};
use serde::{Deserialize, Serialize};

/// The most rows of the time series.
const WINDOWS_MAX: u64 = 100_000;

/// The most keys.
const KEYS_MAX: u32 = 1 << 22;

/// Events after which a run is given up, if nothing else is said.
const EVENTS_MAX: u64 = 1_000_000_000;

/// Clients, a dependency, and perhaps a cache between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// What results call it.
    pub name: String,
    /// Who asks, and when.
    pub load: Load,
    /// What they do about calls that are slow or fail.
    #[serde(default)]
    pub client: CallPolicy,
    /// What answers.
    pub dependency: StationConfig,
    /// What is in front of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheConfig>,
    /// What is asked for.
    #[serde(default)]
    pub keys: Keys,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<Trouble>,
    /// When the run ends.
    pub duration_ns: Picos,
    /// A row of the time series is that long.
    #[serde(default = "window_ns")]
    pub window_ns: Picos,
    /// Events after which the run is an error.
    #[serde(default = "events_max", skip_serializing_if = "is_events_max")]
    pub events_max: u64,
}

fn window_ns() -> Picos {
    Picos::from_nanos(1_000_000_000)
}

fn events_max() -> u64 {
    EVENTS_MAX
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_events_max(events: &u64) -> bool {
    *events == EVENTS_MAX
}

/// What is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// How many keys there are.
    pub count: u32,
    /// Key k is asked for with weight 1/(k+1)^skew.
    pub skew: f64,
    /// The part of all requests that write.
    pub write_share: f64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { count: 1, skew: 0.0, write_share: 0.0 }
    }
}

/// What goes wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// From when.
    pub from_ns: Picos,
    /// Until when.
    pub until_ns: Picos,
    /// Services that begin take so many times as long.
    #[serde(default = "unit")]
    pub slowdown: f64,
    /// Whether the dependency refuses everything.
    #[serde(default)]
    pub is_down: bool,
    /// Whether the cache loses everything when it begins.
    #[serde(default)]
    pub flushes: bool,
}

fn unit() -> f64 {
    1.0
}

impl ServiceConfig {
    /// Reads and checks a service written as JSON.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path and the value.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let tree = crate::memory::config::tree_from_json("service", text)?;
        let config: Self = crate::memory::config::from_tree("service", tree)?;
        config.check()?;
        Ok(config)
    }

    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.duration_ns == Picos::ZERO {
            return Err(ConfigError::new("duration_ns", "must be above 0", 0));
        }
        if self.window_ns == Picos::ZERO || self.duration_ns.0.div_ceil(self.window_ns.0) > WINDOWS_MAX {
            let rule = format!("must cut the duration into at most {WINDOWS_MAX} parts");
            return Err(ConfigError::new("window_ns", rule, self.window_ns.nanos()));
        }
        self.load.check("load")?;
        if let Arrivals::Closed { clients, .. } = self.load.arrivals
            && clients > self.load.in_flight_max
        {
            let rule = format!("must be at most in_flight_max ({})", self.load.in_flight_max);
            return Err(ConfigError::new("load.arrivals.closed.clients", rule, clients));
        }
        self.client.check("client")?;
        self.dependency.check("dependency")?;
        if let Some(cache) = &self.cache {
            cache.check("cache")?;
        }
        self.keys.check()?;
        self.troubles.iter().enumerate().try_for_each(|(index, trouble)| trouble.check(&format!("troubles[{index}]")))
    }
}

impl Keys {
    fn check(&self) -> Result<(), ConfigError> {
        if !(1..=KEYS_MAX).contains(&self.count) {
            return Err(ConfigError::new("keys.count", format!("must be 1 to {KEYS_MAX}"), self.count));
        }
        if !(0.0..=20.0).contains(&self.skew) {
            return Err(ConfigError::new("keys.skew", "must be 0 to 20", self.skew));
        }
        if !(0.0..=1.0).contains(&self.write_share) {
            return Err(ConfigError::new("keys.write_share", "must be 0 to 1", self.write_share));
        }
        Ok(())
    }
}

impl Trouble {
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        if self.until_ns < self.from_ns {
            let rule = format!("must not be before from_ns ({})", self.from_ns.nanos());
            return Err(ConfigError::new(format!("{path}.until_ns"), rule, self.until_ns.nanos()));
        }
        if !(0.0..=1e6).contains(&self.slowdown) {
            return Err(ConfigError::new(format!("{path}.slowdown"), "must be 0 to 1e6", self.slowdown));
        }
        Ok(())
    }
}
