//! Lines that a cpu is known to have for itself: it has stored to them last, and nobody else has asked for them since.
//!
//! A table by the low bits of lines, beside the directory's map: most references to what a cpu works on end here.

/// Lines of each cpu that are known.
const LINES: usize = 1 << 14;

/// Such lines of all cpus.
pub struct OwnedLines {
    // By cpu and place: 0, or what of a line its place does not say + 1.
    by_cpu: Vec<[u32; LINES]>,
}

/// Such lines of one cpu.
#[derive(Clone, Copy)]
pub struct OwnedBy<'a>(&'a [u32; LINES]);

impl OwnedLines {
    /// None of them.
    pub fn new(cpus: usize) -> Self {
        Self { by_cpu: vec![[0; LINES]; cpus] }
    }

    /// Those of a cpu.
    #[inline(always)]
    pub fn of(&self, cpu: usize) -> OwnedBy<'_> {
        OwnedBy(&self.by_cpu[cpu])
    }

    /// A cpu has a line for itself.
    #[inline]
    pub fn put(&mut self, cpu: usize, line: u64) {
        // Nothing is known of lines beyond what fits.
        self.by_cpu[cpu][place(line)] = u32::try_from(word(line)).unwrap_or(0);
    }

    /// A cpu has a line no longer for itself.
    #[inline]
    pub fn forget(&mut self, cpu: usize, line: u64) {
        let known = &mut self.by_cpu[cpu][place(line)];
        if u64::from(*known) == word(line) {
            *known = 0;
        }
    }
}

impl OwnedBy<'_> {
    /// Whether a line is known to be the cpu's own.
    #[inline(always)]
    pub fn contains(self, line: u64) -> bool {
        u64::from(self.0[place(line)]) == word(line)
    }
}

#[inline(always)]
fn place(line: u64) -> usize {
    usize::try_from(line % LINES as u64).expect("below a usize")
}

/// What is kept of a line that is known.
#[inline(always)]
fn word(line: u64) -> u64 {
    line / LINES as u64 + 1
}
