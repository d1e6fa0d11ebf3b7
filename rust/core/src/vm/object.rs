//! Objects that several address spaces show: program images, shared mappings. They stand for Linux' page cache.

use super::frames::{Frames, Pfn};
use std::collections::BTreeMap;

/// The number of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(u32);

#[derive(Debug, Default)]
struct Object {
    /// Pages that are in memory. The object holds one reference to each frame.
    pages: BTreeMap<u64, Pfn>,
    /// Pages of regions that show it: cutting and joining regions changes nothing.
    shown: u64,
}

/// All objects.
#[derive(Debug, Default)]
pub struct Objects {
    objects: BTreeMap<ObjectId, Object>,
    images: BTreeMap<String, ObjectId>,
    next: u32,
}

impl Objects {
    /// A new, empty object that no region shows yet.
    pub fn create(&mut self) -> ObjectId {
        let id = ObjectId(self.next);
        self.next += 1;
        self.objects.insert(id, Object::default());
        id
    }

    /// The object of a program's text: one for all processes that run it.
    pub fn image(&mut self, program: &str) -> ObjectId {
        if let Some(&id) = self.images.get(program) {
            return id;
        }
        let id = self.create();
        self.images.insert(program.to_owned(), id);
        id
    }

    /// The frame of a page that is in memory.
    pub fn page(&self, object: ObjectId, page: u64) -> Option<Pfn> {
        self.objects.get(&object)?.pages.get(&page).copied()
    }

    /// Puts a page in a frame.
    pub fn set_page(&mut self, object: ObjectId, page: u64, pfn: Pfn, frames: &mut Frames) {
        frames.retain(pfn, 0);
        let old = self.objects.get_mut(&object).expect("regions keep their object").pages.insert(page, pfn);
        debug_assert!(old.is_none(), "a page has one frame");
    }

    /// A region of so many pages shows it.
    pub fn retain(&mut self, object: ObjectId, pages: u64) {
        self.objects.get_mut(&object).expect("regions keep their object").shown += pages;
    }

    /// So many pages of regions less show it; with the last ones it goes, and its frames with it.
    pub fn release(&mut self, object: ObjectId, pages: u64, frames: &mut Frames) {
        let found = self.objects.get_mut(&object).expect("regions keep their object");
        found.shown -= pages;
        if found.shown > 0 {
            return;
        }
        for (_, pfn) in self.objects.remove(&object).expect("it was just there").pages {
            frames.release(pfn, 0);
        }
        self.images.retain(|_, &mut id| id != object);
    }

    /// Frames that objects hold a reference to.
    pub fn frames(&self) -> impl Iterator<Item = Pfn> {
        self.objects.values().flat_map(|object| object.pages.values().copied())
    }
}
