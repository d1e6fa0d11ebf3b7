//! Touches: accesses of a program to its memory, until they are over or time is up.

use super::books::Books;
use super::cpu::Limit;
use super::error::RunError;
use super::execute::Step;
use super::footprints::{HitTime, Kind, Part, Place, page_of};
use super::overlap::Overlap;
use super::run::Run;
use super::task::{TouchState, VisitState};
use crate::base::Picos;
use crate::kernel::{Account, Tid};
use crate::memory::footprint::{Pattern as Reuse, Profile};
use crate::vm::SpaceId;
use crate::vm::address_space::Access;
use crate::vm::frames::Pfn;
use crate::workload::code::TouchCode;
use crate::workload::pattern::{Order, Pattern};
use crate::workload::{Code, Cursor};

/// Accesses of a touch through the machine's memory system.
struct Row {
    cpu: usize,
    space: SpaceId,
    access: Access,
    is_stream: bool,
    left: u64,
    limit: Limit,
}

impl Run {
    /// Accesses memory until the touch is over or time is up.
    pub(super) fn touch(
        &mut self,
        cpu: usize,
        tid: Tid,
        code: &Code,
        index: u32,
        limit: Limit,
    ) -> Result<Step, RunError> {
        let part = match self.regions.found(self.cpus[cpu].pid, index) {
            Some(part) => part,
            None => self.find_part(cpu, tid, code, index)?,
        };
        match self.footprints {
            Some(_) => self.touch_set(cpu, tid, code, index, part),
            None => self.touch_units(cpu, tid, code, index, part, limit),
        }
    }

    /// Address and units of what a thread touches.
    #[inline(never)]
    fn find_part(&mut self, cpu: usize, tid: Tid, code: &Code, index: u32) -> Result<(u64, u64), RunError> {
        let TouchCode { range, unit, .. } = &code.touches[index as usize];
        let (base, size) = self.place_of(cpu, tid, range)?;
        let pid = self.cpus[cpu].pid;
        let units = size / unit;
        if units == 0 {
            return Err(self.problem(pid, format!("a unit of {unit} bytes does not fit into {}", range.region)));
        }
        // Each thread has its own stack.
        if range.region != "stack" && self.regions.get(pid, &range.region).is_some() {
            self.regions.remember(pid, index, (base, units));
        }
        Ok((base, units))
    }

