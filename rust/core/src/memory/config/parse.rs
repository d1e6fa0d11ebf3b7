//! Reading a machine from a tree of values, with errors that name the place, the rule and the value.

use super::MachineConfig;
use crate::base::ConfigError;
use serde_json::Value;

/// Characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 60;

/// How the types of Rust are called in a message.
const TYPE_NAMES: [(&str, &str); 12] = [
    ("u32", "an integer from 0 to 4294967295"),
    ("u64", "an integer from 0 to 18446744073709551615"),
    ("f64", "a number"),
    ("a sequence", "a list"),
    ("a boolean", "true or false"),
    ("string or map", "a text"),
    ("struct MachineConfig", "a table"),
    ("struct CacheConfig", "a table"),
    ("struct TlbConfig", "a table"),
    ("struct Region", "a table"),
    ("struct PageWalkConfig", "a table"),
    ("struct StructureCacheConfig", "a table"),
];

impl MachineConfig {
    /// Reads and checks a machine written as JSON.
    ///
    /// # Errors
    /// A value of the wrong type, an unknown field, or a broken rule, with its path.
    pub fn from_json(text: &str) -> Result<Self, ConfigError> {
        let config = Self::from_value(tree_from_json("machine", text)?)?;
        config.check()?;
        Ok(config)
    }

    /// Reads a machine from a tree of values. Its types are right then; [`check`](Self::check) holds the rules.
    ///
    /// # Errors
    /// A value of the wrong type or an unknown field, with its path.
    pub fn from_value(tree: Value) -> Result<Self, ConfigError> {
        from_tree("machine", tree)
    }
}

/// Reads JSON into a tree. `root` is what the tree as a whole is called.
///
/// # Errors
/// Text that is not JSON.
pub fn tree_from_json(root: &str, text: &str) -> Result<Value, ConfigError> {
    serde_json::from_str(text).map_err(|error| ConfigError::new(root, format!("must be JSON ({error})"), shorten(text)))
}

/// Reads any configuration from a tree. `root` is what the tree as a whole is called.
///
/// # Errors
/// A value of the wrong type or an unknown field, with its path.
pub fn from_tree<T: serde::de::DeserializeOwned>(root: &str, tree: Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(&tree).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        explain(root, &path, &error.into_inner().to_string(), &tree)
    })
}

/// Turns what serde says at `path` into a rule and the value that breaks it.
fn explain(root: &str, path: &str, message: &str, tree: &Value) -> ConfigError {
    let here = if path.is_empty() { root } else { path };
    let got = || at(tree, path).map_or_else(|| "nothing".to_owned(), |value| shorten(&value.to_string()));
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        let path = if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        return ConfigError::new(path, "must be given", "nothing");
    }
    let expected = message.rsplit_once(", expected ").map_or("", |(_, expected)| expected).replace('`', "");
    let expected = expected.strip_prefix("one of ").unwrap_or(&expected);
    if message.starts_with("unknown field") {
        return ConfigError::new(here, format!("unknown field, expected one of {expected}"), got());
    }
    if message.starts_with("unknown variant") {
        let choices = expected.replace(" or ", ", ");
        return ConfigError::new(here, format!("must be one of {choices}"), got());
    }
    if expected.is_empty() {
        return ConfigError::new(here, message, got());
    }
    let named = TYPE_NAMES.iter().find(|(name, _)| *name == expected).map_or(expected, |(_, name)| name);
    ConfigError::new(here, format!("must be {named}"), got())
}

/// The value at a path that serde_path_to_error wrote: fields and `[index]`.
fn at<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '[']).filter(|step| !step.is_empty()).try_fold(tree, |value, step| match value {
        Value::Array(items) => items.get(step.strip_suffix(']')?.parse::<usize>().ok()?),
        _ => value.get(step),
    })
}

/// A text cut to some 60 characters.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::config::{PageSize, Size};
    use serde_json::json;

    fn error(tree: Value) -> String {
        MachineConfig::from_value(tree).unwrap_err().to_string()
    }

    #[test]
    fn absent_fields_have_their_defaults() {
        let machine = MachineConfig::from_value(json!({
            "caches": [{"name": "L1D", "size": "32KiB", "ways": 8}],
            "tlbs": [{"name": "STLB", "entries": 1536, "ways": 12}],
        }));
        let machine = machine.unwrap();
        assert_eq!(machine.caches[0].line_size, Size::from_bytes(64));
        assert_eq!(machine.tlbs[0].page_sizes, [PageSize::Size4K]);
        assert!(machine.present_write_backs);
        machine.check().unwrap();
    }

    #[test]
    fn reading_what_was_written_gives_the_same_machine() {
        let machine = MachineConfig::from_json(
            r#"{"cpus": 4, "placement": "random", "caches": [{"name": "L2", "size": 49152, "ways": 12, "kind": "data"}]}"#,
        );
        let machine = machine.unwrap();
        let again = MachineConfig::from_json(&serde_json::to_string(&machine).unwrap());
        assert_eq!(again.unwrap(), machine);
    }

    #[test]
    fn unknown_field_is_told_with_its_full_path() {
        let text = error(json!({"caches": [{"name": "L1D", "size": 1, "ways": 1, "wayz": 3}]}));
        assert!(
            text.starts_with("caches[0].wayz: unknown field, expected one of name, size, ways, line_size"),
            "{text}"
        );
        assert!(text.ends_with(", got 3"), "{text}");
        let text = error(json!({"cpu": 3}));
        assert!(text.starts_with("cpu: unknown field, expected one of name, cpus"), "{text}");
    }

    #[test]
    fn wrong_type_is_told_with_its_full_path() {
        let text = error(json!({"caches": [{"name": "L1D", "size": "1KiB", "ways": "many"}]}));
        assert_eq!(text, "caches[0].ways: must be an integer from 0 to 4294967295, got \"many\"");
        let text = error(json!({"caches": [{"name": "L1D", "size": "big", "ways": 1}]}));
        assert_eq!(text, "caches[0].size: must be a size such as \"32KiB\" or a number of bytes, got \"big\"");
        assert_eq!(error(json!({"cpus": -1})), "cpus: must be an integer from 0 to 4294967295, got -1");
        assert_eq!(error(json!({"caches": 7})), "caches: must be a list, got 7");
        assert_eq!(error(json!({"present_write_backs": 1})), "present_write_backs: must be true or false, got 1");
        assert_eq!(error(json!(7)), "machine: must be a table, got 7");
        assert_eq!(error(json!({"caches": [7]})), "caches[0]: must be a table, got 7");
    }

    #[test]
    fn unknown_choice_is_told_with_the_choices() {
        let text = error(json!({"caches": [{"name": "L1D", "size": 1, "ways": 1, "replacement": "lri"}]}));
        assert!(text.starts_with("caches[0].replacement: must be one of lru, mru, lip, fifo"), "{text}");
        assert!(text.ends_with(", got \"lri\""), "{text}");
        let text = error(json!({"tlbs": [{"name": "T", "entries": 1, "ways": 1, "page_sizes": ["4KiB", "16KiB"]}]}));
        assert_eq!(text, "tlbs[0].page_sizes[1]: must be one of 4KiB, 2MiB, 1GiB, got \"16KiB\"");
    }

    #[test]
    fn missing_field_is_told_with_its_full_path() {
        let text = error(json!({"caches": [{"name": "L1D", "size": 1}]}));
        assert_eq!(text, "caches[0].ways: must be given, got nothing");
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        let text = MachineConfig::from_json("caches = 3").unwrap_err().to_string();
        assert!(text.starts_with("machine: must be JSON ("), "{text}");
    }
}
