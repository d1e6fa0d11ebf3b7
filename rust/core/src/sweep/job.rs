//! What all points of a sweep share.

use super::identity::{Digest, Trace};
use super::metrics::{Names, Selection};
use super::ready::Cache;
use crate::base::ConfigError;
use crate::memory::config::{from_tree, tree_from_json};
use serde::Deserialize;
use serde_json::Value;
use std::sync::{Arc, Mutex};

/// What is run at every point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A trace through a machine.
    Replay,
    /// A scenario on a machine.
    Simulate,
    /// A service, on none.
    Service,
}

/// A job as a caller writes it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What is run.
    pub target: Target,
    /// What changes, each beginning with `machine.`, `scenario.` or `options.`.
    #[serde(default)]
    pub paths: Vec<String>,
    /// The options of a replay.
    #[serde(default)]
    pub options: Value,
    /// Which values of a result are kept.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Whether a row has the whole result too, as JSON.
    #[serde(default)]
    pub tree: bool,
}

/// A job that is ready to run points; shared by all threads.
#[derive(Debug)]
pub struct Job {
    pub(super) target: Target,
    /// Paths below the machine, and which value of a point each takes. Likewise the next two.
    pub(super) machine: Vec<(usize, String)>,
    pub(super) scenario: Vec<(usize, String)>,
    pub(super) options: Vec<(usize, String)>,
    pub(super) base_options: Value,
    pub(super) selection: Selection,
    /// Of the last row that was made.
    pub(super) names: Mutex<Names>,
    pub(super) tree: bool,
    pub(super) trace: Option<Arc<Trace>>,
    /// Over what is the same at every point.
    pub(super) digest: Digest,
    pub(super) cache: Cache,
    paths: usize,
}

impl Job {
    /// Reads a job written as JSON.
    ///
    /// # Errors
    /// What is wrong, with its path; a replay without a trace.
    pub fn from_json(text: &str, trace: Option<Arc<Trace>>) -> Result<Self, ConfigError> {
        let spec: JobSpec = from_tree("job", tree_from_json("job", text)?)?;
        Self::new(spec, trace)
    }

    /// Makes a job.
    ///
    /// # Errors
    /// A path that begins with none of the three words; a replay without a trace.
    pub fn new(spec: JobSpec, trace: Option<Arc<Trace>>) -> Result<Self, ConfigError> {
        let JobSpec { target, paths, options, metrics, tree } = spec;
        if target == Target::Replay && trace.is_none() {
            return Err(ConfigError::new("trace", "must be given to a replay", "none"));
        }
        let (mut machine, mut scenario, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for (place, path) in paths.iter().enumerate() {
            let (root, below) = path.split_once('.').unwrap_or((path, ""));
            let list = match (root, target) {
                _ if below.is_empty() => None,
                ("machine", Target::Replay | Target::Simulate) => Some(&mut machine),
                ("scenario", Target::Simulate | Target::Service) => Some(&mut scenario),
                ("options", Target::Replay) => Some(&mut changed),
                _ => None,
            };
            let rule = "must be a path of the machine, or of the scenario or the options where there are such";
            list.ok_or_else(|| ConfigError::new(format!("paths[{place}]"), rule, path))?
                .push((place, below.to_owned()));
        }
        let mut digest = Digest::new("point").number(u64::from(crate::MODEL_VERSION)).number(target as u64);
        digest = digest.number(u64::from(tree));
        for pattern in &metrics {
            digest = digest.bytes(pattern.as_bytes());
        }
        if let Some(trace) = &trace {
            digest = digest.digest(trace.digest());
        }
        Ok(Self {
            target,
            machine,
            scenario,
            options: changed,
            base_options: if options.is_null() { Value::Object(serde_json::Map::new()) } else { options },
            selection: Selection::new(&metrics),
            names: Mutex::default(),
            tree,
            trace,
            digest,
            cache: Cache::default(),
            paths: paths.len(),
        })
    }

    /// What is run at every point.
    pub fn target(&self) -> Target {
        self.target
    }

    /// How many values a point has.
    pub fn paths(&self) -> usize {
        self.paths
    }
}
