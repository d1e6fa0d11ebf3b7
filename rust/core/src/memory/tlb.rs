//! Translation lookaside buffers, and the translation of a reference through them.
//!
//! Counts lookups, misses and page walks and says what they cost. Where a page lies is not asked here: a TLB holds pages,
//! not frames. Of a walk that reads tables only what the TLBs add is here; the rest is in [`super::page_walk`].

use super::config::{MachineConfig, PageSize};
use super::geometry::Geometry;
use super::lines::{Known, KnownLines, LineArray, Slot};
use super::page::Page;
use super::stats::TlbStats;
use crate::base::Rng;

const PAGE_SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

/// One TLB of one cpu, or a shared one.
struct Tlb {
    place: usize,
    hit_cycles: u64,
    entries: usize,
    pages: LineArray<Page>,
    // Pages filled since it was empty, up to as many as it has entries; kept only where a switch empties it.
    filled: Option<Vec<Page>>,
    stats: TlbStats,
}

impl Tlb {
    #[inline]
    fn lookup(&mut self, page: Page) -> bool {
        self.stats.lookups += 1;
        if self.pages.lookup(page, false).is_some() {
            return true;
        }
        self.stats.misses += 1;
        false
    }

    fn fill(&mut self, page: Page) {
        self.pages.fill(page, false);
        note_filled(&mut self.filled, self.entries, page);
    }

    /// Makes it empty, in time proportional to the fills since the last time.
    fn flush(&mut self) {
        let Some(filled) = &mut self.filled else { return };
        if filled.len() < self.entries {
            for &page in filled.iter() {
                self.pages.remove(page);
            }
        } else {
            self.pages.clear();
        }
        filled.clear();
    }
}

fn note_filled(filled: &mut Option<Vec<Page>>, entries: usize, page: Page) {
    if let Some(filled) = filled
        && filled.len() < entries
    {
        filled.push(page);
    }
}

/// Which TLBs a kind of reference to a page of one size looks up on one cpu.
#[derive(Default)]
struct Path {
    tlbs: Vec<usize>,
    // Whether any TLB takes this kind of reference, whatever the size.
    is_translated: bool,
    walk_latency_cycles: u64,
}

/// All TLBs of a machine.
pub struct Translation {
    tlbs: Vec<Tlb>,
    // By cpu, kind and page size, as `path_index` says.
    paths: Vec<Path>,
    // The address space of each cpu's last reference.
    asids: Vec<Option<u32>>,
    // TLBs of each cpu, and those of them that a switch of address spaces empties.
    of_cpu: Vec<Vec<usize>>,
    untagged: Vec<Vec<usize>>,
    // Switches of address spaces on each cpu.
    switches: Vec<u64>,
    page_walks: u64,
}

/// A page that the first TLB on its path is known to hold.
#[derive(Clone, Copy, Debug)]
pub struct KnownPage {
    tlb: usize,
    page: Page,
    known: Known,
}

/// References in a row to pages that the first TLB on their path holds, or the second one.
pub struct KnownPages<'a> {
    /// Those of the first.
    pub pages: KnownLines<'a, Page>,
    /// What it has counted.
    pub stats: &'a mut TlbStats,
    /// Cycles of a hit there.
    pub hit_cycles: u64,
    filled: &'a mut Option<Vec<Page>>,
    entries: usize,
    second: Option<&'a mut Tlb>,
}

impl KnownPages<'_> {
    /// Where the second TLB holds a page. Changes nothing.
    #[inline]
    pub fn seek_near(&self, page: Page) -> Option<Known> {
        self.second.as_ref()?.pages.seek(page)
    }

    /// Does what [`Translation::translate`] does to a page that the first TLB does not hold and the second one does. Returns
    /// where the first one holds it from now on, and the cycles.
    #[inline]
    pub fn take_near(&mut self, page: Page, known: Known) -> (Slot, u64) {
        let second = self.second.as_mut().expect("it holds the page");
        self.stats.lookups += 1;
        self.stats.misses += 1;
        second.stats.lookups += 1;
        second.pages.use_known(page, known, false);
        note_filled(self.filled, self.entries, page);
        (self.pages.fill(page, false).slot, second.hit_cycles)
    }
}

/// What a translation cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// Cycles it adds.
    pub latency_cycles: u64,
    /// Whether there was a page walk.
    pub walked: bool,
}

