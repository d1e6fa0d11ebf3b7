//! Calls of programs to dependencies, which have a capacity of their own.
//!
//! What serves is a [`Station`], what a client does about slow and failed calls a [`Caller`] (`docs/services.md`): they
//! are told the time, and here is who tells them. An attempt costs what `io` does and is waited for as that is: a user
//! task parks, a thread sleeps in the kernel. What comes back is read as any message is. Timeouts and waits between
//! attempts wake who calls, so that retries cost a cpu too; what happens at a dependency takes none. A call gives up at
//! the deadline of what it is a part of, and is not begun behind it. Calls of the same policy to the same dependency
//! are one client: they share its budget and its breaker.

mod attempt;
mod report;

use super::latency::Latencies;
use crate::base::{ConfigError, Picos, Rng};
use crate::kernel::Tid;
use crate::memory::config::from_tree;
use crate::service::Agenda;
use crate::service::policy::{Call, CallPolicy, Caller};
use crate::service::station::{Station, StationConfig, Ticket};
use crate::workload::code::CallCode;
use crate::workload::distribution::Sampler;
use crate::workload::{Code, Scenario};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// Requests that may be on their way or at a dependency; more are refused at once.
const SENT_MAX: usize = 1 << 23;

/// Everything that calls, is called, and is on its way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    dependencies: Vec<Dependency>,
    clients: Vec<Client>,
    /// By call op: its client.
    client_of: Vec<u32>,
    /// Who is in a call.
    calling: HashMap<Tid, Calling>,
    agenda: Agenda<CallEvent>,
    /// Requests by number. Those that are answered leave their number to others.
    sent: Vec<Sent>,
    free: Vec<u32>,
    attempts: u64,
    /// User tasks that wait for an answer.
    pub(super) awaited: u32,
}

/// What is called.
#[derive(Debug)]
struct Dependency {
    name: String,
    servers: u32,
    station: Station,
    network: Sampler,
    draws: Rng,
    stats: CallStats,
}

/// Who calls, as a policy sees it.
#[derive(Debug)]
struct Client {
    dependency: u32,
    caller: Caller,
}

/// What happened to the calls of a dependency: `calls == answered + failed`, and those under way.
#[derive(Clone, Debug, Default)]
struct CallStats {
    calls: u64,
    answered: u64,
    /// By reason: retries, budget, deadline, breaker.
    failed: [u64; 4],
    /// Calls whose deadline had passed before their first attempt.
    not_begun: u64,
    attempts: u64,
    retries: u64,
    timeouts: u64,
    refused: u64,
    late: u64,
    /// From the beginning of a call to its end, answered or failed.
    latency: Latencies,
}

/// A call that is not over.
#[derive(Clone, Copy, Debug)]
struct Calling {
    call: Call,
    began: Picos,
    /// The number of the attempt at hand, over all calls.
    attempt: u64,
    phase: Phase,
    /// Whether who waits is a user task, which somebody has to look after.
    is_parked: bool,
}

/// How a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// An attempt is due.
    Due,
    /// It is waited for.
    Waits,
    Answered,
    Refused,
    TimedOut,
}

/// A request on its way, at its dependency, or on its way back.
#[derive(Clone, Copy, Debug)]
struct Sent {
    dependency: u32,
    caller: Tid,
    attempt: u64,
    ticket: Ticket,
    /// When it has been served, while it is.
    ends: Picos,
    is_refused: bool,
}

/// What happens without a cpu.
#[derive(Clone, Copy, Debug)]
enum CallEvent {
    /// A request reaches its dependency.
    Arrive(u32),
    /// It has been served.
    Finish(u32),
    /// Its answer, or a refusal, is back.
    Reply(u32),
    /// Nobody waits any longer for this attempt.
    Timeout(Tid, u64),
}

impl Calls {
    /// The dependencies of a scenario, idle, and the clients that its programs are.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn new(scenario: &Scenario, code: &Code, seed: u64) -> Result<Self, ConfigError> {
        let mut calls = Self::default();
        for (index, (name, tree)) in (0..).zip(&scenario.dependencies) {
            calls.dependencies.push(Dependency::new(name, tree, seed, index)?);
        }
        let mut known: BTreeMap<(u32, String), u32> = BTreeMap::new();
        for code in &code.calls {
            let dependency = calls.dependency_of(code)?;
            let next = u32::try_from(known.len()).expect("programs have few ops");
            let key = (dependency, code.policy.as_ref().map(Value::to_string).unwrap_or_default());
            let client = *known.entry(key).or_insert(next);
            if client == next {
                let caller = Caller::new(&policy(code)?, seed, next.into());
                calls.clients.push(Client { dependency, caller });
            }
            calls.client_of.push(client);
        }
        Ok(calls)
    }

    fn dependency_of(&self, code: &CallCode) -> Result<u32, ConfigError> {
        let place = self.dependencies.iter().position(|dependency| dependency.name == code.to);
        place.map(|place| u32::try_from(place).expect("they are named one by one")).ok_or_else(|| {
            let names: Vec<&str> = self.dependencies.iter().map(|dependency| dependency.name.as_str()).collect();
            let rule = format!("must be one of the scenario's dependencies ({})", names.join(", "));
            ConfigError::new(format!("{}.to", code.path), rule, format!("{:?}", code.to))
        })
    }

    /// What a dependency is called.
    pub fn name(&self, dependency: u32) -> &str {
        &self.dependencies[dependency as usize].name
    }

    /// When the next thing happens.
    pub fn next_event(&self) -> Option<Picos> {
        self.agenda.peek()
    }

    /// A thread or a task has ended, whatever it called.
    pub fn forget(&mut self, tid: Tid) {
        if self.calling.is_empty() {
            return;
        }
        let calling = self.calling.remove(&tid);
        self.awaited -= u32::from(calling.is_some_and(|calling| calling.is_parked && calling.phase == Phase::Waits));
    }
}

impl Dependency {
    fn new(name: &str, tree: &Value, seed: u64, index: u64) -> Result<Self, ConfigError> {
        let path = format!("dependencies.{name}");
        if name.is_empty() {
            return Err(ConfigError::new("dependencies", "must have names that are not empty", "\"\""));
        }
        let config: StationConfig = below(&path, from_tree("", tree.clone()))?;
        Ok(Self {
            name: name.to_owned(),
            servers: config.servers,
            station: Station::new(&config, &path, seed, index)?,
            network: config.network_ns.sampler(&format!("{path}.network_ns"))?,
            draws: Rng::stream(seed, "service.network", index),
            stats: CallStats::default(),
        })
    }
}

/// What the client of an op does: without a policy it waits for ever and does not try again.
fn policy(code: &CallCode) -> Result<CallPolicy, ConfigError> {
    let path = format!("{}.policy", code.path);
    let policy = match &code.policy {
        Some(tree) if !tree.is_object() => return Err(ConfigError::new(path, "must be a table", tree)),
        Some(tree) => below(&path, from_tree("", tree.clone()))?,
        None => CallPolicy { retries: 0, ..CallPolicy::default() },
    };
    policy.check(&path)?;
    Ok(policy)
}

/// Puts the path of what was read before that of an error.
fn below<T>(path: &str, read: Result<T, ConfigError>) -> Result<T, ConfigError> {
    read.map_err(|error| {
        let path = if error.path.is_empty() { path.to_owned() } else { format!("{path}.{}", error.path) };
        ConfigError { path, ..error }
    })
}
