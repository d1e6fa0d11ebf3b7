//! A region: a range of pages with one purpose and one set of permissions (Linux' `vm_area_struct`).

use crate::vm::object::ObjectId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What accesses a region allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions {
    /// Loads pass.
    pub read: bool,
    /// Stores pass.
    pub write: bool,
    /// Instruction fetches pass.
    pub execute: bool,
}

impl Permissions {
    /// No access at all, as a guard page has it.
    pub const NONE: Self = Self { read: false, write: false, execute: false };
    /// Loads.
    pub const READ: Self = Self { read: true, write: false, execute: false };
    /// Loads and stores.
    pub const READ_WRITE: Self = Self { read: true, write: true, execute: false };
    /// Loads and fetches.
    pub const READ_EXECUTE: Self = Self { read: true, write: false, execute: true };

    /// Reads `rw-` or `rw`, letters in any order.
    pub fn parse(text: &str) -> Option<Self> {
        let mut permissions = Self::NONE;
        for letter in text.chars() {
            match letter {
                'r' => permissions.read = true,
                'w' => permissions.write = true,
                'x' => permissions.execute = true,
                '-' => {}
                _ => return None,
            }
        }
        Some(permissions)
    }

    /// Whether an access passes.
    pub fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
            Access::Execute => self.execute,
        }
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |is_set: bool, letter| if is_set { letter } else { '-' };
        write!(f, "{}{}{}", letter(self.read, 'r'), letter(self.write, 'w'), letter(self.execute, 'x'))
    }
}

/// What is done to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        })
    }
}

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegionKind {
    /// Instructions.
    Text,
    /// Initialised and zeroed variables.
    Data,
    /// Grows upwards by `brk`.
    Heap,
    /// Made by `mmap`.
    Mapping,
    /// Grows downwards by faults, up to a limit.
    Stack,
}

/// A range of pages, in numbers of 4 KiB pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// The first page.
    pub start: u64,
    /// The page behind the last. invariant: above `start`
    pub end: u64,
    /// What it is for.
    pub kind: RegionKind,
    /// What programs call it.
    pub name: String,
    /// What accesses pass.
    pub permissions: Permissions,
    /// log2 of the frames that its first touch maps if they can be had: 0, 9 or 18.
    pub page_order: u32,
    /// The object that it shows, and the page of the object at `start`; nothing for anonymous memory.
    pub object: Option<(ObjectId, u64)>,
    /// Stacks: the most pages that it may grow to.
    pub pages_max: u64,
}

impl Region {
    /// Pages of it.
    pub fn pages(&self) -> u64 {
        self.end - self.start
    }

    /// Whether a page lies in it.
    pub fn contains(&self, vpn: u64) -> bool {
        (self.start..self.end).contains(&vpn)
    }

    /// Cuts off and returns what begins at a page inside.
    pub(super) fn split_off(&mut self, vpn: u64) -> Self {
        debug_assert!(self.start < vpn && vpn < self.end, "both parts have pages");
        let mut rest = self.clone();
        rest.start = vpn;
        rest.object = self.object.map(|(object, page)| (object, page + (vpn - self.start)));
        self.end = vpn;
        rest
    }

    /// Whether `next` continues this region so that one region can stand for both.
    pub(super) fn joins(&self, next: &Self) -> bool {
        let follows = match (self.object, next.object) {
            (None, None) => true,
            (Some((object, page)), Some((other, there))) => object == other && page + self.pages() == there,
            _ => false,
        };
        follows
            && self.end == next.start
            && (self.kind, &self.name, self.permissions, self.page_order)
                == (next.kind, &next.name, next.permissions, next.page_order)
    }
}

/// As a line of Linux' `/proc/PID/maps`, with the region's name.
impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sharing = if self.object.is_some() { 's' } else { 'p' };
        write!(f, "{:x}-{:x} {}{sharing} {}", self.start << 12, self.end << 12, self.permissions, self.name)
    }
}
