//! Stride prefetching by instruction (Chen & Baer, IEEE Trans. Computers 1995): a table of the last address, the stride
//! and a confidence of each instruction; two repetitions of a stride make it trusted.

use super::{Named, PAGE_BITS, Prefetcher, Trigger};

const ENTRIES: u64 = 256;
const CONFIDENCE_MAX: u8 = 3;
const CONFIDENCE_TRUSTED: u8 = 2;

/// What is known of one instruction.
#[derive(Clone, Copy, Default)]
struct Entry {
    // 0 in an entry that was never used: such an ip is not looked up.
    ip: u64,
    last: u64,
    stride: i64,
    confidence: u8,
}

/// Constant distances between the addresses of an instruction.
pub struct Stride {
    degree: u32,
    line_bits: u32,
    table: Vec<Entry>,
}

impl Stride {
    pub fn new(degree: u32, line_bits: u32) -> Self {
        Self { degree, line_bits, table: vec![Entry::default(); 256] }
    }
}

impl Entry {
    /// Learns from the distance of the next address.
    fn learn(&mut self, paddr: u64) {
        let stride = paddr.wrapping_sub(self.last).cast_signed();
        self.last = paddr;
        if stride == self.stride && stride != 0 {
            self.confidence = (self.confidence + 1).min(CONFIDENCE_MAX);
            return;
        }
        self.confidence = self.confidence.saturating_sub(1);
        if self.confidence == 0 {
            self.stride = stride;
        }
    }
}

impl Prefetcher for Stride {
    fn observe(&mut self, trigger: &Trigger, named: &mut Named) {
        if trigger.ip == 0 {
            return;
        }
        let index = usize::try_from(trigger.ip % ENTRIES).expect("below 256");
        let entry = &mut self.table[index];
        if entry.ip != trigger.ip {
            *entry = Entry { ip: trigger.ip, last: trigger.paddr, stride: 0, confidence: 0 };
            return;
        }
        entry.learn(trigger.paddr);
        if entry.confidence < CONFIDENCE_TRUSTED {
            return;
        }
        let mut last_line = trigger.line;
        for step in 1..=i64::from(self.degree) {
            // A stride leads away from the trigger, so lines repeat one after another, and none comes back to its page.
            let distance = entry.stride.saturating_mul(step);
            if distance.unsigned_abs() >= 1 << PAGE_BITS {
                break;
            }
            let Some(paddr) = trigger.paddr.checked_add_signed(distance) else { break };
            let line = paddr >> self.line_bits;
            if line != last_line {
                named.push(line);
            }
            last_line = line;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{NONE, observe};
    use super::*;

    #[test]
    fn stride_is_trusted_after_it_came_back_twice() {
        let mut prefetcher = Stride::new(2, 6);
        for paddr in [1000, 1100, 1200] {
            assert_eq!(observe(&mut prefetcher, paddr, 5, false), NONE);
        }
        // 1300 + 100 and + 200 lie in lines 21 and 23.
        assert_eq!(observe(&mut prefetcher, 1300, 5, false), [21, 23]);
    }

    #[test]
    fn confidence_outlives_one_other_distance() {
        let mut prefetcher = Stride::new(1, 6);
        for paddr in [0, 64, 128, 192, 256] {
            observe(&mut prefetcher, paddr, 5, false);
        }
        // From 3 down to 2: the old stride is still trusted.
        assert_eq!(observe(&mut prefetcher, 1024, 5, false), [17]);
        assert_eq!(observe(&mut prefetcher, 2048, 5, false), NONE);
        assert_eq!(observe(&mut prefetcher, 2112, 5, false), [34]);
    }

    #[test]
    fn small_stride_names_no_line_twice_and_not_its_own() {
        let mut prefetcher = Stride::new(4, 6);
        let named: Vec<_> = [0, 24, 48, 72].map(|paddr| observe(&mut prefetcher, paddr, 5, false)).into();
        // 96 and 120 lie in line 1, which is the trigger's own; 144 and 168 in line 2.
        assert_eq!(named[3], [2]);
    }

    #[test]
    fn descending_stride_ends_at_address_zero() {
        let mut prefetcher = Stride::new(4, 6);
        let named: Vec<_> = [320, 256, 192, 128].map(|paddr| observe(&mut prefetcher, paddr, 5, false)).into();
        assert_eq!(named[3], [1, 0]);
    }

    #[test]
    fn instructions_that_share_an_entry_take_it_from_one_another() {
        let mut prefetcher = Stride::new(1, 6);
        for paddr in [0, 64, 128, 192] {
            observe(&mut prefetcher, paddr, 5, false);
        }
        assert_eq!(observe(&mut prefetcher, 256, 5 + 256, false), NONE);
        for (paddr, named) in [(256, vec![]), (320, vec![]), (384, vec![]), (448, vec![8])] {
            assert_eq!(observe(&mut prefetcher, paddr, 5, false), named);
        }
    }

    #[test]
    fn unknown_instruction_teaches_nothing() {
        let mut prefetcher = Stride::new(1, 6);
        for paddr in (0..640).step_by(64) {
            assert_eq!(observe(&mut prefetcher, paddr, 0, true), NONE);
        }
    }
}