impl Translation {
    /// Empty TLBs, or nothing on a machine that has none.
    pub fn new(machine: &MachineConfig, seed: u64) -> Option<Self> {
        if machine.tlbs.is_empty() {
            return None;
        }
        let cpus = machine.cpus as usize;
        let mut tlbs = Vec::new();
        let mut paths: Vec<Path> = std::iter::repeat_with(Path::default).take(cpus * 6).collect();
        let (mut of_cpu, mut untagged) = (vec![Vec::new(); cpus], vec![Vec::new(); cpus]);
        for (place, config) in machine.tlbs.iter().enumerate() {
            for cpu in 0..cpus {
                if cpu == 0 || !config.shared {
                    tlbs.push(Tlb::new(machine, place, cpu, seed));
                }
                let index = tlbs.len() - 1;
                of_cpu[cpu].push(index);
                if tlbs[index].filled.is_some() {
                    untagged[cpu].push(index);
                }
                let kind = config.stream_kind();
                for (is_fetch, takes) in [(false, kind.takes_data()), (true, kind.takes_fetches())] {
                    for size in PAGE_SIZES.into_iter().filter(|_| takes) {
                        let path = &mut paths[path_index(cpu, is_fetch, size)];
                        path.is_translated = true;
                        if config.page_sizes.contains(&size) {
                            path.tlbs.push(index);
                        }
                    }
                }
            }
        }
        for path in &mut paths {
            let last_hit_cycles = path.tlbs.last().map_or(0, |&last| tlbs[last].hit_cycles);
            let walk_cycles = if machine.page_walk.is_some() { 0 } else { u64::from(machine.page_walk_cycles) };
            path.walk_latency_cycles = walk_cycles + last_hit_cycles;
        }
        let (asids, switches) = (vec![None; cpus], vec![0; cpus]);
        Some(Self { tlbs, paths, asids, of_cpu, untagged, switches, page_walks: 0 })
    }

    /// Translates a reference: looks up, fills, walks.
    pub fn translate(&mut self, cpu: usize, is_fetch: bool, vaddr: u64, size: PageSize, asid: u32) -> Translated {
        if self.asids[cpu] != Some(asid) {
            self.switch(cpu, asid);
        }
        let path = &self.paths[path_index(cpu, is_fetch, size)];
        let page = Page::of(vaddr, size, asid);
        for (depth, &index) in path.tlbs.iter().enumerate() {
            let tlb = &mut self.tlbs[index];
            if tlb.lookup(page) {
                let latency_cycles = tlb.hit_cycles;
                path.tlbs[..depth].iter().for_each(|&missed| self.tlbs[missed].fill(page));
                return Translated { latency_cycles, walked: false };
            }
        }
        if !path.is_translated {
            return Translated::default();
        }
        path.tlbs.iter().for_each(|&missed| self.tlbs[missed].fill(page));
        self.page_walks += 1;
        Translated { latency_cycles: path.walk_latency_cycles, walked: true }
    }

    /// A page that the first TLB is known to hold without a search. Changes nothing.
    #[inline(always)]
    pub fn known(&self, cpu: usize, is_fetch: bool, vaddr: u64, size: PageSize, asid: u32) -> Option<KnownPage> {
        if self.asids[cpu] != Some(asid) {
            return None;
        }
        let &tlb = self.paths[path_index(cpu, is_fetch, size)].tlbs.first()?;
        let page = Page::of(vaddr, size, asid);
        Some(KnownPage { tlb, page, known: self.tlbs[tlb].pages.known(page)? })
    }

    /// Does what [`Translation::translate`] does to a page that is known. Returns the cycles of the hit.
    #[inline(always)]
    pub fn use_known(&mut self, KnownPage { tlb, page, known }: KnownPage) -> u64 {
        let tlb = &mut self.tlbs[tlb];
        tlb.stats.lookups += 1;
        tlb.pages.use_known(page, known, false);
        tlb.hit_cycles
    }

