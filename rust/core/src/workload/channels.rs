//! Channels of a scenario, as a user writes them: pipes of the kernel, or queues in the memory of the program.

use crate::base::ConfigError;
use serde::{Deserialize, Serialize};

/// How messages get from one to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// Through the kernel, which copies them.
    #[default]
    Pipe,
    /// Through a queue that both see, under a lock: as Go's channels.
    Queue,
}

impl ChannelKind {
    /// What results call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Queue => "queue",
        }
    }
}

/// One channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSpec {
    /// How messages get from one to the other.
    pub kind: ChannelKind,
    /// How many messages a queue holds; none if absent: each `send` waits for a `recv`.
    pub capacity: Option<u32>,
}

impl ChannelSpec {
    /// Holds the rules of one.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self, name: &str) -> Result<(), ConfigError> {
        match self.capacity {
            Some(capacity) if self.kind == ChannelKind::Pipe => Err(ConfigError::new(
                format!("channels.{name}.capacity"),
                "must be absent but for kind queue; a pipe holds 64 KiB",
                capacity,
            )),
            _ => Ok(()),
        }
    }
}
