//! The error of a configuration: where it is wrong, which rule it breaks, what it says.

use std::fmt;

/// A configuration that breaks a rule.
///
/// It prints as `path: rule, got value`, for example `caches[1].ways: must be a power of two, got 12`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {rule}, got {value}")]
pub struct ConfigError {
    /// Where the value stands, as a user would write it: `caches[1].ways`.
    pub path: String,
    /// What must hold, in lower case and without a full stop.
    pub rule: String,
    /// The value that breaks the rule.
    pub value: String,
}

impl ConfigError {
    /// Makes an error from its three parts.
    pub fn new(path: impl Into<String>, rule: impl Into<String>, value: impl fmt::Display) -> Self {
        Self { path: path.into(), rule: rule.into(), value: value.to_string() }
    }
}
