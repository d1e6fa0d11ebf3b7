//! Points made ready: their machine, scenario, service and options read, changed and checked. What several points share is
//! kept.

use super::identity::Digest;
use super::job::{Job, Target};
use super::point::{Chunk, Point, Source};
use crate::base::ConfigError;
use crate::memory::MachineConfig;
use crate::memory::config::{apply_set_value, from_tree, tree_from_json};
use crate::replay::ReplayOptions;
use crate::service::ServiceConfig;
use crate::workload::Scenario;
use serde::Serialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Machines and scenarios that are kept at most; beyond that all are forgotten.
const KEPT_MAX: usize = 256;

/// A checked value and the digest of its canonical form.
#[derive(Debug)]
pub(super) struct Checked<T> {
    pub value: T,
    pub digest: Digest,
}

type Kept<T> = Mutex<HashMap<Digest, Result<Arc<T>, ConfigError>>>;

/// What was read before, by what it was read from.
#[derive(Debug, Default)]
pub(super) struct Cache {
    trees: Kept<Value>,
    machines: Kept<Checked<MachineConfig>>,
    scenarios: Kept<Checked<Scenario>>,
    services: Kept<Checked<ServiceConfig>>,
}

/// What a point runs.
#[derive(Debug)]
pub(super) enum Work {
    Replay(Arc<Checked<MachineConfig>>, ReplayOptions),
    Service(Arc<Checked<ServiceConfig>>),
    Simulate(Arc<Checked<MachineConfig>>, Arc<Checked<Scenario>>),
}

/// A point that can run.
#[derive(Debug)]
pub(super) struct Ready {
    pub work: Work,
    pub identity: Digest,
}

impl Ready {
    /// Makes a point ready.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(job: &Job, chunk: &Chunk, point: &Point) -> Result<Self, ConfigError> {
        let (work, identity) = match job.target {
            Target::Replay => {
                let (machine, options) = (machine(job, chunk, point)?, options(job, point)?);
                options.check(&machine.value)?;
                let identity = canonical(job.digest.digest(machine.digest).number(point.seed), &options);
                (Work::Replay(machine, options), identity)
            }
            Target::Service => {
                let service = service(job, &chunk.scenarios[point.scenario], point)?;
                let identity = job.digest.number(point.seed).digest(service.digest);
                (Work::Service(service), identity)
            }
            Target::Simulate => {
                let machine = machine(job, chunk, point)?;
                let scenario = scenario(job, &chunk.scenarios[point.scenario], point)?;
                let identity = job.digest.digest(machine.digest).number(point.seed).digest(scenario.digest);
                (Work::Simulate(machine, scenario), identity)
            }
        };
        Ok(Self { work, identity })
    }
}

fn machine(job: &Job, chunk: &Chunk, point: &Point) -> Result<Arc<Checked<MachineConfig>>, ConfigError> {
    let Source { text, digest } = &chunk.machines[point.machine];
    kept(&job.cache.machines, key(*digest, &job.machine, point), || {
        let config = if job.machine.is_empty() {
            MachineConfig::from_json(text)?
        } else {
            let tree = kept(&job.cache.trees, *digest, || {
                let machine = MachineConfig::from_value(tree_from_json("machine", text)?)?;
                // With every field, so that a path may lead through one that was left at its default.
                Ok(serde_json::to_value(&machine).expect("a machine is made of what JSON has"))
            })?;
            let config = MachineConfig::from_value(changed(&tree, &job.machine, point)?)?;
            config.check()?;
            config
        };
        let digest = canonical(Digest::new("machine"), &config);
        Ok(Checked { value: config, digest })
    })
}

fn scenario(job: &Job, source: &Source, point: &Point) -> Result<Arc<Checked<Scenario>>, ConfigError> {
    kept(&job.cache.scenarios, key(source.digest, &job.scenario, point), || {
        let mut tree = tree_from_json("scenario", &source.text)?;
        // So that a path may lead through what was left at its default.
        if let Some(fields) = tree.as_object_mut() {
            fields.entry("kernel").or_insert_with(|| Value::Object(serde_json::Map::new()));
            for (_, path) in &job.scenario {
                // Channels, locks and variables need not be declared.
                let mut steps = path.split('.');
                if let (Some(table @ ("channels" | "locks" | "variables")), Some(name)) = (steps.next(), steps.next())
                    && let Some(declared) =
                        fields.entry(table).or_insert_with(|| Value::Object(serde_json::Map::new())).as_object_mut()
                {
                    declared.entry(name).or_insert(Value::Null);
                }
            }
        }
        let text = changed(&tree, &job.scenario, point)?.to_string();
        let scenario = Scenario::from_json(&text)?;
        // As it is written, with its keys sorted: not every op can be written out again.
        let digest = Digest::new("scenario").bytes(text.as_bytes());
        Ok(Checked { value: scenario, digest })
    })
}

fn service(job: &Job, source: &Source, point: &Point) -> Result<Arc<Checked<ServiceConfig>>, ConfigError> {
    kept(&job.cache.services, key(source.digest, &job.scenario, point), || {
        let mut tree = tree_from_json("service", &source.text)?;
        if let Some(fields) = tree.as_object_mut() {
            for (_, path) in &job.scenario {
                // Tables need not be there.
                if let Some((table, _)) = path.split_once('.') {
                    fields.entry(table).or_insert(Value::Null);
                }
            }
        }
        let text = changed(&tree, &job.scenario, point)?.to_string();
        let config = ServiceConfig::from_json(&text)?;
        let digest = Digest::new("service").bytes(text.as_bytes());
        Ok(Checked { value: config, digest })
    })
}

fn options(job: &Job, point: &Point) -> Result<ReplayOptions, ConfigError> {
    let options: ReplayOptions = from_tree("options", changed(&job.base_options, &job.options, point)?)?;
    Ok(ReplayOptions { seed: point.seed, ..options })
}

/// A tree with the point's values at their paths.
fn changed(tree: &Value, paths: &[(usize, String)], point: &Point) -> Result<Value, ConfigError> {
    let mut tree = tree.clone();
    for (place, path) in paths {
        apply_set_value(&mut tree, path, point.values[*place].clone())?;
    }
    Ok(tree)
}

/// What the changed text is known by.
fn key(text: Digest, paths: &[(usize, String)], point: &Point) -> Digest {
    paths.iter().fold(text.number(paths.len() as u64), |digest, (place, _)| {
        digest.bytes(point.values[*place].to_string().as_bytes())
    })
}

fn canonical(digest: Digest, value: &impl Serialize) -> Digest {
    digest.bytes(&serde_json::to_vec(value).expect("a configuration is made of what JSON has"))
}

fn kept<T>(cache: &Kept<T>, key: Digest, make: impl FnOnce() -> Result<T, ConfigError>) -> Result<Arc<T>, ConfigError> {
    if let Some(known) = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return known.clone();
    }
    let made = make().map(Arc::new);
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if cache.len() >= KEPT_MAX {
        cache.clear();
    }
    cache.insert(key, made.clone());
    made
}
