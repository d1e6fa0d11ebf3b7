//! Runtimes that exist, as choices. `docs/runtimes.md` names the sources.

use super::config::{
    Capacity, HandOff, Input, Interval, LastLook, NextSlot, Notify, Overflow, Place, Searching, Shared, SharedQueues,
    Steal, Victims, WorkStealingConfig,
};

impl WorkStealingConfig {
    /// Go 1.27: `src/runtime/proc.go`.
    pub fn go() -> Self {
        Self {
            next_slot: NextSlot::Go,
            next_slot_stealable: true,
            steal_rounds: 4,
            searching: Searching::HalfOfBusy,
            spawned: Place::NextSlot,
            woken: Place::NextSlot,
            yielded: Place::Shared,
            remembers_wakes: true,
            input: Input::Spread,
            ..Self::default()
        }
    }

    /// The multi-threaded scheduler of Tokio, 2026-08.
    pub fn tokio() -> Self {
        Self {
            overflow: Overflow::NewestHalf,
            next_slot: NextSlot::Tokio,
            victims: Victims::Ring,
            shared_interval: Interval::Tuned,
            spawned: Place::NextSlot,
            woken: Place::NextSlot,
            yielded: Place::Deferred,
            last_look: LastLook::LastSearching,
            hand_off: HandOff::Runs,
            ..Self::default()
        }
    }

    /// Virtual threads of Java 24 and later: a `ForkJoinPool` in its FIFO mode.
    pub fn java() -> Self {
        Self {
            local_queue: Capacity(None),
            steal: Steal::One,
            returns_to_victim: true,
            searching: Searching::All,
            shared_queues: SharedQueues::PerSlot,
            shared: Shared::AmongVictims,
            shared_batch: 1,
            shared_interval: Interval::Never,
            spawned: Place::Shared,
            yielded: Place::LocalOrShared,
            notify: Notify::IfEmpty,
            last_look: LastLook::All,
            hand_off: HandOff::Searches,
            ..Self::default()
        }
    }

    /// The same up to Java 23, where `synchronized` keeps the carrier.
    pub fn java_21() -> Self {
        Self { pins_in_monitors: true, ..Self::java() }
    }

    /// All presets by name.
    pub fn presets() -> [(&'static str, Self); 4] {
        [("go", Self::go()), ("tokio", Self::tokio()), ("java", Self::java()), ("java-21", Self::java_21())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// The rows of the table of presets in `docs/runtimes.md`: a choice, and what it is in each column.
    fn table() -> Vec<Vec<String>> {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/runtimes.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page.lines().skip_while(|line| !line.starts_with("| choice ")).skip(2);
        let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
        rows.take_while(|line| line.starts_with('|')).map(cells).collect()
    }

    #[test]
    fn the_documentation_has_every_choice_of_every_preset() {
        let configs = [
            WorkStealingConfig::default(),
            WorkStealingConfig::go(),
            WorkStealingConfig::tokio(),
            WorkStealingConfig::java(),
        ];
        let configs = configs.map(|config| serde_json::to_value(config).unwrap());
        let table = table();
        assert_eq!(table.len(), configs[0].as_object().unwrap().len(), "all choices");
        for row in table {
            for (config, told) in configs.iter().zip(&row[1..]) {
                let told = told.split(';').next().unwrap();
                let value = match &config[&row[0]] {
                    Value::String(word) => word.clone(),
                    value => value.to_string(),
                };
                assert!(told.is_empty() || told == value, "{}: {told} is {value}", row[0]);
            }
        }
    }
}
