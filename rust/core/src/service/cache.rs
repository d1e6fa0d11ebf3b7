//! A cache in front of a slow store: how long it keeps what the store said, and who asks the store.
//!
//! Entries have a time to live, with jitter or without. What is older may be served for a while longer while one load
//! fetches it anew (stale while revalidate). With single flight one load a key is under way at a time, and others wait
//! for it. A writer leaves the entry alone, removes it, or writes it through. The cache has room for all keys.

use crate::base::{ConfigError, Picos, Rng};
use serde::{Deserialize, Serialize};

/// A cache as a user writes it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// How long an entry is fresh.
    pub ttl_ns: Picos,
    /// The part of that by which it may be shorter, drawn for each entry.
    #[serde(default)]
    pub jitter: f64,
    /// Whether others wait for a load that is under way.
    #[serde(default)]
    pub single_flight: bool,
    /// How long what is not fresh is served while it is fetched anew.
    #[serde(default)]
    pub stale_ns: Picos,
    /// What a writer does to the entry.
    #[serde(default)]
    pub writes: Writes,
    /// How long an answer from the cache takes.
    #[serde(default = "hit_ns")]
    pub hit_ns: Picos,
}

fn hit_ns() -> Picos {
    Picos::from_nanos(100_000)
}

/// What a writer does to the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writes {
    /// Nothing: it lives on until its time is up.
    #[default]
    Expire,
    /// Removes it.
    Invalidate,
    /// Writes it.
    WriteThrough,
}

impl CacheConfig {
    /// Holds the rules.
    ///
    /// # Errors
    /// The first that is broken, with its path and the value.
    pub fn check(&self, path: &str) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError::new(format!("{path}.jitter"), "must be 0 to 1", self.jitter));
        }
        if self.hit_ns < Picos::from_nanos(1) {
            return Err(ConfigError::new(format!("{path}.hit_ns"), "must be 1 to 1e14", self.hit_ns.nanos()));
        }
        Ok(())
    }
}

/// What a reader is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// A fresh entry.
    Hit(u32),
    /// One that is not fresh any longer, and whether the reader is to let it be fetched anew.
    Stale(u32, bool),
    /// The reader is to load it.
    Load,
    /// Another loads it; the reader is to wait.
    Wait,
}

/// A cache.
#[derive(Clone, Debug)]
pub struct Cache {
    config: CacheConfig,
    entries: Vec<Entry>,
    draws: Rng,
    /// The most loads of one key at a time.
    stampede: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// What the store said; nothing that counts while it is not held.
    version: u32,
    is_held: bool,
    /// Loads that are under way.
    loads: u32,
    /// Until when it is fresh.
    fresh: Picos,
}

impl Cache {
    /// An empty cache for so many keys, of a checked configuration.
    pub fn new(config: &CacheConfig, keys: u32, seed: u64) -> Self {
        let draws = Rng::stream(seed, "service.ttl", 0);
        Self { config: *config, entries: vec![Entry::default(); keys as usize], draws, stampede: 0 }
    }

    /// Somebody reads a key. Who is told to load or to fetch anew has to say how that ended.
    pub fn read(&mut self, now: Picos, key: u32) -> Lookup {
        let CacheConfig { stale_ns, single_flight, .. } = self.config;
        let entry = &mut self.entries[key as usize];
        if entry.is_held && now < entry.fresh {
            return Lookup::Hit(entry.version);
        }
        let is_served = entry.is_held && now < entry.fresh + stale_ns;
        if entry.loads > 0 && (is_served || single_flight) {
            return if is_served { Lookup::Stale(entry.version, false) } else { Lookup::Wait };
        }
        entry.loads += 1;
        self.stampede = self.stampede.max(entry.loads);
        if is_served { Lookup::Stale(entry.version, true) } else { Lookup::Load }
    }

    /// A load has ended; with nothing if it failed.
    pub fn loaded(&mut self, now: Picos, key: u32, version: Option<u32>) {
        self.entries[key as usize].loads -= 1;
        if let Some(version) = version {
            self.put(now, key, version);
        }
    }

    /// A writer has written a version to the store.
    pub fn written(&mut self, now: Picos, key: u32, version: u32) {
        match self.config.writes {
            Writes::Expire => (),
            Writes::Invalidate => self.entries[key as usize].is_held = false,
            Writes::WriteThrough => self.put(now, key, version),
        }
    }

