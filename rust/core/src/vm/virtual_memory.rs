//! All of memory as the kernel sees it: frames, tables, address spaces, objects and swap, and what they agree on.

use super::address_space::{AddressSpace, Layout, MapError, Permissions, Recents, Region, RegionKind, TEXT_START_VPN};
use super::config::VmConfig;
use super::frames::{Frames, Pfn};
use super::object::Objects;
use super::page_table::{Entry, PageTables, Place, TableId};
use super::reclaim::Reclaim;
use crate::base::Rng;
use crate::memory::page_walk::TablePath;

/// Index of an address space.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpaceId(pub u32);

/// No frame is left, and none can be made free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{wanted} frames are wanted, {free} of {total} are free and swap has no room")]
pub struct OutOfMemory {
    /// Frames that were wanted.
    pub wanted: u64,
    /// Frames that are free.
    pub free: u64,
    /// Frames of the machine.
    pub total: u64,
}

/// The memory of a running system.
#[derive(Debug)]
pub struct VirtualMemory {
    pub(super) config: VmConfig,
    pub(super) frames: Frames,
    pub(super) tables: PageTables,
    pub(super) objects: Objects,
    pub(super) reclaim: Option<Reclaim>,
    spaces: Vec<Option<Shared>>,
    /// Address spaces made so far: the index of the stream that the next one draws its addresses from.
    spaces_made: u64,
    /// Frames that were free before anything was mapped.
    pub(super) frames_at_start: u64,
}

/// An address space and how many processes run in it.
#[derive(Debug)]
struct Shared {
    space: AddressSpace,
    users: u32,
}

/// What `map` is asked for.
#[derive(Clone, Debug)]
pub struct MapRequest<'a> {
    /// What programs call it.
    pub name: &'a str,
    /// Its first page; the kernel chooses if absent.
    pub start: Option<u64>,
    /// How many pages.
    pub pages: u64,
    /// What accesses pass.
    pub permissions: Permissions,
    /// log2 of the frames of its pages.
    pub page_order: u32,
    /// Whether a child of a fork sees what the parent writes.
    pub is_shared: bool,
}

impl VirtualMemory {
    /// Memory without address spaces.
    pub fn new(config: VmConfig) -> Self {
        let frames = Frames::new(config.frames, config.placement, config.seed);
        let frames_at_start = frames.free();
        let reclaim = (config.swap_pages > 0).then(|| Reclaim::new(&config));
        Self {
            frames,
            tables: PageTables::new(config.levels),
            objects: Objects::default(),
            reclaim,
            spaces: Vec::new(),
            spaces_made: 0,
            frames_at_start,
            config,
        }
    }

    /// Frames that nobody has.
    pub fn frames_free(&self) -> u64 {
        self.frames.free()
    }

    /// Frames of the machine.
    pub fn frames_total(&self) -> u64 {
        self.frames.total()
    }

    /// The most frames that were in use at a time, the zero page included.
    pub fn frames_peak(&self) -> u64 {
        self.frames.peak()
    }

    /// Slots of the swap in use.
    pub fn swap_pages_in_use(&self) -> u64 {
        self.reclaim.as_ref().map_or(0, |reclaim| reclaim.slots.in_use())
    }

    /// One address space.
    pub fn space(&self, id: SpaceId) -> &AddressSpace {
        &self.spaces[id.0 as usize].as_ref().expect("a process has an address space").space
    }

    /// What accesses that find everything as it is go through: the recent tables of a space, all tables, the policy.
    #[inline(always)]
    pub(super) fn recent_parts(&mut self, id: SpaceId) -> (&Recents, &mut PageTables, Option<&mut Reclaim>) {
        let shared = self.spaces[id.0 as usize].as_ref().expect("a process has an address space");
        (&shared.space.recent, &mut self.tables, self.reclaim.as_mut())
    }

    /// All address spaces.
    pub fn spaces(&self) -> impl Iterator<Item = (SpaceId, &AddressSpace)> {
        self.spaces
            .iter()
            .zip(0..)
            .filter_map(|(shared, id)| shared.as_ref().map(|shared| (SpaceId(id), &shared.space)))
    }

