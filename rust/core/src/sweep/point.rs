//! Points: what changes from one simulation to the next.

use super::identity::Digest;
use super::job::Target;
use crate::base::ConfigError;
use crate::memory::config::{from_tree, tree_from_json};
use serde::Deserialize;
use serde_json::Value;

/// One simulation: a table, or a list in this order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Point {
    /// Which of the chunk's machines; 0 where there are none.
    pub machine: usize,
    /// Which of the chunk's scenarios; 0 where there are none.
    pub scenario: usize,
    /// Of everything random.
    pub seed: u64,
    /// One value for each path of the job.
    pub values: Vec<Value>,
}

/// A machine, scenario or service as JSON, and what it is known by.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
pub struct Source {
    pub(super) text: String,
    pub(super) digest: Digest,
}

impl From<String> for Source {
    fn from(text: String) -> Self {
        let digest = Digest::new("text").bytes(text.as_bytes());
        Self { text, digest }
    }
}

/// Points, and the machines and scenarios (as JSON) that they begin with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// Machines; empty for a service.
    #[serde(default)]
    pub machines: Vec<Source>,
    /// Scenarios, or services; empty for a replay.
    #[serde(default)]
    pub scenarios: Vec<Source>,
    /// What is to be run.
    pub points: Vec<Point>,
}

impl Chunk {
    /// Reads a chunk for a job of that target and so many paths.
    ///
    /// # Errors
    /// What is not a chunk of such a job.
    pub fn from_json(text: &str, target: Target, paths: usize) -> Result<Self, ConfigError> {
        // By way of a tree an error has its place.
        let chunk: Self = serde_json::from_str(text).or_else(|_| from_tree("chunk", tree_from_json("chunk", text)?))?;
        let machines = chunk.machines.len().max(usize::from(target == Target::Service));
        let scenarios = chunk.scenarios.len().max(usize::from(target == Target::Replay));
        for (place, point) in chunk.points.iter().enumerate() {
            if point.machine >= machines || point.scenario >= scenarios || point.values.len() != paths {
                let rule = "must name a machine and a scenario of the chunk and have a value for each path";
                return Err(ConfigError::new(format!("points[{place}]"), rule, format!("{point:?}")));
            }
        }
        Ok(chunk)
    }
}