    /// The same unit by unit.
    #[inline(never)]
    fn touch_units(
        &mut self,
        cpu: usize,
        tid: Tid,
        code: &Code,
        index: u32,
        (base, units): (u64, u64),
        limit: Limit,
    ) -> Result<Step, RunError> {
        let pid = self.cpus[cpu].pid;
        let TouchCode { access, unit, pattern, .. } = &code.touches[index as usize];
        let mut state = self.take_cursor(tid, index, pattern, units)?;
        let count = code.touches[index as usize].count.unwrap_or(pattern.count(units));
        if state.left.is_none() {
            // What overlaps is of one touch.
            state.overlap = Overlap::default();
        }
        let mut left = state.left.unwrap_or(count);
        let is_dependent = code.touches[index as usize].is_dependent;
        let space = self.kernel.process(pid).and_then(|process| process.space).expect("who runs has memory");
        let has_addresses = self.memory.is_some();
        let is_stream = matches!(pattern.order(), Order::Sequential | Order::Strided(_)) && !pattern.is_scattered();
        let mut hits = 0;
        let mut failed = None;
        // Hits are paid for together: they change nothing but the time.
        while left > 0 && self.events < limit.events {
            let mut next = None;
            if has_addresses {
                let overlap = (!is_dependent).then_some(&mut state.overlap);
                let row = Row { cpu, space, access: *access, is_stream, left, limit };
                let (cursor, unit) = (&mut state.cursor, *unit);
                let (count, refused) = self.hits(row, overlap, move || base + cursor.next(pattern) * unit);
                left -= count;
                next = refused;
                if count > 0 && next.is_none() {
                    break;
                }
            }
            let (vaddr, known) = next.unwrap_or_else(|| (base + state.cursor.next(pattern) * unit, None));
            let is_refused = known.is_some();
            left -= 1;
            self.events += 1;
            // Most pages are there, and the kernel has nothing to do.
            let known = known.or_else(|| self.kernel.vm_mut().access_known(space, vaddr >> 12, *access));
            let place = if let Some(pfn) = known {
                (pfn, 0)
            } else {
                self.kernel.set_now(self.cpus[cpu].now + self.hit * hits);
                match self.kernel.access(pid, vaddr, *access) {
                    Ok(touch) => {
                        if touch.fault.is_some() {
                            self.pay_fault(cpu);
                        }
                        (touch.pfn, touch.order)
                    }
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            };
            if has_addresses {
                let overlap = (!is_dependent).then_some((&mut state.overlap, is_stream));
                self.refer(cpu, space, vaddr, *access, place, overlap, is_refused)?;
            } else {
                hits += 1;
            }
            if self.cpus[cpu].now + self.hit * hits >= self.reach(cpu, limit) {
                break;
            }
        }
        state.left = (left > 0).then_some(left);
        let is_over = state.left.is_none();
        self.tasks[tid.index()].put_cursor(index, state);
        let time = self.hit * hits;
        self.cpus[cpu].pay(Account::User, time);
        if let Some(error) = failed {
            self.outcome::<()>(cpu, pid, Err(error))?;
        }
        Ok(if is_over { Step::Next } else { Step::Again })
    }

    /// Takes accesses as long as the kernel has nothing to do and they need no more than two TLBs and two caches; what else ends
    /// a touch ends it too. Returns how many, and the address of the one that is no such access, with its frame if it has one.
    #[inline(never)]
    fn hits(
        &mut self,
        row: Row,
        overlap: Option<&mut Overlap>,
        mut next: impl FnMut() -> u64,
    ) -> (u64, Option<(u64, Option<Pfn>)>) {
        let Row { cpu, space, access, is_stream, left, limit } = row;
        let reach = self.reach(cpu, limit);
        let memory = self.memory.as_mut();
        let so_far = overlap.as_deref().map(|&overlap| (overlap, is_stream));
        let Some(mut hits) = memory.and_then(|memory| memory.hits(cpu, space, access, so_far)) else {
            return (0, None);
        };
        let mut pages = self.kernel.vm_mut().known_pages(space, access);
        let state = &mut self.cpus[cpu];
        let (start, switched) = (state.now, state.switched);
        let most = left.min(limit.events - self.events);
        debug_assert!(most > 0, "a touch that is over, or has to stop, makes no accesses");
        let (mut now, mut count, mut refused) = (start, 0, None);
        // Accesses of one age are noted together.
        let (mut noted, mut since, mut age_end) = (0, Picos::ZERO, Picos::ZERO);
        let (mut walk, mut stall) = (Picos::ZERO, Picos::ZERO);
        loop {
            let vaddr = next();
            let known = pages.access(vaddr >> 12);
            if let Some(time) = known.and_then(|pfn| hits.take(vaddr, pfn)) {
                if now >= age_end {
                    self.books.note_hits(count - noted, since);
                    (noted, since) = (count, now.saturating_sub(switched));
                    age_end = switched + Books::age_end(since);
                }
                now += time;
            } else if let Some(paid) = known.and_then(|pfn| hits.take_near(vaddr, pfn)) {
                self.books.note(state.running, paid.causes, paid.stall, now.saturating_sub(switched));
                noted += 1;
                walk += paid.walk;
                stall += paid.stall;
                now += paid.user + paid.walk + paid.stall;
            } else {
                refused = Some((vaddr, known));
                break;
            }
            count += 1;
            if count == most || now >= reach {
                break;
            }
        }
        self.books.note_hits(count - noted, since);
        if let (Some(overlap), Some(so_far)) = (overlap, hits.end(count)) {
            *overlap = so_far;
        }
        self.events += count;
        state.pay(Account::User, now - start - walk - stall);
        state.pay(Account::Walk, walk);
        state.pay(Account::Stall, stall);
        (count, refused)
    }

    fn pay_fault(&mut self, cpu: usize) {
        let bill = if self.memory.is_none() { self.kernel.take_fault_bill() } else { None };
        match bill {
            Some((fault, copy)) => self.cpus[cpu].fault(fault, copy),
            None => self.settle(cpu),
        }
    }

    /// Sends an access through the machine's memory system.
    #[allow(clippy::too_many_arguments, reason = "an access has as many sides")]
    fn refer(
        &mut self,
        cpu: usize,
        space: SpaceId,
        vaddr: u64,
        access: Access,
        place: (Pfn, u32),
        overlap: Option<(&mut Overlap, bool)>,
        is_refused: bool,
    ) -> Result<(), RunError> {
        let Some(memory) = &mut self.memory else { return Ok(()) };
        let paid = memory.access(&self.kernel, cpu, space, vaddr, access, place, overlap, is_refused);
        let paid = paid.map_err(RunError::Host)?;
        let state = &mut self.cpus[cpu];
        self.books.note(state.running, paid.causes, paid.stall, state.now.saturating_sub(state.switched));
        state.pay(Account::User, paid.user);
        if paid.walk > Picos::ZERO {
            state.pay(Account::Walk, paid.walk);
        }
        if paid.stall > Picos::ZERO {
            state.pay(Account::Stall, paid.stall);
        }
        Ok(())
    }

    /// Where a touch goes on; from its start if the region has another size by now.
    fn take_cursor(&mut self, tid: Tid, index: u32, pattern: &Pattern, units: u64) -> Result<TouchState, RunError> {
        let known = self.tasks[tid.index()].take_cursor(index).filter(|state| state.cursor.units() == units);
        if let Some(state) = known {
            return Ok(state);
        }
        self.check_units(tid, pattern, units)?;
        let cursor = Cursor::new(pattern, units, self.seed, u64::from(tid.0) << 32 | u64::from(index));
        Ok(TouchState { cursor, left: None, overlap: Overlap::default() })
    }

    #[inline(always)]
    fn check_units(&self, tid: Tid, pattern: &Pattern, units: u64) -> Result<(), RunError> {
        match pattern.unit_max().filter(|&unit| unit >= units) {
            None => Ok(()),
            Some(unit) => {
                let pid = self.threads[tid.index()].pid;
                Err(self.problem(pid, format!("unit {unit} of a list is beyond the region's {units}")))
            }
        }
    }

    /// The same by working sets. A part whose pages are all there is touched in one step, any other access by access.
    fn touch_set(
        &mut self,
        cpu: usize,
        tid: Tid,
        code: &Code,
        index: u32,
        (base, units): (u64, u64),
    ) -> Result<Step, RunError> {
        let touch = &code.touches[index as usize];
        let TouchCode { access, unit, ref pattern, .. } = *touch;
        let pid = self.cpus[cpu].pid;
        let space = self.kernel.process(pid).and_then(|process| process.space).expect("who runs has memory");
        let is_write = access == Access::Write;
        let kind = match (touch.is_dependent, is_write) {
            (true, _) => Kind::Dependent,
            (false, true) => Kind::Written,
            (false, false) => Kind::Read,
        };
        let part = Part { space, base, unit, units, order: code.orders[index as usize] };
        let known = self.tasks[tid.index()].take_visit(index).filter(|state| state.units == units);
        let mut state = known.unwrap_or(VisitState { units, left: None, cursor: None });
        if state.cursor.is_none() {
            self.check_units(tid, pattern, units)?;
        }
        let mut left = state.left.unwrap_or(touch.count.unwrap_or(pattern.count(units)));
        while left > 0 {
            let footprints = self.footprints.as_mut().expect("that is why we are here");
            let place = match footprints.find(&part) {
                Some(place) => place,
                None => self.add_part(tid, part, touch)?,
            };
            let footprints = self.footprints.as_mut().expect("that is why we are here");
            let now = self.cpus[cpu].now;
            let room = self.horizon.min(self.cpus[cpu].stop()).saturating_sub(now);
            if room == Picos::ZERO {
                break;
            }
            let is_calm = footprints.is_calm(place, is_write);
            let accesses = if is_calm { footprints.within(cpu, place, room, left) } else { 1 };
            if !is_calm {
                let vaddr = base + self.next_unit(tid, index, &mut state, pattern) * unit;
                if !self.fault_in(cpu, tid, place, vaddr, access)? {
                    break;
                }
            }
            left -= accesses;
            self.events += 1;
            self.pay_run(cpu, place, accesses, kind);
        }
        state.left = (left > 0).then_some(left);
        let is_over = state.left.is_none();
        if self.threads[tid.index()].is_alive() && !(is_over && state.cursor.is_none()) {
            self.tasks[tid.index()].put_visit(index, state);
        }
        Ok(if is_over { Step::Next } else { Step::Again })
    }

    /// The unit that is touched next, as long as pages may fault.
    #[inline(never)]
    fn next_unit(&self, tid: Tid, index: u32, state: &mut VisitState, pattern: &Pattern) -> u64 {
        let stream = u64::from(tid.0) << 32 | u64::from(index);
        let cursor = state.cursor.get_or_insert_with(|| Box::new(Cursor::new(pattern, state.units, self.seed, stream)));
        cursor.next(pattern)
    }

    /// A part that no touch has come to before.
    #[inline(never)]
    fn add_part(&mut self, tid: Tid, part: Part, touch: &TouchCode) -> Result<Place, RunError> {
        let region = self.kernel.vm().space(part.space).region(part.base >> 12);
        let profile = Profile {
            units: part.units,
            unit_bytes: part.unit,
            page: page_of(region.map_or(0, |region| region.page_order)),
            pattern: reuse_of(&touch.pattern),
            is_scattered: touch.pattern.is_scattered(),
            is_dependent: touch.is_dependent,
            is_write: touch.access == Access::Write,
            is_physical: false,
        };
        let is_shared = self.cpus.len() > 1 && self.threads[tid.index()].maker != Tid::NONE;
        let footprints = self.footprints.as_mut().expect("only this fidelity asks");
        Ok(footprints.add(part, &profile, is_shared)?)
    }

    /// Who runs makes so many accesses to a part.
    fn pay_run(&mut self, cpu: usize, place: Place, accesses: u64, kind: Kind) {
        let footprints = self.footprints.as_mut().expect("only this fidelity asks");
        let state = &mut self.cpus[cpu];
        let since = state.now.saturating_sub(state.switched);
        state.is_warm = false;
        if let Some(HitTime { user, walk }) = footprints.run_hits(cpu, place, accesses) {
            self.books.note_hits(accesses, since);
            state.pay(Account::User, user);
            state.pay(Account::Walk, walk);
            return;
        }
        let spent = footprints.run(cpu, place, accesses, kind);
        self.books.note_run(state.running, accesses, &spent, since);
        state.pay(Account::User, spent.user);
        state.pay(Account::Walk, spent.walk);
        state.pay(Account::Stall, spent.stalls.iter().copied().sum());
    }

    /// Accesses a page that may fault. Returns whether the process has survived it.
    #[inline(never)]
    fn fault_in(&mut self, cpu: usize, tid: Tid, place: Place, vaddr: u64, access: Access) -> Result<bool, RunError> {
        let pid = self.cpus[cpu].pid;
        self.kernel.set_now(self.cpus[cpu].now);
        match self.kernel.access(pid, vaddr, access) {
            Ok(touch) => {
                let has_faulted = touch.fault.is_some();
                if has_faulted {
                    self.settle(cpu);
                }
                let footprints = self.footprints.as_mut().expect("only this fidelity asks");
                footprints.note_access(&self.kernel, place, has_faulted, access == Access::Write);
                Ok(self.threads[tid.index()].is_alive())
            }
            Err(error) => {
                self.outcome::<()>(cpu, pid, Err(error))?;
                Ok(false)
            }
        }
    }
}

/// How a pattern uses its units again.
fn reuse_of(pattern: &Pattern) -> Reuse {
    match *pattern.order() {
        Order::Sequential => Reuse::Sequential,
        Order::Strided(stride) => Reuse::Strided(stride),
        Order::Uniform | Order::List(_) => Reuse::Uniform,
        Order::Zipf(skew) => Reuse::Zipf(skew),
        Order::Hot { fraction, probability } => Reuse::Hot { fraction, probability },
        Order::Chase => Reuse::Chase,
    }
}