    /// A new address space with the text, data and stack of a program.
    pub fn new_image(&mut self, program: &Image<'_>) -> Result<SpaceId, OutOfMemory> {
        self.reserve(1)?;
        let root = self.tables.create(&mut self.frames).expect("a frame was reserved");
        let layout = Layout {
            user_bits: 9 * self.config.levels - 1,
            stack_pages_max: self.config.stack_pages_max,
            aslr: self.config.aslr,
        };
        let mut draws = Rng::stream(self.config.seed, "vm.aslr", self.spaces_made);
        self.spaces_made += 1;
        let text_end = TEXT_START_VPN + program.text_pages.max(1);
        let data_end = text_end + program.data_pages.max(1);
        let mut space = AddressSpace::new(root, layout, data_end, &mut draws);
        let object = self.objects.image(program.name);
        self.objects.retain(object, text_end - TEXT_START_VPN);
        let region = |start, end, kind, name: &str, permissions, object| Region {
            start,
            end,
            kind,
            name: name.into(),
            permissions,
            page_order: 0,
            object,
            pages_max: 0,
        };
        let top = space.stack_top;
        let stack_pages = program.stack_pages.clamp(1, self.config.stack_pages_max);
        let mut stack = region(top - stack_pages, top, RegionKind::Stack, "stack", Permissions::READ_WRITE, None);
        stack.pages_max = self.config.stack_pages_max;
        let text = Some((object, 0));
        for region in [
            region(TEXT_START_VPN, text_end, RegionKind::Text, "text", Permissions::READ_EXECUTE, text),
            region(text_end, data_end, RegionKind::Data, "data", Permissions::READ_WRITE, None),
            stack,
        ] {
            space.insert(region).expect("the regions of a new image lie apart");
        }
        Ok(self.add_space(space))
    }

    /// One more process runs in an address space.
    pub fn share(&mut self, id: SpaceId) {
        self.shared_mut(id).users += 1;
    }

    /// Processes that run in an address space.
    pub fn users(&self, id: SpaceId) -> u32 {
        self.spaces[id.0 as usize].as_ref().map_or(0, |shared| shared.users)
    }

    /// One process less runs in it. Returns whether it was the last, so that the space has to be torn down.
    pub(super) fn unshare_space(&mut self, id: SpaceId) -> bool {
        let shared = self.shared_mut(id);
        shared.users -= 1;
        shared.users == 0
    }

    /// Adds a region. Returns its first page.
    pub fn map(&mut self, id: SpaceId, request: &MapRequest<'_>) -> Result<u64, MapError> {
        let start = match request.start {
            Some(start) => start,
            None => self.space(id).gap(request.pages, request.page_order)?,
        };
        let object = request.is_shared.then(|| (self.objects.create(), 0));
        let region = Region {
            start,
            end: start.saturating_add(request.pages),
            kind: RegionKind::Mapping,
            name: request.name.into(),
            permissions: request.permissions,
            page_order: if request.is_shared { 0 } else { request.page_order },
            object,
            pages_max: 0,
        };
        if let Some((object, _)) = object {
            self.objects.retain(object, request.pages);
        }
        let mapped = self.space_mut(id).insert(region);
        if let (Err(_), Some((object, _))) = (&mapped, object) {
            self.objects.release(object, request.pages, &mut self.frames);
        }
        mapped.map(|()| start)
    }

    /// The physical addresses of the entries that a walk for a page reads, root first.
    pub fn walk(&self, id: SpaceId, vpn: u64) -> Vec<u64> {
        self.tables.walk(self.space(id).root, vpn, &self.frames)
    }

