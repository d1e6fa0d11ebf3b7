//! Second chance: a hand goes round the pages and takes the first that was not referenced since it last came by
//! (Corbató 1968).

use super::PageReplacement;
use super::list::LinkedList;

/// Pages in a ring, and a bit for each.
#[derive(Debug, Default)]
pub struct Clock {
    ring: LinkedList,
    is_referenced: Vec<bool>,
    /// The page that the hand looks at next.
    hand: Option<u32>,
}

impl PageReplacement for Clock {
    fn insert(&mut self, page: u32) {
        // Behind the hand: the page that it reaches last.
        self.ring.insert_before(self.hand, page);
        self.hand = self.hand.or(Some(page));
        if self.is_referenced.len() <= page as usize {
            self.is_referenced.resize(page as usize + 1, false);
        }
        self.is_referenced[page as usize] = true;
    }

    fn touch(&mut self, page: u32) {
        self.is_referenced[page as usize] = true;
    }

    fn remove(&mut self, page: u32) {
        if self.hand == Some(page) {
            let next = self.next(page);
            self.hand = (next != page).then_some(next);
        }
        self.ring.remove(page);
    }

    fn victim(&mut self) -> Option<u32> {
        let mut hand = self.hand?;
        while std::mem::take(&mut self.is_referenced[hand as usize]) {
            hand = self.next(hand);
        }
        self.hand = Some(hand);
        Some(hand)
    }
}

impl Clock {
    fn next(&self, page: u32) -> u32 {
        self.ring.after(page).or(self.ring.first()).expect("a page is followed by itself at least")
    }
}
