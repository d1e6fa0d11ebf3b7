//! The choices of a work-stealing runtime, and their rules.

use crate::base::ConfigError;
use crate::runtime::config::in_range;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

const QUEUE_MAX: u32 = 1 << 24;
const ROUNDS_MAX: u32 = 64;
const INTERVAL_MAX: u32 = 1 << 20;

/// The choices of a work-stealing runtime: queues by slot, queues that all slots share, and who looks where when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkStealingConfig {
    /// Tasks that fit into a slot's own queue.
    pub local_queue: Capacity,
    /// What leaves a full queue for the shared one.
    pub overflow: Overflow,
    /// Which end of its own queue a slot takes from. Others take the oldest.
    pub order: Order,
    /// A place for one task that runs before the queue.
    pub next_slot: NextSlot,
    /// Tasks that run from that place in a row before the queue has its turn (`tokio` alone).
    pub next_slot_polls: u32,
    /// Whether others take from that place, in their last round and after a nap.
    pub next_slot_stealable: bool,
    /// How much is stolen at once.
    pub steal: Steal,
    /// How often a slot visits all others before it gives up.
    pub steal_rounds: u32,
    /// In which order others are visited.
    pub victims: Victims,
    /// Whether a slot first goes back to the queue that it took from last.
    pub returns_to_victim: bool,
    /// How many slots may search at a time.
    pub searching: Searching,
    /// How many queues are shared.
    pub shared_queues: SharedQueues,
    /// When shared queues are looked at by a slot without tasks of its own.
    pub shared: Shared,
    /// Tasks taken from a shared queue at once: no more than this, and no more than the slot's part.
    pub shared_batch: u32,
    /// Every so many tasks a slot takes one from the shared queue first.
    pub shared_interval: Interval,
    /// Where new tasks go.
    pub spawned: Place,
    /// Where tasks go that were waiting.
    pub woken: Place,
    /// Where tasks go that gave way by themselves.
    pub yielded: Place,
    /// Where tasks go that were made to give way.
    pub preempted: Place,
    /// When an idle slot is woken.
    pub notify: Notify,
    /// Which slots look at all queues a last time before they idle.
    pub last_look: LastLook,
    /// What becomes of a slot whose carrier blocks.
    pub hand_off: HandOff,
    /// Whether a wake that finds no idle slot is made up for: the next slot that would idle searches instead.
    pub remembers_wakes: bool,
    /// Where tasks go whose input has come.
    pub input: Input,
    /// Whether a task that waits inside a monitor keeps its carrier.
    pub pins_in_monitors: bool,
}

/// Tasks that a queue holds: a number, or `"unbounded"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity(pub Option<u32>);

/// What leaves a full queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The older half, and the task that did not fit.
    OldestHalf,
    /// The newer half, and the task that did not fit.
    NewestHalf,
}

/// Which end of its own queue a slot takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The oldest task.
    Fifo,
    /// The newest task.
    Lifo,
}

/// A place for one task that runs before the queue. Who is displaced from it joins the end of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextSlot {
    /// There is none.
    None,
    /// Its task goes on with the slice of the one before it, and other slots are woken for it.
    Go,
    /// Its task runs as a part of what ran before it, so many in a row; nobody is woken for it.
    Tokio,
}

/// How much is stolen at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Steal {
    /// The older half, rounded up. The newest of them runs.
    Half,
    /// The oldest task.
    One,
}

/// In which order others are visited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Victims {
    /// From a random one on, by a random stride that has no factor in common with their number.
    Coprime,
    /// From a random one on, one after the other.
    Ring,
}

/// How many slots may search at a time. Who searches already may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Searching {
    /// Half of those that do not idle.
    HalfOfBusy,
    /// Half of all.
    Half,
    /// All.
    All,
}

/// How many queues are shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SharedQueues {
    /// One.
    One,
    /// One for what comes from each slot. What comes from outside joins the first.
    PerSlot,
}

/// When shared queues are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shared {
    /// Before other slots are.
    First,
    /// Among other slots, as if they were some.
    AmongVictims,
}

