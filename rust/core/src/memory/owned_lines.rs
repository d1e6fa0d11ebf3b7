//! Lines that a cpu is known to have for itself: it has stored to them last, and nobody else has asked for them since.
//!
//! A table by the low bits of lines, beside the directory's map: most references to what a cpu works on end here.

/// Lines of each cpu that are known.
const LINES: usize = 1 << 14;

/// Such lines of all cpus.
pub struct OwnedLines {
    // By cpu and place: 0, or a line + 1.
    by_cpu: Vec<[u64; LINES]>,
}

/// Such lines of one cpu.
#[derive(Clone, Copy)]
pub struct OwnedBy<'a>(&'a [u64; LINES]);

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
        self.by_cpu[cpu][place(line)] = line + 1;
    }

    /// A cpu has a line no longer for itself.
    #[inline]
    pub fn forget(&mut self, cpu: usize, line: u64) {
        let known = &mut self.by_cpu[cpu][place(line)];
        if *known == line + 1 {
            *known = 0;
        }
    }
}

impl OwnedBy<'_> {
    /// Whether a line is known to be the cpu's own.
    #[inline(always)]
    pub fn contains(self, line: u64) -> bool {
        self.0[place(line)] == line + 1
    }
}

#[inline(always)]
fn place(line: u64) -> usize {
    usize::try_from(line % LINES as u64).expect("below a usize")
}
