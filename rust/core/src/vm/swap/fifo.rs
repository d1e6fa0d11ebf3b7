//! First in, first out. Shows Belady's anomaly: more memory can mean more faults (Belady, Nelson & Shedler 1969).

use super::PageReplacement;
use super::list::LinkedList;

/// Pages in order of arrival.
#[derive(Debug, Default)]
pub struct Fifo {
    arrivals: LinkedList,
}

impl PageReplacement for Fifo {
    fn insert(&mut self, page: u32) {
        self.arrivals.push(page);
    }

    fn touch(&mut self, _page: u32) {}

    fn remove(&mut self, page: u32) {
        self.arrivals.remove(page);
    }

    fn victim(&mut self) -> Option<u32> {
        self.arrivals.first()
    }
}