/// How often a slot takes from the shared queue first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// Never (`"never"`).
    Never,
    /// Every so many tasks, the first included.
    Fixed(u32),
    /// As often as makes 200 us of tasks in between, as long as they have run of late; at first every 61 (`"tuned"`).
    Tuned,
}

/// Where a task goes that could run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// Before the slot's own queue, if there is such a place; else behind it.
    NextSlot,
    /// The end of the slot's own queue.
    Local,
    /// The end of the shared queue.
    Shared,
    /// The end of the slot's own queue, but of the shared one if that is empty.
    LocalOrShared,
    /// Aside, until the slot finds nothing else or has run 61 tasks.
    Deferred,
}

/// Where tasks go whose input has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// One by one where others go that were waiting.
    AsWoken,
    /// All of a look at once, the last that came first: one for who looks if it has none, one to the shared queue for each
    /// idle slot, which runs from then on, and the others behind the slot's own queue.
    Spread,
}

/// When an idle slot is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notify {
    /// For each task that others could take, unless a slot searches. The last that searches and finds wakes another.
    UnlessSearching,
    /// For a task that joins an empty queue, and by who searches and leaves tasks behind.
    IfEmpty,
}

/// Which slots look at all queues a last time before they idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LastLook {
    /// All.
    All,
    /// Who searches; the others look at the shared queue alone.
    Searching,
    /// Who is the last that searches.
    LastSearching,
}

/// What becomes of a slot whose carrier blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandOff {
    /// Another carrier takes it if there is work or nobody else would look for some; else it idles.
    IfNeeded,
    /// Another carrier takes it and runs.
    Runs,
    /// Another carrier takes it and searches.
    Searches,
}

impl Default for WorkStealingConfig {
    fn default() -> Self {
        Self {
            local_queue: Capacity(Some(256)),
            overflow: Overflow::OldestHalf,
            order: Order::Fifo,
            next_slot: NextSlot::None,
            next_slot_polls: 3,
            next_slot_stealable: false,
            steal: Steal::Half,
            steal_rounds: 1,
            victims: Victims::Coprime,
            returns_to_victim: false,
            searching: Searching::Half,
            shared_queues: SharedQueues::One,
            shared: Shared::First,
            shared_batch: 128,
            shared_interval: Interval::Fixed(61),
            spawned: Place::Local,
            woken: Place::Local,
            yielded: Place::Local,
            preempted: Place::Shared,
            notify: Notify::UnlessSearching,
            last_look: LastLook::Searching,
            hand_off: HandOff::IfNeeded,
            remembers_wakes: false,
            input: Input::AsWoken,
            pins_in_monitors: false,
        }
    }
}

impl WorkStealingConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Capacity(Some(tasks)) = self.local_queue {
            in_range("local_queue", tasks, 1, QUEUE_MAX)?;
        }
        in_range("next_slot_polls", self.next_slot_polls, 1, u32::MAX)?;
        in_range("steal_rounds", self.steal_rounds, 1, ROUNDS_MAX)?;
        in_range("shared_batch", self.shared_batch, 1, QUEUE_MAX)?;
        if let Interval::Fixed(tasks) = self.shared_interval {
            in_range("shared_interval", tasks, 1, INTERVAL_MAX)?;
        }
        Ok(())
    }
}

/// A number in 32 bits.
fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|value| u32::try_from(value).ok())
}

impl Serialize for Capacity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(tasks) => serializer.serialize_u32(tasks),
            None => serializer.serialize_str("unbounded"),
        }
    }
}

impl<'de> Deserialize<'de> for Capacity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "unbounded" => Ok(Self(None)),
            value => number(&value)
                .map(|tasks| Self(Some(tasks)))
                .ok_or_else(|| de::Error::custom("must be a number of tasks or \"unbounded\"")),
        }
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_str("never"),
            Self::Tuned => serializer.serialize_str("tuned"),
            Self::Fixed(tasks) => serializer.serialize_u32(*tasks),
        }
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "never" => Ok(Self::Never),
            Value::String(word) if word == "tuned" => Ok(Self::Tuned),
            value => number(&value)
                .map(Self::Fixed)
                .ok_or_else(|| de::Error::custom("must be a number of tasks, \"never\" or \"tuned\"")),
        }
    }
}
