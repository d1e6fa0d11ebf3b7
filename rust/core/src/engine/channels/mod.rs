//! Channels: messages from who sends to who receives, through the kernel or through memory that both see.
//!
//! Who is woken has what it waited for: messages are handed over in the order of waiting. `docs/channels.md` is the
//! specification.

mod pipe;
mod queue;
mod report;

use super::error::RunError;
use super::execute::Step;
use super::run::Run;
use crate::base::{ConfigError, Picos};
use crate::kernel::Tid;
use crate::workload::channels::{ChannelKind, ChannelSpec};
use crate::workload::{Code, Scenario};
use pipe::Pipe;
use queue::Queue;
use report::Stats;

/// A channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    way: Way,
    stats: Stats,
}

/// How its messages go.
#[derive(Clone, Debug)]
enum Way {
    Pipe(Pipe),
    Queue(Queue),
}

/// Who waits at a channel, and since when.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    tid: Tid,
    since: Picos,
}

impl Channel {
    fn new(spec: &ChannelSpec) -> Self {
        let way = match spec.kind {
            ChannelKind::Pipe => Way::Pipe(Pipe::default()),
            ChannelKind::Queue => Way::Queue(Queue::new(spec.capacity.unwrap_or(0))),
        };
        Self { way, stats: Stats::default() }
    }
}

/// The channels that programs name, as the scenario has them.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn channels(scenario: &Scenario, code: &Code) -> Result<Vec<Channel>, ConfigError> {
    for (name, spec) in &scenario.channels {
        if !code.channels.contains(name) {
            return Err(ConfigError::new(format!("channels.{name}"), "must be a channel that a program uses", name));
        }
        spec.check(name)?;
    }
    let spec = |name| scenario.channels.get(name).copied().unwrap_or_default();
    Ok(code.channels.iter().map(|name| Channel::new(&spec(name))).collect())
}

impl Run {
    /// Sends a message, or waits until there is room for it.
    pub(super) fn send(&mut self, cpu: usize, tid: Tid, index: u32, bytes: u64) -> Result<Step, RunError> {
        match self.channels[index as usize].way {
            Way::Pipe(_) => Ok(self.send_to_pipe(cpu, tid, index, bytes)),
            Way::Queue(_) => Ok(self.send_to_queue(cpu, tid, index)),
        }
    }

    /// Receives a message, or waits for one.
    pub(super) fn receive(&mut self, cpu: usize, tid: Tid, index: u32) -> Result<Step, RunError> {
        match self.channels[index as usize].way {
            Way::Pipe(_) => Ok(self.receive_from_pipe(cpu, tid, index)),
            Way::Queue(_) => Ok(self.receive_from_queue(cpu, tid, index)),
        }
    }
}
