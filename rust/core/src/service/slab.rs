//! Records that come and go, found by number. Numbers of those that went are given again.

/// Records.
#[derive(Clone, Debug)]
pub(super) struct Slab<T> {
    records: Vec<T>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    pub fn new() -> Self {
        Self { records: Vec::new(), free: Vec::new() }
    }

    /// Keeps a record, below 2^32 of them, which is made of the one before it under the same number.
    pub fn insert_with(&mut self, record: impl FnOnce(Option<&T>) -> T) -> u32 {
        if let Some(number) = self.free.pop() {
            self.records[number as usize] = record(Some(&self.records[number as usize]));
            return number;
        }
        self.records.push(record(None));
        u32::try_from(self.records.len() - 1).expect("limits keep records below 2^32")
    }

    /// Forgets a record; it can still be read until its number is given again.
    pub fn remove(&mut self, number: u32) {
        self.free.push(number);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.records.len() - self.free.len()
    }

    /// All records, those that went included.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.records.iter()
    }
}

impl<T> std::ops::Index<u32> for Slab<T> {
    type Output = T;
    fn index(&self, number: u32) -> &T {
        &self.records[number as usize]
    }
}

impl<T> std::ops::IndexMut<u32> for Slab<T> {
    fn index_mut(&mut self, number: u32) -> &mut T {
        &mut self.records[number as usize]
    }
}
