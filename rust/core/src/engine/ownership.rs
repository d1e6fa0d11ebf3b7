//! Who has a line: MESI as intervals of time.
//!
//! A request is answered in the order of requests: the line leaves where it is one *leg* after that, but not before it was
//! there for its least stay, and is there another leg later. What is promised is known at once, so that nothing has to
//! happen in between: each cpu has times from and until which it may read and write. What is left out: who is nearer, and
//! requests that meet on the way.

use crate::base::Picos;

/// When a cpu may do something to a line: up to `lost`, and from `from` until `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    lost: Picos,
    from: Picos,
    until: Picos,
}

impl Span {
    const NONE: Self = Self { lost: Picos::ZERO, from: Picos::NEVER, until: Picos::ZERO };

    fn holds(&self, at: Picos) -> bool {
        at < self.lost || (self.from <= at && at < self.until)
    }

    /// Whether it may be from a time on and is not promised to anybody else.
    fn is_kept(&self) -> bool {
        self.until == Picos::NEVER
    }

    /// Holds from a time on; what it has at the moment stays as long as it was promised.
    fn renew(&mut self, at: Picos, from: Picos) {
        let lost = if self.from <= at { self.until } else { self.lost };
        *self = Self { lost, from, until: Picos::NEVER };
    }

    fn cut(&mut self, at: Picos) {
        self.until = self.until.min(at);
    }
}

/// A line of shared variables.
#[derive(Clone, Debug)]
pub(super) struct Line {
    reads: Vec<Span>,
    writes: Vec<Span>,
    /// Nobody else gets it to leave before.
    free_at: Picos,
    is_touched: bool,
    /// How often it moved.
    pub transfers: u64,
}

/// How long things take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Legs {
    /// From one cpu to another.
    pub leg: Picos,
    /// The least stay.
    pub hold: Picos,
}

impl Line {
    /// A line that nobody has.
    pub fn new(cpus: usize) -> Self {
        Self {
            reads: vec![Span::NONE; cpus],
            writes: vec![Span::NONE; cpus],
            free_at: Picos::ZERO,
            is_touched: false,
            transfers: 0,
        }
    }

    /// When a cpu that wants to read at a time can. Asks for the line if it has to.
    pub fn read(&mut self, cpu: usize, at: Picos, legs: Legs) -> Picos {
        let span = self.reads[cpu];
        if span.holds(at) {
            return at;
        }
        if span.from > at && span.from != Picos::NEVER {
            return span.from;
        }
        if self.touch(cpu, at) {
            return at;
        }
        self.transfers += 1;
        let is_owned = self.writes.iter().any(Span::is_kept);
        let mut arrival = at + legs.leg * 2;
        if is_owned {
            let leave = (at + legs.leg).max(self.free_at);
            self.writes.iter_mut().for_each(|span| span.cut(leave));
            arrival = leave + legs.leg;
        }
        self.reads[cpu].renew(at, arrival);
        self.free_at = self.free_at.max(arrival + legs.hold);
        arrival
    }

    /// When a cpu that wants to write at a time can. Asks for the line if it has to.
    pub fn own(&mut self, cpu: usize, at: Picos, legs: Legs) -> Picos {
        let span = self.writes[cpu];
        if span.holds(at) {
            return at;
        }
        if span.from > at && span.from != Picos::NEVER {
            return span.from;
        }
        if self.touch(cpu, at) {
            return at;
        }
        self.take(cpu, at, legs)
    }

    /// When a store that was executed at a time becomes visible, not before `earliest`. The line stays up to then.
    pub fn commit(&mut self, cpu: usize, at: Picos, earliest: Picos, legs: Legs) -> Picos {
        let span = self.writes[cpu];
        let is_held = span.from <= earliest && earliest <= span.until;
        let is_coming = span.from != Picos::NEVER && span.from > earliest;
        let commit = if is_held || self.touch(cpu, at) {
            earliest
        } else if is_coming {
            span.from
        } else {
            self.take(cpu, at, legs).max(earliest)
        };
        self.free_at = self.free_at.max(commit);
        commit
    }

    /// Whether a cpu has the line for itself, and nobody has asked for it.
    pub fn is_kept(&self, cpu: usize, at: Picos) -> bool {
        self.writes[cpu].is_kept() && self.writes[cpu].from <= at
    }

    /// Until when a cpu that writes may go on to.
    pub fn writable_until(&self, cpu: usize, at: Picos) -> Picos {
        let span = self.writes[cpu];
        if at < span.lost { span.lost } else { span.until }
    }

    /// Until when a cpu that reads may go on to.
    pub fn readable_until(&self, cpu: usize, at: Picos) -> Picos {
        let span = self.reads[cpu];
        if at < span.lost { span.lost } else { span.until }
    }

    /// The first access to a line is free: it lies where it is wanted.
    fn touch(&mut self, cpu: usize, at: Picos) -> bool {
        if self.is_touched {
            return false;
        }
        self.is_touched = true;
        self.reads[cpu].renew(at, at);
        self.writes[cpu].renew(at, at);
        true
    }

    /// Takes the line from all others.
    fn take(&mut self, cpu: usize, at: Picos, legs: Legs) -> Picos {
        self.transfers += 1;
        let leave = (at + legs.leg).max(self.free_at);
        for other in 0..self.reads.len() {
            if other != cpu {
                self.reads[other].cut(leave);
                self.writes[other].cut(leave);
            }
        }
        let arrival = leave + legs.leg;
        // A copy that nobody takes away is read on.
        if !self.reads[cpu].is_kept() {
            self.reads[cpu].renew(at, arrival);
        }
        self.writes[cpu].renew(at, arrival);
        self.free_at = arrival + legs.hold;
        arrival
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGS: Legs = Legs { leg: Picos(20), hold: Picos(10) };

    #[test]
    fn line_moves_in_two_legs_and_stays_for_a_while() {
        let mut line = Line::new(3);
        assert_eq!(line.own(0, Picos(100), LEGS), Picos(100));
        assert_eq!(line.own(1, Picos(100), LEGS), Picos(140));
        // The first goes on until it leaves, and asks again behind the second.
        assert_eq!(line.own(0, Picos(119), LEGS), Picos(119));
        assert_eq!(line.own(0, Picos(120), LEGS), Picos(170));
        assert_eq!(line.own(2, Picos(121), LEGS), Picos(200));
        assert_eq!(line.own(1, Picos(149), LEGS), Picos(149));
        assert_eq!(line.transfers, 3);
    }

    #[test]
    fn readers_share_and_a_writer_takes_their_copies() {
        let mut line = Line::new(3);
        line.own(0, Picos(0), LEGS);
        assert_eq!(line.read(1, Picos(100), LEGS), Picos(140));
        assert_eq!(line.read(0, Picos(130), LEGS), Picos(130));
        assert_eq!(line.read(2, Picos(200), LEGS), Picos(240));
        assert_eq!(line.own(0, Picos(300), LEGS), Picos(340));
        assert_eq!(line.readable_until(1, Picos(310)), Picos(320));
        assert_eq!(line.readable_until(0, Picos(310)), Picos::NEVER);
    }

    #[test]
    fn store_keeps_the_line_until_it_is_visible() {
        let mut line = Line::new(2);
        line.own(0, Picos(0), LEGS);
        assert_eq!(line.commit(0, Picos(100), Picos(150), LEGS), Picos(150));
        assert_eq!(line.own(1, Picos(101), LEGS), Picos(170));
    }
}