    /// Pages of data of a cpu, in the address space of its last reference, to be found without a search.
    pub fn known_pages(&mut self, cpu: usize, size: PageSize, asid: u32) -> Option<KnownPages<'_>> {
        if self.asids[cpu] != Some(asid) {
            return None;
        }
        let path = &self.paths[path_index(cpu, false, size)].tlbs;
        let (tlb, second) = match **path {
            [] => return None,
            [first] => (&mut self.tlbs[first], None),
            [first, second, ..] => {
                let (inner, outer) = self.tlbs.split_at_mut(second);
                (&mut inner[first], Some(&mut outer[0]))
            }
        };
        let Tlb { pages, stats, filled, entries, hit_cycles, .. } = tlb;
        let pages = pages.known_lines()?;
        Some(KnownPages { pages, stats, filled, entries: *entries, hit_cycles: *hit_cycles, second })
    }

    /// How often the address space of a cpu has changed.
    #[inline]
    pub fn switches(&self, cpu: usize) -> u64 {
        self.switches[cpu]
    }

    /// Drops what a cpu's TLBs hold of the `1 << bits` bytes around an address.
    pub fn invalidate_page(&mut self, cpu: usize, vaddr: u64, bits: u32, asid: u32) {
        self.invalidate_where(cpu, |page| page.asid() == asid && page.is_within(vaddr, bits));
    }

    /// Drops what a cpu's TLBs hold of an address space.
    pub fn invalidate_asid(&mut self, cpu: usize, asid: u32) {
        self.invalidate_where(cpu, |page| page.asid() == asid);
    }

    /// Drops all that a cpu's TLBs hold.
    pub fn invalidate_all(&mut self, cpu: usize) {
        self.invalidate_where(cpu, |_| true);
    }

    fn invalidate_where(&mut self, cpu: usize, is_meant: impl Fn(Page) -> bool) {
        self.of_cpu[cpu].iter().for_each(|&index| self.tlbs[index].pages.remove_where(&is_meant));
    }

    /// Page walks so far.
    pub fn page_walks(&self) -> u64 {
        self.page_walks
    }

    /// Counters by place in the machine's list, over all cpus.
    pub fn stats(&self) -> Vec<TlbStats> {
        let places = self.tlbs.last().map_or(0, |tlb| tlb.place + 1);
        let mut stats = vec![TlbStats::default(); places];
        for tlb in &self.tlbs {
            stats[tlb.place] = stats[tlb.place].plus(&tlb.stats);
        }
        stats
    }

    #[cold]
    fn switch(&mut self, cpu: usize, asid: u32) {
        if self.asids[cpu].replace(asid).is_some() {
            self.switches[cpu] += 1;
            self.untagged[cpu].iter().for_each(|&index| self.tlbs[index].flush());
        }
    }
}

impl Tlb {
    fn new(machine: &MachineConfig, place: usize, cpu: usize, seed: u64) -> Self {
        let config = &machine.tlbs[place];
        let rng = Rng::stream(seed, "tlb.victim", (256 * place + cpu) as u64);
        // The page size of the geometry is of no use to an array whose keys are pages.
        let pages = LineArray::new(config.replacement, Geometry::of_tlb(config, PageSize::Size4K), rng);
        Self {
            place,
            hit_cycles: u64::from(machine.hit_cycles_of(place)),
            entries: config.entries as usize,
            pages,
            filled: (!config.asid_tagged && !config.shared).then(Vec::new),
            stats: TlbStats::default(),
        }
    }
}

