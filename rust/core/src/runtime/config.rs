//! Runtimes as users write them.

use super::Discipline;
use super::fifo::{Fifo, FifoConfig};
use super::per_slot::{PerSlot, PerSlotConfig};
use super::work_stealing::{WorkStealing, WorkStealingConfig};
use crate::base::ConfigError;
use crate::memory::config::from_tree;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A discipline with its numbers: `{"work-stealing": {"steal": "one"}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeConfig {
    /// One queue for all slots: a thread pool or an event loop.
    Fifo(FifoConfig),
    /// A queue for each slot, without stealing: an event loop a cpu.
    PerSlot(PerSlotConfig),
    /// Queues by slot, from which others steal.
    WorkStealing(WorkStealingConfig),
}

impl RuntimeConfig {
    /// Reads a runtime: a discipline or a preset (`go`, `tokio`, `java`, `java-21`) by its name alone, or a table of that
    /// name with what is to be other than usual. `root` is what it is called where it stands.
    ///
    /// # Errors
    /// There is no such runtime, it has no such choice, or a rule is broken.
    pub fn from_value(root: &str, tree: Value) -> Result<Self, ConfigError> {
        let (name, choices) = named(root, tree)?;
        if !choices.is_object() {
            return Err(ConfigError::new(format!("{root}.{name}"), "must be a table", choices));
        }
        let presets = WorkStealingConfig::presets();
        let preset = presets.iter().find(|(preset, _)| *preset == name).map(|(_, preset)| preset);
        let tree = preset.map_or_else(|| choices.clone(), |preset| changed(preset, &choices));
        let config = match name.as_str() {
            "fifo" => from_tree(&name, tree).map(Self::Fifo),
            "per-slot" => from_tree(&name, tree).map(Self::PerSlot),
            "work-stealing" => from_tree(&name, tree).map(Self::WorkStealing),
            _ if preset.is_some() => from_tree(&name, tree).map(Self::WorkStealing),
            _ => return Err(unknown(root, &name)),
        };
        let below = |error: ConfigError| {
            let here = if error.path == name { String::new() } else { format!(".{}", error.path) };
            ConfigError { path: format!("{root}.{name}{here}"), ..error }
        };
        let config = config.map_err(below)?;
        config.check().map_err(below)?;
        Ok(config)
    }

    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Fifo(config) => config.check(),
            Self::PerSlot(_) => Ok(()),
            Self::WorkStealing(config) => config.check(),
        }
    }

    /// Empty queues for so many slots, with the random numbers of a seed.
    pub fn discipline(&self, slots: u16, seed: u64) -> Box<dyn Discipline> {
        match self {
            Self::Fifo(config) => Box::new(Fifo::new(config, slots)),
            Self::PerSlot(_) => Box::new(PerSlot::new(slots)),
            Self::WorkStealing(config) => Box::new(WorkStealing::new(config, slots, seed)),
        }
    }
}

/// The name of a runtime and its choices.
fn named(root: &str, tree: Value) -> Result<(String, Value), ConfigError> {
    match tree {
        Value::String(name) => Ok((name, Value::Object(Map::new()))),
        Value::Object(entries) if entries.len() == 1 => Ok(entries.into_iter().next().expect("there is one")),
        tree => Err(ConfigError::new(root, "must be the name of a runtime, or a table with one such name", tree)),
    }
}

fn unknown(root: &str, name: &str) -> ConfigError {
    let presets = WorkStealingConfig::presets().map(|(name, _)| name).join(", ");
    ConfigError::new(root, format!("must be one of fifo, per-slot, work-stealing, {presets}"), format!("{name:?}"))
}

/// A preset as a tree, with changes.
fn changed(preset: &WorkStealingConfig, changes: &Value) -> Value {
    let mut tree = serde_json::to_value(preset).expect("a configuration is plain data");
    if let (Some(fields), Some(changes)) = (tree.as_object_mut(), changes.as_object()) {
        fields.extend(changes.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    tree
}

/// A number between two others, both of which are allowed.
pub(super) fn in_range(path: &str, value: u32, least: u32, most: u32) -> Result<(), ConfigError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(path, format!("must be {least} to {most}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(tree: Value) -> Result<RuntimeConfig, String> {
        RuntimeConfig::from_value("runtime", tree).map_err(|error| error.to_string())
    }

    #[test]
    fn names_alone_and_tables_are_read() {
        assert_eq!(read(json!("fifo")), Ok(RuntimeConfig::Fifo(FifoConfig::default())));
        assert_eq!(read(json!("go")), Ok(RuntimeConfig::WorkStealing(WorkStealingConfig::go())));
        let four = WorkStealingConfig { shared_batch: 4, ..WorkStealingConfig::tokio() };
        assert_eq!(read(json!({"tokio": {"shared_batch": 4}})), Ok(RuntimeConfig::WorkStealing(four)));
        for name in ["fifo", "per-slot", "work-stealing", "go", "tokio", "java", "java-21"] {
            let config = read(json!(name)).unwrap();
            assert_eq!(read(serde_json::to_value(&config).unwrap()), Ok(config), "{name}");
        }
    }

    #[test]
    fn errors_name_path_rule_and_value() {
        let cases = [
            (
                json!("rust"),
                "runtime: must be one of fifo, per-slot, work-stealing, go, tokio, java, java-21, got \"rust\"",
            ),
            (json!({"fifo": {"capacity": 0}}), "runtime.fifo.capacity: must be at least 1, got 0"),
            (json!({"go": {"steal": "two"}}), "runtime.go.steal: must be one of half, one, got \"two\""),
            (json!({"go": {"steal_rounds": 0}}), "runtime.go.steal_rounds: must be 1 to 64, got 0"),
            (json!({"java": 3}), "runtime.java: must be a table, got 3"),
        ];
        for (tree, message) in cases {
            assert_eq!(read(tree), Err(message.to_owned()));
        }
        let message = read(json!({"tokio": {"steel": 1}})).unwrap_err();
        assert!(message.starts_with("runtime.tokio.steel: unknown field, expected one of local_queue, "), "{message}");
    }
}