    /// The same, for a machine that walks: each entry when it is asked for.
    pub fn path(&self, id: SpaceId, vpn: u64) -> WalkPath<'_> {
        WalkPath { vm: self, root: self.space(id).root, vpn }
    }

    /// The entry at which a walk for a page ends, and its level.
    pub fn entry(&self, id: SpaceId, vpn: u64) -> (Entry, u32) {
        let place = self.tables.find(self.space(id).root, vpn, &self.frames);
        (self.tables.entry(place), place.level)
    }

    /// The contents that a page would show, if it is mapped, in memory or swapped out.
    pub fn peek(&self, id: SpaceId, vpn: u64) -> Option<u64> {
        let (entry, level) = self.entry(id, vpn);
        if entry.is_absent() {
            return None;
        }
        if !entry.is_present() {
            return self.reclaim.as_ref().map(|reclaim| reclaim.slots.contents(entry.pfn().0));
        }
        Some(self.frames.contents(frame_in(entry, level, vpn)))
    }

    /// What is in a frame.
    pub fn contents(&self, pfn: Pfn) -> u64 {
        self.frames.contents(pfn)
    }

    /// Leaf entries that map a frame.
    pub fn references(&self, pfn: Pfn) -> u32 {
        self.frames.references(pfn)
    }

    /// Bytes of page tables as Linux counts them: all but the root.
    pub fn vm_pte_bytes(&self, id: SpaceId) -> u64 {
        let counts = self.tables.count_by_level(self.space(id).root, &self.frames);
        (counts.iter().sum::<u64>() - 1) << super::frames::FRAME_BITS
    }

    pub(super) fn space_mut(&mut self, id: SpaceId) -> &mut AddressSpace {
        &mut self.shared_mut(id).space
    }

    pub(super) fn add_space(&mut self, space: AddressSpace) -> SpaceId {
        let shared = Some(Shared { space, users: 1 });
        let free = self.spaces.iter().position(Option::is_none);
        let index = free.unwrap_or(self.spaces.len());
        if index == self.spaces.len() {
            self.spaces.push(shared);
        } else {
            self.spaces[index] = shared;
        }
        SpaceId(u32::try_from(index).expect("fewer address spaces than frames"))
    }

    pub(super) fn take_space(&mut self, id: SpaceId) -> AddressSpace {
        self.spaces[id.0 as usize].take().expect("a process has an address space").space
    }

    fn shared_mut(&mut self, id: SpaceId) -> &mut Shared {
        self.spaces[id.0 as usize].as_mut().expect("a process has an address space")
    }

    /// Splits a huge entry into 512 of the next smaller size. A frame must have been reserved for the table.
    pub(super) fn split_entry(&mut self, place: Place, vpn: u64) -> TableId {
        let entry = self.tables.entry(place);
        let table = self.tables.create(&mut self.frames).expect("a frame was reserved");
        let order = order_of(place.level);
        self.frames.split(entry.pfn(), order);
        let part_order = order - 9;
        for index in 0..512_usize {
            let part = Place { table, index, level: place.level - 1 };
            self.tables.set(part, entry.part((index as u64) << part_order, part_order > 0));
        }
        self.tables.set(place, Entry::table(self.tables.pfn(table)));
        if part_order == 0
            && let Some(reclaim) = &mut self.reclaim
        {
            let first = vpn >> 9 << 9;
            for index in 0..512 {
                reclaim.track(Pfn(entry.pfn().0 + index), first + index);
            }
        }
        table
    }

    /// Takes an entry's reference from its frame or slot. Returns whether frames were freed.
    pub(super) fn drop_leaf(&mut self, entry: Entry, order: u32) -> bool {
        if !entry.is_present() {
            self.reclaim.as_mut().expect("only swap makes such entries").release_slot(entry.pfn().0);
            return false;
        }
        let is_freed = self.frames.release(entry.pfn(), order);
        if let Some(reclaim) = &mut self.reclaim {
            // Of a huge page those frames are known that another process had as pages of 4 KiB.
            let block = entry.pfn().0..entry.pfn().0 + (1 << order);
            for pfn in block.map(Pfn).filter(|&pfn| self.frames.references(pfn) == 0) {
                reclaim.forget(pfn);
            }
        }
        is_freed
    }
}

/// The way through page tables to a page.
#[derive(Debug)]
pub struct WalkPath<'a> {
    vm: &'a VirtualMemory,
    root: TableId,
    vpn: u64,
}

impl TablePath for WalkPath<'_> {
    fn entry_paddr(&self, level: u32) -> u64 {
        self.vm.tables.entry_paddr(self.root, self.vpn, level, &self.vm.frames)
    }
}

/// What a program brings along.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    /// Its name: processes with the same name share the text.
    pub name: &'a str,
    /// Pages of instructions.
    pub text_pages: u64,
    /// Pages of variables.
    pub data_pages: u64,
    /// Pages of stack to begin with.
    pub stack_pages: u64,
}

/// The frame of a page under a leaf entry of that level.
pub(super) fn frame_in(entry: Entry, level: u32, vpn: u64) -> Pfn {
    Pfn(entry.pfn().0 + (vpn & ((1 << order_of(level)) - 1)))
}

/// log2 of the frames that a leaf entry of that level maps.
pub(super) fn order_of(level: u32) -> u32 {
    9 * (level - 1)
}
