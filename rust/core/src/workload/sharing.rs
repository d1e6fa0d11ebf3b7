//! Variables that threads share, and what programs do to them.

use crate::base::Picos;
use serde::{Deserialize, Serialize};

/// A shared variable as a scenario declares it. One that is not declared begins at 0 on a line of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VariableSpec {
    /// The name of its line: variables of one line move together. A line of its own if absent.
    pub line: Option<String>,
    /// What it begins with.
    pub initial: i64,
}

/// A shared variable of a scenario's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// An index into the lines.
    pub line: u32,
    /// What it begins with.
    pub initial: i64,
}

/// By which instructions a variable is incremented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Increment {
    /// By one, which no interrupt parts.
    Plain,
    /// By a load, an addition and a store.
    Split,
    /// By one atomic one.
    Atomic,
    /// By a load and a compare-exchange, again until nobody came between.
    CompareExchange,
}

/// What is done to a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Adds one.
    Increment(Increment),
    /// Into the thread's register.
    Load,
    /// From the register, or a number.
    Store(Option<i64>),
    /// A number to the register.
    Add(i64),
    /// Loads until it has a value.
    SpinUntil(i64),
    /// Waits until all stores of the cpu are visible.
    Fence,
}

/// Accesses to a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareCode {
    /// What is done.
    pub access: Access,
    /// An index into the variables.
    pub variable: u32,
    /// How often.
    pub times: u64,
    /// Whether it orders threads, and races with no other atomic access.
    pub is_atomic: bool,
    /// What is computed after each.
    pub work: Picos,
    /// Where in the scenario it stands.
    pub path: String,
}
