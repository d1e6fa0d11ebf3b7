//! Pages: what translates, what a TLB looks up, and which size each address has.

use super::config::PageSize;
use super::lines::{Key, halves};

/// Virtual addresses whose pages have a size of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRange {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// Size of the pages.
    pub page_size: PageSize,
}

/// A page of one address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Page {
    // The page number, then two bits for the size.
    number_and_size: u64,
    asid: u32,
}

impl Page {
    /// The page that an address lies in.
    #[inline]
    pub fn of(vaddr: u64, size: PageSize, asid: u32) -> Self {
        Self { number_and_size: vaddr >> size.bits() << 2 | size as u64, asid }
    }
}

impl Page {
    /// The page of this number, of a size that is none of the usual ones.
    pub fn numbered(number: u64, asid: u32) -> Self {
        Self { number_and_size: number << 2, asid }
    }

    /// Its address space.
    pub fn asid(self) -> u32 {
        self.asid
    }

    /// Whether it lies within the `1 << bits` bytes around an address, if it has one of the usual sizes.
    pub fn is_within(self, vaddr: u64, bits: u32) -> bool {
        let size_bits = 12 + 9 * u32::try_from(self.number_and_size & 3).expect("two bits");
        size_bits <= bits && self.number() >> (bits - size_bits) == vaddr >> bits
    }
}

impl Key for Page {
    // The high half of the page number's, and the asid.
    type Rest = (u32, u32);
    type Hint = [u64; 2];

    #[inline(always)]
    fn number(self) -> u64 {
        self.number_and_size >> 2
    }

    #[inline(always)]
    fn hint(self, way: usize) -> [u64; 2] {
        [self.number_and_size + 1, (way as u64) << 32 | u64::from(self.asid)]
    }

    #[inline(always)]
    fn way_in(self, [word, rest]: [u64; 2]) -> Option<usize> {
        let is_it = word == self.number_and_size + 1 && rest & 0xffff_ffff == u64::from(self.asid);
        is_it.then_some(usize::try_from(rest >> 32).expect("a way"))
    }

    #[inline(always)]
    fn split(self, set_bits: u32) -> (u32, (u32, u32)) {
        let (tag, high) = halves(self.number() >> set_bits << 2 | self.number_and_size & 3);
        (tag, (high, self.asid))
    }

    #[inline(always)]
    fn join(set: u64, set_bits: u32, tag: u32, (high, asid): (u32, u32)) -> Self {
        let number = (u64::from(high) << 30 | u64::from(tag >> 2)) << set_bits | set;
        Self { number_and_size: number << 2 | u64::from(tag & 3), asid }
    }
}

/// The page size of every address: ranges laid over one another, the first on top.
#[derive(Clone, Debug)]
pub struct PageSizes {
    // invariant: ascending, from 0 on, and neighbours differ in size
    segments: Vec<(u64, PageSize)>,
}

impl PageSizes {
    /// Lays `ranges` out; addresses outside all of them have pages of size `rest`.
    pub fn new(ranges: &[PageRange], rest: PageSize) -> Self {
        let mut starts: Vec<u64> = ranges.iter().flat_map(|range| [range.start, range.end]).chain([0]).collect();
        starts.sort_unstable();
        let size_at = |vaddr| {
            let first = ranges.iter().find(|range| range.start <= vaddr && vaddr < range.end);
            first.map_or(rest, |range| range.page_size)
        };
        let mut segments: Vec<_> = starts.into_iter().map(|start| (start, size_at(start))).collect();
        segments.dedup_by_key(|&mut (_, size)| size);
        Self { segments }
    }

    /// The page size at an address.
    #[inline]
    pub fn at(&self, vaddr: u64) -> PageSize {
        match *self.segments {
            [(_, size)] => size,
            _ => self.segments[self.segments.partition_point(|&(start, _)| start <= vaddr) - 1].1,
        }
    }

    /// The sizes that occur.
    pub fn in_use(&self) -> Vec<PageSize> {
        let mut sizes: Vec<_> = self.segments.iter().map(|&(_, size)| size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PageSize::{Size1G, Size2M, Size4K};

    #[test]
    fn first_range_that_contains_an_address_says_its_page_size() {
        let ranges = [
            PageRange { start: 100, end: 200, page_size: Size4K },
            PageRange { start: 50, end: 150, page_size: Size2M },
            PageRange { start: 0, end: 300, page_size: Size1G },
        ];
        let sizes = PageSizes::new(&ranges, Size4K);
        for vaddr in 0..400 {
            let first = ranges.iter().find(|range| range.start <= vaddr && vaddr < range.end);
            assert_eq!(sizes.at(vaddr), first.map_or(Size4K, |range| range.page_size), "{vaddr}");
        }
        assert_eq!(sizes.in_use(), [Size4K, Size2M, Size1G]);
        assert_eq!(PageSizes::new(&[], Size2M).at(u64::MAX >> 1), Size2M);
    }

    #[test]
    fn pages_differ_by_number_size_and_address_space() {
        let page = Page::of(5 << 21 | 17, Size2M, 3);
        assert_eq!(page, Page::of(5 << 21, Size2M, 3));
        assert_eq!(page.number(), 5);
        for other in [Page::of(6 << 21, Size2M, 3), Page::of(5 << 12, Size4K, 3), Page::of(5 << 21, Size2M, 4)] {
            assert_ne!(page, other);
        }
    }

    #[test]
    fn page_is_put_together_again_from_its_parts() {
        for set_bits in [0, 4, 20] {
            for page in [Page::of(u64::MAX >> 1, Size4K, u32::MAX), Page::of(0x7fff_1234_5678, Size1G, 0)] {
                let (tag, rest) = page.split(set_bits);
                assert_eq!(Page::join(page.number() & ((1 << set_bits) - 1), set_bits, tag, rest), page);
            }
        }
    }
}
