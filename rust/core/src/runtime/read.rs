//! Models as users write them: a name, or a table of that name with what is to be other than usual.

use super::model::Model;
use crate::base::ConfigError;
use crate::memory::config::from_tree;
use serde_json::{Map, Value};

/// What queues are called in a model's table.
const QUEUES: &str = "queues";

impl Model {
    /// Reads a model: `"go"`, or `{"go": {"workers": 4}}`. `root` is what it is called where it stands.
    ///
    /// # Errors
    /// There is no such model, it has no such choice, or a rule is broken.
    pub fn from_value(root: &str, tree: Value) -> Result<Self, ConfigError> {
        let (name, changes) = match tree {
            Value::String(name) => (name, Map::new()),
            Value::Object(table) if table.len() == 1 => match table.into_iter().next().expect("there is one") {
                (name, Value::Object(changes)) => (name, changes),
                (name, other) => return Err(ConfigError::new(format!("{root}.{name}"), "must be a table", other)),
            },
            tree => {
                return Err(ConfigError::new(root, "must be the name of a model, or a table with one such name", tree));
            }
        };
        let presets = Self::presets();
        let Some(preset) = presets.iter().find(|preset| preset.name == name) else {
            let names = presets.map(|preset| preset.name).join(", ");
            return Err(ConfigError::new(root, format!("must be one of {names}"), format!("{name:?}")));
        };
        let mut tree = serde_json::to_value(preset).expect("a model is plain data");
        change(&mut tree, changes);
        let below = |error: ConfigError| ConfigError { path: format!("{root}.{name}.{}", error.path), ..error };
        let model: Self = from_tree("", tree).map_err(below)?;
        model.check().map_err(below)?;
        Ok(model)
    }
}

/// Puts changes into a tree: tables go into tables, everything else takes the place of what was there. What is said of
/// queues belongs to the kind that the model has, unless it names another.
fn change(tree: &mut Value, changes: Map<String, Value>) {
    let Value::Object(table) = tree else { return };
    for (name, value) in changes {
        match (table.get_mut(&name), value) {
            (Some(old @ Value::Object(_)), Value::Object(changes)) if name == QUEUES => change_queues(old, changes),
            (Some(old @ Value::Object(_)), Value::Object(changes)) => change(old, changes),
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

fn change_queues(queues: &mut Value, changes: Map<String, Value>) {
    let Value::Object(kinds) = &mut *queues else { return };
    let names_kind = changes.keys().any(|name| ["fifo", "per-slot", "work-stealing"].contains(&name.as_str()));
    match kinds.values_mut().next() {
        Some(own) if !names_kind => change(own, changes),
        _ => *queues = Value::Object(changes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_alone_and_tables_are_read() {
        for preset in Model::presets() {
            assert_eq!(Model::from_value("model", json!(preset.name)), Ok(preset));
        }
        let model = Model::from_value("model", json!({"go": {"workers": 3, "costs": {"switch_ns": 1}}})).unwrap();
        assert_eq!((model.workers, model.costs.switch_ns.nanos()), (Some(3), 1.0));
        assert_eq!(model.costs.create_ns, Model::go().costs.create_ns);
        let model = Model::from_value("model", json!({"go": {"queues": {"steal": "one"}}})).unwrap();
        assert_ne!(model.queues, Model::go().queues);
    }

    #[test]
    fn errors_name_path_rule_and_value() {
        let read = |tree| Model::from_value("model", tree).unwrap_err().to_string();
        assert!(read(json!("rust")).starts_with("model: must be one of process-per-task, "));
        assert_eq!(read(json!({"go": {"workers": 0}})), "model.go.workers: must be 1 to 4096, got 0");
        assert_eq!(read(json!({"go": 3})), "model.go: must be a table, got 3");
        assert!(read(json!({"go": {"worker": 3}})).starts_with("model.go.worker: unknown field"));
        let queues = read(json!({"go": {"queues": {"workers": 3}}}));
        assert!(queues.starts_with("model.go.queues.work-stealing.workers: unknown field"), "{queues}");
    }
}