#[inline]
fn path_index(cpu: usize, is_fetch: bool, size: PageSize) -> usize {
    (cpu * 2 + usize::from(is_fetch)) * 3 + size as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use PageSize::{Size1G, Size2M, Size4K};
    use serde_json::{Value, json};

    fn translation(cpus: u32, tlbs: Value) -> Translation {
        let machine = MachineConfig::from_value(json!({"cpus": cpus, "page_walk_cycles": 30, "tlbs": tlbs})).unwrap();
        machine.check().unwrap();
        Translation::new(&machine, 0).unwrap()
    }

    /// Latency and walk of a load from a page.
    fn load(translation: &mut Translation, vpn: u64, size: PageSize, asid: u32) -> (u64, bool) {
        let done = translation.translate(0, false, vpn << size.bits() | 9, size, asid);
        (done.latency_cycles, done.walked)
    }

    fn counts(translation: &Translation) -> Vec<(u64, u64)> {
        translation.stats().iter().map(|tlb| (tlb.lookups, tlb.misses)).collect()
    }

    #[test]
    fn page_that_the_second_tlb_holds_is_filled_into_the_first() {
        let mut t = translation(
            1,
            json!([
                {"name": "L1 dTLB", "entries": 1, "ways": 1},
                {"name": "L2 dTLB", "entries": 4, "ways": 4},
            ]),
        );
        assert_eq!(load(&mut t, 1, Size4K, 0), (37, true));
        assert_eq!(load(&mut t, 2, Size4K, 0), (37, true));
        assert_eq!(load(&mut t, 1, Size4K, 0), (7, false));
        assert_eq!(load(&mut t, 1, Size4K, 0), (0, false));
        assert_eq!(counts(&t), [(4, 3), (3, 2)]);
        assert_eq!(t.page_walks(), 2);
    }

    #[test]
    fn page_of_a_size_that_no_tlb_holds_is_walked_and_nothing_is_looked_up() {
        let mut t = translation(1, json!([{"name": "dTLB", "entries": 4, "ways": 4, "hit_cycles": 5}]));
        assert_eq!(load(&mut t, 1, Size2M, 0), (30, true));
        assert_eq!(load(&mut t, 1, Size2M, 0), (30, true));
        assert_eq!((counts(&t), t.page_walks()), (vec![(0, 0)], 2));
    }

    #[test]
    fn reference_that_no_tlb_takes_costs_nothing() {
        let mut t = translation(1, json!([{"name": "dTLB", "entries": 4, "ways": 4}]));
        assert_eq!(t.translate(0, true, 1 << 12, Size4K, 0), Translated::default());
        assert_eq!(t.page_walks(), 0);
    }

    #[test]
    fn pages_of_several_sizes_share_a_set() {
        let sizes = ["4KiB", "1GiB"];
        let mut t = translation(1, json!([{"name": "T", "entries": 2, "ways": 1, "page_sizes": sizes}]));
        assert_eq!(load(&mut t, 2, Size4K, 0), (30, true));
        assert_eq!(load(&mut t, 3, Size1G, 0), (30, true));
        assert_eq!(load(&mut t, 2, Size4K, 0), (0, false));
        assert_eq!(load(&mut t, 4, Size1G, 0), (30, true));
        assert_eq!(load(&mut t, 2, Size4K, 0), (30, true));
    }

    #[test]
    fn switch_of_address_spaces_empties_untagged_tlbs_alone() {
        for ways in [4, 64] {
            let tlb = |tagged| json!([{"name": "T", "entries": 64, "ways": ways, "asid_tagged": tagged}]);
            for (tagged, walks) in [(true, 4), (false, 6)] {
                let mut t = translation(1, tlb(tagged));
                for (vpn, asid) in [(1, 0), (2, 0), (1, 0), (1, 7), (1, 7), (1, 0), (2, 0), (9, 0), (2, 0)] {
                    load(&mut t, vpn, Size4K, asid);
                }
                assert_eq!(t.page_walks(), walks, "{ways} ways, tagged: {tagged}");
            }
        }
    }

    #[test]
    fn tlb_that_was_filled_to_the_last_entry_is_emptied_too() {
        let mut t = translation(1, json!([{"name": "T", "entries": 2, "ways": 2, "asid_tagged": false}]));
        for vpn in 0..5 {
            load(&mut t, vpn, Size4K, 0);
        }
        load(&mut t, 9, Size4K, 1);
        assert_eq!(load(&mut t, 4, Size4K, 0), (30, true));
        assert_eq!(load(&mut t, 3, Size4K, 0), (30, true));
        assert_eq!(load(&mut t, 4, Size4K, 0), (0, false));
    }

    #[test]
    fn shared_tlb_serves_all_cpus_and_is_never_emptied() {
        let mut t =
            translation(2, json!([{"name": "T", "entries": 4, "ways": 4, "shared": true, "asid_tagged": false}]));
        load(&mut t, 1, Size4K, 0);
        load(&mut t, 1, Size4K, 1);
        assert_eq!(load(&mut t, 1, Size4K, 0), (0, false));
        assert!(!t.translate(1, false, 1 << 12, Size4K, 0).walked);
        assert_eq!(counts(&t), [(4, 2)]);
    }

    #[test]
    fn huge_fully_associative_tlb_takes_no_time_to_switch() {
        let entries = 1 << 22;
        let tlb = json!([{"name": "T", "entries": entries, "ways": entries, "asid_tagged": false}]);
        let mut t = translation(1, tlb);
        for switch in 0..100_000 {
            load(&mut t, u64::from(switch), Size4K, switch % 2);
        }
        assert_eq!(t.page_walks(), 100_000);
    }
}
