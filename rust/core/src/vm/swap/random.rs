//! A page drawn from the seed: the policy that needs no state and has no bad case of its own.

use super::PageReplacement;
use crate::base::Rng;

/// Pages in no order.
#[derive(Debug)]
pub struct Random {
    pages: Vec<u32>,
    /// By page: where it is in `pages`.
    places: Vec<u32>,
    draws: Rng,
}

impl Random {
    /// No pages.
    pub fn new(seed: u64) -> Self {
        Self { pages: Vec::new(), places: Vec::new(), draws: Rng::stream(seed, "vm.swap", 0) }
    }
}

impl PageReplacement for Random {
    fn insert(&mut self, page: u32) {
        if self.places.len() <= page as usize {
            self.places.resize(page as usize + 1, 0);
        }
        self.places[page as usize] = u32::try_from(self.pages.len()).expect("fewer pages than frames");
        self.pages.push(page);
    }

    fn touch(&mut self, _page: u32) {}

    fn remove(&mut self, page: u32) {
        let place = self.places[page as usize];
        self.pages.swap_remove(place as usize);
        if let Some(&moved) = self.pages.get(place as usize) {
            self.places[moved as usize] = place;
        }
    }

    fn victim(&mut self) -> Option<u32> {
        let pages = u32::try_from(self.pages.len()).expect("fewer pages than frames");
        (pages > 0).then(|| self.pages[self.draws.below(pages) as usize])
    }
}
