//! One change of a configuration, written as `path=value`: `caches.L1D.ways=16`.

use super::parse::shorten;
use crate::base::ConfigError;
use serde_json::Value;

/// Changes one value of a tree.
///
/// The path consists of field names and, within lists, of the `name` of an element or its `[index]`; of several names
/// that fit, the longest counts, so that names may hold dots and spaces: `tlbs.L1 dTLB.entries=64`. The value is read
/// as JSON if it is JSON, else taken as a string: `caches.L2.size=2MiB`, `tlbs=[]`.
///
/// # Errors
/// A path that leads nowhere, with the place where it stopped and what is there.
pub fn apply_set(tree: &mut Value, assignment: &str) -> Result<(), ConfigError> {
    let Some((path, text)) = assignment.split_once('=') else {
        return Err(ConfigError::new("set", "must be path=value", format!("{assignment:?}")));
    };
    let text = text.trim();
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    let path = path.trim();
    if path.is_empty() {
        return Err(ConfigError::new("set", "must name a field before '='", format!("{assignment:?}")));
    }
    apply_set_value(tree, path, value)
}

/// Changes the value at a path.
///
/// # Errors
/// As those of [`apply_set`].
pub fn apply_set_value(tree: &mut Value, path: &str, value: Value) -> Result<(), ConfigError> {
    let mut place = tree;
    let mut done = 0;
    while done < path.len() {
        let (next, end) = step(place, path, done)?;
        place = next;
        done = end;
    }
    *place = value;
    Ok(())
}

/// Goes one step from `place` along `path`, of which `done` bytes are behind us. Returns the new place and its end.
fn step<'a>(place: &'a mut Value, path: &str, done: usize) -> Result<(&'a mut Value, usize), ConfigError> {
    let rest = &path[done..];
    let rest = rest.strip_prefix('.').filter(|_| done > 0).unwrap_or(rest);
    let start = path.len() - rest.len();
    if place.is_null() {
        // A table that is absent comes into being with its first field.
        *place = Value::Object(serde_json::Map::new());
    }
    match place {
        Value::Object(fields) => {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let last = end == rest.len();
            let field = &rest[..end];
            if !fields.contains_key(field) && (field.is_empty() || !last) {
                let there = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(stopped(path, done, &format!("name one of {there}"), rest));
            }
            // A field that is not there is put there: defaults need not be written, and reading the tree refuses
            // what no field may be called.
            Ok((fields.entry(field).or_insert(Value::Null), start + end))
        }
        Value::Array(items) => {
            let Some((index, length)) = element(items, rest) else {
                return Err(stopped(path, done, &format!("name one of {}", elements(items)), rest));
            };
            Ok((&mut items[index], start + length))
        }
        other => {
            let rule = format!("end here, where {} stands", shorten(&other.to_string()));
            Err(stopped(path, done, &rule, rest))
        }
    }
}

/// Finds the element that `rest` starts with. Returns its index and how many bytes name it.
fn element(items: &[Value], rest: &str) -> Option<(usize, usize)> {
    if let Some(inside) = rest.strip_prefix('[') {
        let (digits, _) = inside.split_once(']')?;
        let index = digits.parse::<usize>().ok().filter(|&index| index < items.len())?;
        return Some((index, digits.len() + 2));
    }
    let named = items.iter().enumerate().filter_map(|(index, item)| {
        let name = item.get("name")?.as_str()?;
        let after = rest.strip_prefix(name)?;
        (!name.is_empty() && (after.is_empty() || after.starts_with(['.', '[']))).then_some((index, name.len()))
    });
    named.max_by_key(|&(_, length)| length)
}

/// What a list holds, for a message.
fn elements(items: &[Value]) -> String {
    if items.is_empty() {
        return "its elements, of which there are none".to_owned();
    }
    let names = items.iter().enumerate().map(|(index, item)| match item.get("name").and_then(Value::as_str) {
        Some(name) => format!("{name} ([{index}])"),
        None => format!("[{index}]"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The error of a path that leads nowhere after `done` bytes.
fn stopped(path: &str, done: usize, rule: &str, rest: &str) -> ConfigError {
    let here = if done == 0 { "set" } else { &path[..done] };
    ConfigError::new(here, format!("the path must {rule}"), format!("{:?}", shorten(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tree() -> Value {
        json!({
            "cpus": 1,
            "caches": [{"name": "L1D", "ways": 8}, {"name": "L2", "size": "1MiB"}],
            "tlbs": [{"name": "L1", "entries": 1}, {"name": "L1 dTLB", "entries": 2}, {"name": "L1.x", "entries": 3}],
        })
    }

    fn set(assignment: &str) -> Value {
        let mut tree = tree();
        apply_set(&mut tree, assignment).unwrap();
        tree
    }

    fn error(assignment: &str) -> String {
        apply_set(&mut tree(), assignment).unwrap_err().to_string()
    }

    #[test]
    fn element_is_found_by_name_and_by_index() {
        assert_eq!(set("caches.L1D.ways=16")["caches"][0]["ways"], json!(16));
        assert_eq!(set("caches[1].size=2MiB")["caches"][1]["size"], json!("2MiB"));
        assert_eq!(set("caches[1]={\"name\": \"x\"}")["caches"][1], json!({"name": "x"}));
    }

    #[test]
    fn longest_name_counts() {
        assert_eq!(set("tlbs.L1 dTLB.entries=64")["tlbs"][1]["entries"], json!(64));
        assert_eq!(set("tlbs.L1.x.entries=64")["tlbs"][2]["entries"], json!(64));
        assert_eq!(set("tlbs.L1.entries=64")["tlbs"][0]["entries"], json!(64));
    }

    #[test]
    fn value_is_json_or_else_a_string() {
        assert_eq!(set("tlbs=[]")["tlbs"], json!([]));
        assert_eq!(set("present_write_backs = false")["present_write_backs"], json!(false));
        assert_eq!(set("placement=random")["placement"], json!("random"));
        assert_eq!(set("name=a=b")["name"], json!("a=b"));
    }

    #[test]
    fn path_that_leads_nowhere_says_where_it_stopped_and_what_is_there() {
        assert_eq!(error("caches.L9.ways=1"), "caches: the path must name one of L1D ([0]), L2 ([1]), got \"L9.ways\"");
        assert_eq!(
            error("caches[7].ways=1"),
            "caches: the path must name one of L1D ([0]), L2 ([1]), got \"[7].ways\""
        );
        assert_eq!(error("cash.L1D=1"), "set: the path must name one of caches, cpus, tlbs, got \"cash.L1D\"");
        assert_eq!(error("cpus.x=1"), "cpus: the path must end here, where 1 stands, got \"x\"");
        assert_eq!(error("caches.L1D.=1"), "caches.L1D: the path must name one of name, ways, got \"\"");
    }

    #[test]
    fn assignment_needs_a_path_and_a_value() {
        assert_eq!(error("cpus"), "set: must be path=value, got \"cpus\"");
        assert_eq!(error("=3"), "set: must name a field before '=', got \"=3\"");
    }
}