    /// Loses everything that it holds.
    pub fn flush(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.is_held = false);
    }

    /// How long an answer from here takes.
    pub fn hit_time(&self) -> Picos {
        self.config.hit_ns
    }

    /// The most loads of one key at a time.
    pub fn stampede(&self) -> u32 {
        self.stampede
    }

    fn put(&mut self, now: Picos, key: u32, version: u32) {
        let CacheConfig { ttl_ns, jitter, .. } = self.config;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the time to live")]
        let shorter = if jitter > 0.0 { (self.draws.unit() * jitter * ttl_ns.0 as f64) as u64 } else { 0 };
        let entry = &mut self.entries[key as usize];
        (entry.version, entry.is_held, entry.fresh) = (version, true, now + ttl_ns - Picos(shorter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(json: &str) -> Cache {
        let config: CacheConfig = serde_json::from_str(json).unwrap();
        config.check("cache").unwrap();
        Cache::new(&config, 2, 1)
    }

    #[test]
    fn entries_live_for_their_time_and_loads_are_many() {
        let mut cache = cache(r#"{"ttl_ns": 10}"#);
        assert_eq!(cache.read(Picos(0), 0), Lookup::Load);
        assert_eq!(cache.read(Picos(0), 0), Lookup::Load);
        cache.loaded(Picos(5), 0, Some(7));
        assert_eq!(cache.read(Picos(10_004), 0), Lookup::Hit(7));
        assert_eq!(cache.read(Picos(10_005), 0), Lookup::Load);
        assert_eq!(cache.stampede(), 2);
        assert_eq!(cache.read(Picos(0), 1), Lookup::Load, "keys have entries of their own");
    }

    #[test]
    fn single_flight_is_one_load_a_key_at_a_time() {
        let mut cache = cache(r#"{"ttl_ns": 10, "single_flight": true}"#);
        assert_eq!(cache.read(Picos(0), 0), Lookup::Load);
        assert_eq!(cache.read(Picos(0), 0), Lookup::Wait);
        cache.loaded(Picos(5), 0, None);
        assert_eq!(cache.read(Picos(6), 0), Lookup::Load, "the one before failed");
        assert_eq!(cache.stampede(), 1);
    }

    #[test]
    fn what_is_stale_is_served_while_one_fetches_it() {
        let mut cache = cache(r#"{"ttl_ns": 1, "stale_ns": 1}"#);
        assert_eq!(cache.read(Picos(0), 0), Lookup::Load);
        cache.loaded(Picos(0), 0, Some(3));
        assert_eq!(cache.read(Picos(1000), 0), Lookup::Stale(3, true));
        assert_eq!(cache.read(Picos(1999), 0), Lookup::Stale(3, false));
        assert_eq!(cache.read(Picos(2000), 0), Lookup::Load, "it is too old, and nobody waits without single flight");
        cache.loaded(Picos(2500), 0, Some(4));
        assert_eq!(cache.read(Picos(2501), 0), Lookup::Hit(4));
    }

    #[test]
    fn writers_leave_remove_or_write() {
        for (writes, expected) in
            [("expire", Lookup::Hit(1)), ("invalidate", Lookup::Load), ("write-through", Lookup::Hit(2))]
        {
            let mut cache = cache(&format!(r#"{{"ttl_ns": 10, "writes": "{writes}"}}"#));
            cache.read(Picos(0), 0);
            cache.loaded(Picos(0), 0, Some(1));
            cache.written(Picos(1), 0, 2);
            assert_eq!(cache.read(Picos(2), 0), expected);
        }
    }

    #[test]
    fn jitter_shortens_by_its_part_at_most() {
        let mut cache = cache(r#"{"ttl_ns": 1000, "jitter": 0.5}"#);
        let mut lives = Vec::new();
        for _ in 0..1000 {
            cache.put(Picos(0), 0, 1);
            lives.push(cache.entries[0].fresh.0);
        }
        lives.sort_unstable();
        assert!(500_000 <= lives[0] && lives[0] < 510_000 && 990_000 < lives[999] && lives[999] <= 1_000_000);
    }
}
