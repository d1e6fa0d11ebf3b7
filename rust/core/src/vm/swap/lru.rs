//! Least recently used, exactly: what kernels approximate, since no hardware reports every access.

use super::PageReplacement;
use super::list::LinkedList;

/// Pages in order of their last use.
#[derive(Debug, Default)]
pub struct Lru {
    uses: LinkedList,
}

impl PageReplacement for Lru {
    fn insert(&mut self, page: u32) {
        self.uses.push(page);
    }

    fn touch(&mut self, page: u32) {
        self.uses.remove(page);
        self.uses.push(page);
    }

    fn remove(&mut self, page: u32) {
        self.uses.remove(page);
    }

    fn victim(&mut self) -> Option<u32> {
        self.uses.first()
    }
}
