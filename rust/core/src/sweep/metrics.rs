//! Metrics: numbers of a result by their path, such as `ledger.fault` or `levels.L1D.misses`.

use serde_json::Value;
use std::sync::Arc;

/// The names of a row's values. Rows of one shape share them.
pub type Names = Arc<[String]>;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// There is none.
    Null,
    /// A count.
    Int(i64),
    /// A time, or a count beyond 63 bits.
    Float(f64),
    /// A text, such as a digest.
    Text(String),
}

/// Which values of a result are kept: paths of numbers, or of tables whose numbers are all meant. `*` is any name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    patterns: Vec<String>,
    has_stars: bool,
}

impl Selection {
    /// Keeps what any of the patterns names; one that another one includes is dropped.
    pub fn new(patterns: &[String]) -> Self {
        let includes = |table: &str, path: &str| {
            path.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let mut kept: Vec<String> = Vec::new();
        for pattern in patterns {
            if !kept.iter().any(|table| includes(table, pattern)) {
                kept.retain(|path| !includes(pattern, path));
                kept.push(pattern.clone());
            }
        }
        Self { has_stars: kept.iter().any(|pattern| pattern.split('.').any(|step| step == "*")), patterns: kept }
    }

    /// The values and their paths, in the order of the patterns and of the tree. `known` are the names of another row:
    /// where they are these too, none is made.
    pub fn take(&self, tree: &Value, known: &Names) -> (Names, Vec<Cell>) {
        let mut row = Taken { known, own: None, cells: Vec::with_capacity(known.len()) };
        for pattern in &self.patterns {
            self.walk(tree, pattern, &mut String::new(), &mut row);
        }
        row.finish()
    }

    fn walk(&self, node: &Value, rest: &str, path: &mut String, row: &mut Taken<'_>) {
        if rest.is_empty() {
            return self.leaves(node, path, row);
        }
        each(node, |name, child| {
            let after = match rest.strip_prefix('*') {
                Some(after) if is_step_end(after) => after,
                _ => match rest.strip_prefix(name) {
                    Some(after) if is_step_end(after) => after,
                    _ => return,
                },
            };
            let length = path.len();
            append(path, name);
            self.walk(child, after.strip_prefix('.').unwrap_or(after), path, row);
            path.truncate(length);
        });
    }

    fn leaves(&self, node: &Value, path: &mut String, row: &mut Taken<'_>) {
        let cell = match node {
            Value::Object(_) | Value::Array(_) => {
                return each(node, |name, child| {
                    let length = path.len();
                    append(path, name);
                    self.leaves(child, path, row);
                    path.truncate(length);
                });
            }
            Value::Null => Cell::Null,
            Value::Bool(flag) => Cell::Int(i64::from(*flag)),
            Value::Number(number) => {
                number.as_i64().map_or_else(|| Cell::Float(number.as_f64().unwrap_or(f64::NAN)), Cell::Int)
            }
            Value::String(text) => Cell::Text(text.clone()),
        };
        if !self.has_stars || row.names().iter().all(|name| name != path) {
            row.push(path, cell);
        }
    }
}

/// A row as it is taken.
struct Taken<'a> {
    known: &'a Names,
    /// From the first name on that differs from `known`: all names.
    own: Option<Vec<String>>,
    cells: Vec<Cell>,
}

impl Taken<'_> {
    fn names(&self) -> &[String] {
        self.own.as_deref().unwrap_or_else(|| &self.known[..self.cells.len()])
    }

    fn push(&mut self, name: &str, cell: Cell) {
        if self.own.is_none() && self.known.get(self.cells.len()).is_none_or(|known| known != name) {
            self.own = Some(self.names().to_vec());
        }
        if let Some(own) = &mut self.own {
            own.push(name.to_owned());
        }
        self.cells.push(cell);
    }

    fn finish(self) -> (Names, Vec<Cell>) {
        if self.own.is_none() && self.cells.len() == self.known.len() {
            return (Arc::clone(self.known), self.cells);
        }
        (self.names().to_vec().into(), self.cells)
    }
}

