//! What is told of each channel.

use super::super::latency::Latencies;
use super::super::run::Run;
use super::{Channel, Waiter, Way};
use crate::base::Picos;
use crate::workload::channels::ChannelKind;
use serde_json::{Map, Value, json};

/// What is counted of a channel.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    sent: u64,
    received: u64,
    /// How long those waited who had to wait for room, or for a receiver.
    send_wait: Latencies,
    /// How long those waited who had to wait for a message.
    receive_wait: Latencies,
    length_max: u64,
}

impl Channel {
    fn length(&self) -> u64 {
        match &self.way {
            Way::Pipe(pipe) => pipe.messages.len() as u64,
            Way::Queue(queue) => queue.length.into(),
        }
    }

    fn row(&self) -> Value {
        let kind = match &self.way {
            Way::Pipe(_) => ChannelKind::Pipe,
            Way::Queue(_) => ChannelKind::Queue,
        };
        json!({
            "kind": kind.name(),
            "sent": self.stats.sent,
            "received": self.stats.received,
            "length": self.length(),
            "length_max": self.stats.length_max,
            "send_wait": self.stats.send_wait.summary(),
            "receive_wait": self.stats.receive_wait.summary(),
        })
    }
}

impl Run {
    /// A message has come in.
    pub(super) fn note_sent(&mut self, index: u32, waited: Option<Waiter>, now: Picos) {
        let channel = &mut self.channels[index as usize];
        channel.stats.sent += 1;
        channel.stats.length_max = channel.stats.length_max.max(channel.length());
        if let Some(waiter) = waited {
            channel.stats.send_wait.note(now.saturating_sub(waiter.since));
        }
    }

    /// A message has gone out.
    pub(super) fn note_received(&mut self, index: u32, waited: Option<Waiter>, now: Picos) {
        let stats = &mut self.channels[index as usize].stats;
        stats.received += 1;
        if let Some(waiter) = waited {
            stats.receive_wait.note(now.saturating_sub(waiter.since));
        }
    }

    /// All channels by their names.
    pub(in crate::engine) fn channel_rows(&self) -> Map<String, Value> {
        self.code.channels.iter().cloned().zip(self.channels.iter().map(Channel::row)).collect()
    }
}
