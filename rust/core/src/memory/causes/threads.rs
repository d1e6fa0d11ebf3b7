//! Threads by number, and where each has run.

use super::KERNEL;
use super::usage::{Time, User};
use crate::memory::directory::CpuSet;
use crate::memory::hash::NumberMap;

/// Where a thread is and was.
#[derive(Clone, Copy, Default)]
struct Thread {
    id: u32,
    cpu: Option<usize>,
    cpus: CpuSet,
    arrived: Time,
}

/// All threads that ever ran.
pub(super) struct Threads {
    // By user.
    threads: Vec<Thread>,
    users: NumberMap<u32, User>,
}

impl Threads {
    /// The kernel alone.
    pub fn new() -> Self {
        let nobody_and_kernel = [KERNEL, KERNEL].map(|id| Thread { id, ..Thread::default() });
        Self { threads: nobody_and_kernel.into(), users: NumberMap::from_iter([(KERNEL, User::KERNEL)]) }
    }

    /// A thread runs on a cpu from now on.
    pub fn put(&mut self, thread: u32, cpu: usize, now: Time) -> User {
        let next = User(u32::try_from(self.threads.len()).expect("users are bounded"));
        let user = if next == User::LAST { User::LAST } else { *self.users.entry(thread).or_insert(next) };
        if user == next {
            self.threads.push(Thread { id: thread, ..Thread::default() });
        }
        // The kernel is on all cpus.
        if user != User::KERNEL {
            let thread = &mut self.threads[user.0 as usize];
            if thread.cpu.replace(cpu) != Some(cpu) {
                thread.arrived = now;
            }
            thread.cpus |= 1 << cpu;
        }
        user
    }

    /// The thread's own number.
    pub fn id(&self, user: User) -> u32 {
        self.threads[user.0 as usize].id
    }

    /// Cpus other than this one that a thread may have used a line on at `since` or later.
    pub fn elsewhere(&self, user: User, cpu: usize, since: Time) -> CpuSet {
        let thread = &self.threads[user.0 as usize];
        if since > thread.arrived { 0 } else { thread.cpus & !(1 << cpu) }
    }
}