/// Names every child of a table or list; an element of a list by its `name`, or else by its place, `[0]`.
fn each(node: &Value, mut visit: impl FnMut(&str, &Value)) {
    match node {
        Value::Object(fields) => fields.iter().for_each(|(name, child)| visit(name, child)),
        Value::Array(items) => {
            let mut names: Vec<&str> = items.iter().filter_map(|item| item.get("name")?.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let are_named = names.len() == items.len();
            for (place, item) in items.iter().enumerate() {
                match item.get("name").and_then(Value::as_str).filter(|_| are_named) {
                    Some(name) => visit(name, item),
                    None => visit(&format!("[{place}]"), item),
                }
            }
        }
        _ => {}
    }
}

fn is_step_end(after: &str) -> bool {
    after.is_empty() || after.starts_with(['.', '['])
}

fn append(path: &mut String, name: &str) {
    if !path.is_empty() && !name.starts_with('[') {
        path.push('.');
    }
    path.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(patterns: &[&str], tree: &Value) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Selection::new(&patterns).take(tree, &Names::default()).0.to_vec()
    }

    #[test]
    fn a_path_names_a_number_or_all_numbers_below() {
        let tree = json!({"time": 3, "ledger": {"user": 1.5, "fault": 2}, "more": {"deep": {"x": null}}});
        assert_eq!(
            names(&["time", "ledger", "more.deep"], &tree),
            ["time", "ledger.fault", "ledger.user", "more.deep.x"]
        );
        assert_eq!(names(&["ledger.user", "ledger"], &tree), ["ledger.fault", "ledger.user"]);
        assert_eq!(names(&["led", "time.x"], &tree), [""; 0]);
    }

    #[test]
    fn elements_are_found_by_name_or_place() {
        let tree = json!({"caches": [{"name": "L1", "misses": 3}, {"name": "L1.x", "misses": 4}], "forks": [{"at": 1}, {"at": 2}]});
        assert_eq!(names(&["caches.L1.misses", "forks[1].at"], &tree), ["caches.L1.misses", "forks[1].at"]);
        assert_eq!(names(&["caches.*.misses", "caches.L1.misses"], &tree), ["caches.L1.misses", "caches.L1.x.misses"]);
        assert_eq!(names(&["forks"], &tree), ["forks[0].at", "forks[1].at"]);
    }

    #[test]
    fn counts_stay_whole_and_large_ones_become_floats() {
        let selection = Selection::new(&["a".to_owned()]);
        let of = |value: Value| selection.take(&json!({"a": value}), &Names::default()).1.pop().unwrap();
        assert_eq!(of(json!(7)), Cell::Int(7));
        assert_eq!(of(json!(u64::MAX)), Cell::Float(1.844_674_407_370_955_2e19));
        assert_eq!(of(json!("x")), Cell::Text("x".into()));
        assert_eq!(of(Value::Null), Cell::Null);
    }

    #[test]
    fn rows_of_one_shape_share_their_names() {
        let selection = Selection::new(&["a".to_owned(), "*.x".to_owned()]);
        let (wide, narrow) = (json!({"a": {"x": 1, "y": 2}, "b": {"x": 3}}), json!({"a": {"x": 4}}));
        let (names, _) = selection.take(&wide, &Names::default());
        assert_eq!(*names, ["a.x", "a.y", "b.x"]);
        let (same, cells) = selection.take(&wide, &names);
        assert!(Arc::ptr_eq(&same, &names));
        assert_eq!(cells, [1, 2, 3].map(Cell::Int));
        for (tree, known, expected) in [
            (&narrow, &names, &["a.x"][..]),
            (&wide, &selection.take(&narrow, &names).0, &["a.x", "a.y", "b.x"]),
            (&json!({"b": {"x": 5}}), &names, &["b.x"]),
        ] {
            let (found, cells) = selection.take(tree, known);
            assert_eq!(*found, *expected);
            assert_eq!(cells.len(), expected.len());
        }
    }
}
