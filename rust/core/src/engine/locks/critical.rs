//! The critical path through locks: how long each lock was held on the chain of threads that waited for one another up to
//! the end of the run (Chen & Stenstrom, "Critical Lock Analysis", SC 2012).
//!
//! A thread that waited goes on with the path of the one it waited for: whatever it did before was not what took so long.

use crate::base::Picos;
use crate::kernel::Tid;

/// By thread: how long each lock was held on the path that leads to where it is.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Paths {
    locks: usize,
    by_thread: Vec<Vec<Picos>>,
    /// By lock: the path of who gave it back last while others waited.
    released: Vec<Vec<Picos>>,
}

impl Paths {
    pub fn new(locks: usize) -> Self {
        Self { locks, by_thread: Vec::new(), released: vec![Vec::new(); locks] }
    }

    /// The path of a thread.
    pub fn of(&self, tid: Tid) -> &[Picos] {
        self.by_thread.get(tid.index()).map_or(&[], Vec::as_slice)
    }

    fn path(&mut self, tid: Tid) -> &mut Vec<Picos> {
        if self.by_thread.len() <= tid.index() {
            self.by_thread.resize(tid.index() + 1, Vec::new());
        }
        &mut self.by_thread[tid.index()]
    }

    /// A thread has held a lock for a time.
    pub fn note_hold(&mut self, tid: Tid, lock: u32, held: Picos, is_wanted: bool) {
        let locks = self.locks;
        let path = self.path(tid);
        path.resize(locks, Picos::ZERO);
        path[lock as usize] += held;
        if is_wanted {
            self.released[lock as usize].clone_from(&self.by_thread[tid.index()]);
        }
    }

    /// A thread has waited for a lock, and so for whoever gave it back.
    pub fn go_on_from_release(&mut self, tid: Tid, lock: u32) {
        let released = self.released[lock as usize].clone();
        self.path(tid).clone_from(&released);
    }

    /// A thread has waited for another, or was made by it.
    #[inline(always)]
    pub fn go_on_from(&mut self, tid: Tid, other: Tid) {
        if self.locks > 0 && tid != other {
            self.copy(tid, other);
        }
    }

    fn copy(&mut self, tid: Tid, other: Tid) {
        if !self.of(other).is_empty() {
            let path = self.of(other).to_vec();
            *self.path(tid) = path;
        }
    }
}
