//! A window of times of which some are alive, and how many live ones lie before a time.
//!
//! A time is a bit. Bits are counted by blocks of 256, blocks by groups of 16, groups by groups of 16, and so on; each
//! entry holds what is alive *before it in its group*, so that a rank is one entry a floor and the bits of one block,
//! and a death takes one off the later entries of a group on each floor: a masked subtraction of 16 lanes. A birth
//! changes nothing, since it is always the latest time: entries behind it are set when they are reached.

/// log2 of the bits a block.
const BLOCK_BITS: u32 = 8;
/// log2 of the entries a group.
const GROUP_BITS: u32 = 4;
const GROUP: usize = 1 << GROUP_BITS;
const BLOCK_WORDS: usize = 1 << (BLOCK_BITS - 6);

/// The window.
pub(super) struct LiveTimes {
    // 1 is alive. Four words a block.
    blocks: Vec<[u64; BLOCK_WORDS]>,
    // From the blocks up. Entries from the present on mean nothing.
    floors: Vec<Vec<[u32; GROUP]>>,
    now: u64,
    live: u64,
}

impl LiveTimes {
    /// A window of `1 << bits` times, of which the first `live` are alive and over.
    pub fn new(bits: u32, live: u64) -> Self {
        assert!((BLOCK_BITS..=32).contains(&bits) && live < 1 << bits, "a window has room for what is alive");
        let in_word = |word: u64| match live.saturating_sub(64 * word) {
            64.. => u64::MAX,
            some => (1 << some) - 1,
        };
        let block = |block: u64| std::array::from_fn(|word| in_word(block * BLOCK_WORDS as u64 + word as u64));
        let mut floors = Vec::new();
        let mut entry_bits = BLOCK_BITS;
        loop {
            let group_bits = entry_bits + GROUP_BITS;
            let groups = (1u64 << bits).div_ceil(1 << group_bits);
            let entry = |group: u64, entry: usize| {
                let start = group << group_bits;
                let before = live.min(start + ((entry as u64) << entry_bits)).saturating_sub(start);
                u32::try_from(before).expect("a window of 2^32 times at most")
            };
            floors.push((0..groups).map(|group| std::array::from_fn(|place| entry(group, place))).collect());
            if groups == 1 {
                break;
            }
            entry_bits = group_bits;
        }
        Self { blocks: (0..1 << (bits - BLOCK_BITS)).map(block).collect(), floors, now: live, live }
    }

    /// The present: the next time that is born.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Times that are alive.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// Whether there is no time left.
    pub fn is_over(&self) -> bool {
        self.now >> BLOCK_BITS == self.blocks.len() as u64
    }

    /// How many live times lie before `time`.
    #[inline(always)]
    pub fn rank(&self, time: u64) -> u64 {
        let mut rank = 0;
        let mut entry = place(time >> BLOCK_BITS);
        let block = &self.blocks[entry];
        let bit = time % (1 << BLOCK_BITS);
        for (word, &bits) in (0u64..).zip(block) {
            let below = bit.saturating_sub(64 * word);
            let mask = if below >= 64 { u64::MAX } else { (1 << below) - 1 };
            rank += u64::from((bits & mask).count_ones());
        }
        for floor in &self.floors {
            rank += u64::from(floor[entry / GROUP][entry % GROUP]);
            entry /= GROUP;
        }
        rank
    }

    /// Ends the life of a time.
    #[inline(always)]
    pub fn kill(&mut self, time: u64) {
        let mut entry = place(time >> BLOCK_BITS);
        let bit = time % (1 << BLOCK_BITS);
        self.blocks[entry][place(bit / 64)] &= !(1 << (bit % 64));
        for floor in &mut self.floors {
            let here = entry % GROUP;
            for (later, count) in floor[entry / GROUP].iter_mut().enumerate() {
                *count = count.wrapping_sub(u32::from(later > here));
            }
            entry /= GROUP;
        }
        self.live -= 1;
    }

    /// Lets the present be alive and goes on to the next time. There must be one left.
    #[inline(always)]
    pub fn birth(&mut self) {
        if self.now.is_multiple_of(1 << BLOCK_BITS) {
            self.open();
        }
        let bit = self.now % (1 << BLOCK_BITS);
        self.blocks[place(self.now >> BLOCK_BITS)][place(bit / 64)] |= 1 << (bit % 64);
        self.now += 1;
        self.live += 1;
    }

    /// Sets the entries that begin with the present, from the top down: what is alive, less what floors above say.
    fn open(&mut self) {
        let mut before = self.live;
        let mut entry_bits = BLOCK_BITS + GROUP_BITS * u32::try_from(self.floors.len()).expect("a few floors");
        for floor in self.floors.iter_mut().rev() {
            entry_bits -= GROUP_BITS;
            let entry = place(self.now >> entry_bits);
            let count = &mut floor[entry / GROUP][entry % GROUP];
            if self.now.is_multiple_of(1 << entry_bits) {
                *count = u32::try_from(before).expect("a window of 2^32 times at most");
            }
            before -= u64::from(*count);
        }
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("a place in memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    #[test]
    fn ranks_are_those_of_a_list() {
        for (bits, live) in [(8, 0), (8, 255), (9, 300), (12, 0), (13, 4096), (14, 5000), (17, 70_000)] {
            let mut times = LiveTimes::new(bits, live);
            let mut alive: Vec<u64> = (0..live).collect();
            let mut rng = Rng::stream(u64::from(bits), "test", live);
            while !times.is_over() {
                if alive.len() > 3 && rng.below(5) < 2 {
                    let index = rng.below(u32::try_from(alive.len()).unwrap()) as usize;
                    assert_eq!(times.rank(alive[index]), index as u64);
                    times.kill(alive.remove(index));
                } else {
                    alive.push(times.now());
                    times.birth();
                }
                assert_eq!(times.live(), alive.len() as u64);
            }
            for (index, &time) in alive.iter().enumerate().step_by(97) {
                assert_eq!(times.rank(time), index as u64);
            }
        }
    }
}
