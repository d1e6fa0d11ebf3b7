//! Locks of a scenario, as a user writes them: which kind each is. `docs/locks.md` says what each kind does.

use crate::base::ConfigError;
use serde::{Deserialize, Serialize};

/// How a lock goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LockKind {
    /// A mutex whose freed lock is anybody's: as pthread's, on a futex.
    Barging,
    /// A mutex that is handed over in the order of waiting.
    Fair,
    /// A barging mutex whose waiters try for a while before they sleep.
    Adaptive,
    /// Go's `sync.Mutex`.
    Go,
    /// A spin lock by test-and-set.
    Tas,
    /// A spin lock that reads before it tries.
    Ttas,
    /// A spin lock in the order of tickets.
    Ticket,
    /// A queue lock: everybody spins on a line of its own.
    Mcs,
    /// A reader-writer lock.
    Rwlock,
}

impl LockKind {
    /// What results call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Barging => "barging",
            Self::Fair => "fair",
            Self::Adaptive => "adaptive",
            Self::Go => "go",
            Self::Tas => "tas",
            Self::Ttas => "ttas",
            Self::Ticket => "ticket",
            Self::Mcs => "mcs",
            Self::Rwlock => "rwlock",
        }
    }

    /// Whether its waiters never sleep.
    pub fn is_spin(self) -> bool {
        matches!(self, Self::Tas | Self::Ttas | Self::Ticket | Self::Mcs)
    }

    /// Whether it is taken in the order of waiting.
    pub fn is_fifo(self) -> bool {
        matches!(self, Self::Fair | Self::Ticket | Self::Mcs)
    }

    /// Whether one can wait for a condition under it.
    pub fn is_mutex(self) -> bool {
        matches!(self, Self::Barging | Self::Fair | Self::Adaptive | Self::Go)
    }
}

/// What happens to the priority of who holds a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Nothing.
    #[default]
    None,
    /// It is that of the most urgent who waits, while the lock is held.
    Inherit,
}

/// Who goes first at a reader-writer lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prefer {
    /// Readers, also before writers that wait: as pthread's.
    #[default]
    Readers,
    /// Writers.
    Writers,
    /// Who came first.
    Fifo,
}

/// One lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LockSpec {
    /// How it goes about it; `barging` if absent, `rwlock` where it is locked for reading or writing.
    pub kind: Option<LockKind>,
    /// What happens to the priority of who holds it.
    pub protocol: Protocol,
    /// Who goes first at a reader-writer lock.
    pub prefer: Option<Prefer>,
}

/// A lock that programs name, and where they first do so in each way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockUse {
    /// Its name.
    pub name: String,
    /// The first op that takes it as one that excludes all others.
    pub plain: Option<String>,
    /// The first op that takes it for reading or writing.
    pub shared: Option<String>,
    /// The first op that waits for a condition under it.
    pub waited: Option<String>,
}

impl LockUse {
    /// The kind of the lock by its table and by what programs do with it.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn kind(&self, spec: &LockSpec) -> Result<LockKind, ConfigError> {
        let by_use = if self.shared.is_some() { LockKind::Rwlock } else { LockKind::Barging };
        let kind = spec.kind.unwrap_or(by_use);
        let path = |field: &str| format!("locks.{}.{field}", self.name);
        if let Some(at) = self.shared.as_ref().filter(|_| kind != LockKind::Rwlock) {
            let rule =
                format!("must be a lock of kind rwlock to be locked for reading or writing, {} is not", self.name);
            return Err(ConfigError::new(format!("{at}.lock"), rule, kind.name()));
        }
        if let Some(at) = self.plain.as_ref().filter(|_| kind == LockKind::Rwlock) {
            let rule = "must be no reader-writer lock; read_lock and write_lock take those";
            return Err(ConfigError::new(format!("{at}.lock"), rule, &self.name));
        }
        if let Some(at) = self.waited.as_ref().filter(|_| !kind.is_mutex()) {
            let rule = format!("must be a mutex to wait for a condition, {} is not", self.name);
            return Err(ConfigError::new(format!("{at}.lock"), rule, kind.name()));
        }
        if spec.prefer.is_some() && kind != LockKind::Rwlock {
            return Err(ConfigError::new(path("prefer"), "must be absent but for kind rwlock", kind.name()));
        }
        if spec.protocol == Protocol::Inherit && !kind.is_mutex() {
            return Err(ConfigError::new(path("protocol"), "must be none but for a mutex", "inherit"));
        }
        Ok(kind)
    }
}
