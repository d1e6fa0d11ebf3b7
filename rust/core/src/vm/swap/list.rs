//! A list of small numbers, linked through arrays: put at the end, taken from anywhere, all in constant time.

const NONE: u32 = u32::MAX;

/// The list. A number is in it once at most.
#[derive(Clone, Debug)]
pub struct LinkedList {
    links: Vec<Link>,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    is_member: bool,
}

impl Default for LinkedList {
    fn default() -> Self {
        Self { links: Vec::new(), first: NONE, last: NONE }
    }
}

impl LinkedList {
    /// The number at the front.
    pub fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    /// The number behind one that is in the list.
    pub fn after(&self, number: u32) -> Option<u32> {
        let after = self.links[number as usize].after;
        (after != NONE).then_some(after)
    }

    /// Whether it is in the list.
    pub fn contains(&self, number: u32) -> bool {
        self.links.get(number as usize).is_some_and(|link| link.is_member)
    }

    /// Puts a number that is not there at the end.
    pub fn push(&mut self, number: u32) {
        self.insert_before(None, number);
    }

    /// Puts a number that is not there before another, or at the end.
    pub fn insert_before(&mut self, next: Option<u32>, number: u32) {
        if self.links.len() <= number as usize {
            self.links.resize(number as usize + 1, Link { before: NONE, after: NONE, is_member: false });
        }
        debug_assert!(!self.contains(number), "a number is in the list once");
        let after = next.unwrap_or(NONE);
        let before = next.map_or(self.last, |next| self.links[next as usize].before);
        self.links[number as usize] = Link { before, after, is_member: true };
        *self.link_after(before) = number;
        *self.link_before(after) = number;
    }

    /// Takes out a number that is there.
    pub fn remove(&mut self, number: u32) {
        debug_assert!(self.contains(number), "only a member is taken out");
        let Link { before, after, .. } = self.links[number as usize];
        *self.link_after(before) = after;
        *self.link_before(after) = before;
        self.links[number as usize].is_member = false;
    }

    fn link_after(&mut self, number: u32) -> &mut u32 {
        if number == NONE { &mut self.first } else { &mut self.links[number as usize].after }
    }

    fn link_before(&mut self, number: u32) -> &mut u32 {
        if number == NONE { &mut self.last } else { &mut self.links[number as usize].before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order() {
        let mut list = LinkedList::default();
        for number in [5, 1, 3] {
            list.push(number);
        }
        list.insert_before(Some(1), 9);
        list.remove(5);
        let mut order = Vec::new();
        let mut next = list.first();
        while let Some(number) = next {
            order.push(number);
            next = list.after(number);
        }
        assert_eq!(order, [9, 1, 3]);
        assert!(!list.contains(5));
    }
}
