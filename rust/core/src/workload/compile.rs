//! From ops to code. All rules that an op has to keep are held here.

use super::code::{
    Address, Attributes, CallCode, ChildKind, Code, Instruction, LoadCode, Mmap, Range, ThreadCode, Time, TouchCode,
};
use super::distribution::Duration;
use super::locks::LockUse;
use super::op::{How, Op, Part, Serve, Thread, Touch};
use super::pattern::Pattern;
use super::sharing::{Access, Increment, ShareCode, Variable, VariableSpec};
use crate::base::{ConfigError, Picos};
use crate::memory::config::Size;
use crate::vm::address_space::Permissions;
use std::collections::{BTreeMap, HashMap};

/// Bodies within bodies.
const DEPTH_MAX: usize = 32;

/// The most tickets.
const SHARE_MAX: u32 = 1 << 24;

/// The most cpus of a machine.
const CPUS_MAX: u32 = 64;

/// What a pipe holds: 16 pages, as Linux' do.
pub const PIPE_BYTES: u64 = 64 << 10;

/// The most that a task uses of stack: what Go's may grow to.
const STACK_MAX: u64 = 1 << 30;

/// The largest region: that of user space.
const REGION_MAX: u64 = 1 << 47;

impl Code {
    /// Declares the shared variables of a scenario, before its programs are compiled.
    ///
    /// # Errors
    /// The first name that is none, with its path.
    pub fn declare(&mut self, variables: &BTreeMap<String, VariableSpec>) -> Result<(), ConfigError> {
        for (name, spec) in variables {
            let path = format!("variables.{name}");
            check_region(&path, name)?;
            let line = spec.line.as_ref().unwrap_or(name);
            let line = named(&mut self.lines, line, &format!("{path}.line"))?;
            self.variables.push(Variable { name: name.clone(), line, initial: spec.initial });
        }
        Ok(())
    }

    /// Compiles a program that ends with the process. Returns where it begins.
    ///
    /// # Errors
    /// The first rule that is broken, with its path and the value.
    pub fn compile(&mut self, program: &[Op], path: &str) -> Result<Address, ConfigError> {
        Compiler { code: self, depth: 0, orders: HashMap::new() }.program(program, path)
    }
}

/// A program that is compiled behind the one that starts it.
struct Later {
    /// The instruction that does.
    at: Address,
    program: Vec<Op>,
    path: String,
    /// What it does at its end.
    ends: Option<Instruction>,
}

impl Later {
    fn new(at: Address, program: Vec<Op>, path: String) -> Self {
        Self { at, program, path, ends: None }
    }
}

struct Compiler<'a> {
    code: &'a mut Code,
    depth: usize,
    /// By how a touch goes through its units: the first one that does so.
    orders: HashMap<String, Address>,
}

impl Compiler<'_> {
    /// A program, and behind it those of its children and new images.
    fn program(&mut self, program: &[Op], path: &str) -> Result<Address, ConfigError> {
        self.program_ending(program, path, None)
    }

    /// The same with one more instruction at its end.
    fn program_ending(
        &mut self,
        program: &[Op],
        path: &str,
        ends: Option<Instruction>,
    ) -> Result<Address, ConfigError> {
        let mut later = Vec::new();
        let start = self.here();
        let limited = ends.as_ref().and_then(|ends| self.limited(ends));
        if let Some(load) = limited {
            self.emit(Instruction::Expire { load, end: 0 });
        }
        self.body(program, path, &mut later)?;
        if let Some(last) = ends {
            self.emit(last);
        }
        let end = self.emit(Instruction::Finish);
        if let Some(load) = limited {
            self.code.instructions[start as usize] = Instruction::Expire { load, end };
        }
        for Later { at, program, path, ends } in later {
            let entry = self.program_ending(&program, &path, ends)?;
            match &mut self.code.instructions[at as usize] {
                Instruction::Child(_, address) => *address = Some(entry),
                Instruction::Thread(thread) | Instruction::Task(thread) => {
                    self.code.threads[*thread as usize].entry = Some(entry)
                }
                Instruction::Spawn(_, address) | Instruction::Exec(_, address) => *address = entry,
                other => unreachable!("{other:?} has no program"),
            }
        }
        Ok(start)
    }

    /// The load that a program answers, if its requests have a deadline.
    fn limited(&self, ends: &Instruction) -> Option<u32> {
        let &Instruction::Complete(load) = ends else { return None };
        self.code.loads.get(load as usize)?.deadline.map(|_| load)
    }

    fn body(&mut self, ops: &[Op], path: &str, later: &mut Vec<Later>) -> Result<(), ConfigError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ConfigError::new(path, format!("must not lie in more than {DEPTH_MAX} bodies"), "one more"));
        }
        for (index, op) in ops.iter().enumerate() {
            self.op(op, &format!("{path}[{index}]"), later)?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn op(&mut self, op: &Op, path: &str, later: &mut Vec<Later>) -> Result<(), ConfigError> {
        match op {
            Op::Compute { ns } => {
                let time = self.time(ns, path)?;
                self.emit(Instruction::Compute(time))
            }
            Op::Syscall { ns } => self.emit(Instruction::Syscall(*ns)),
            Op::Sleep { ns } => {
                let time = self.time(ns, path)?;
                self.emit(Instruction::Sleep(time))
            }
            Op::Io { ns } => {
                let time = self.time(ns, path)?;
                self.emit(Instruction::Io(time))
            }
            Op::Block { ns } => {
                let time = self.time(ns, path)?;
                self.emit(Instruction::Block(time))
            }
            Op::Call { to, policy } => {
                let (to, policy) = (to.clone(), policy.clone());
                self.code.calls.push(CallCode { to, policy, path: path.to_owned() });
                self.emit(Instruction::Call(index(self.code.calls.len() - 1)))
            }
            Op::Mmap { region, size, page_size, permissions, shared, address } => {
                check_region(path, region)?;
                check_size(&format!("{path}.size"), *size)?;
                if address.is_some_and(|address| address % 4096 != 0 || address >= REGION_MAX) {
                    let rule = "must be a multiple of 4096 in user space";
                    return Err(ConfigError::new(format!("{path}.address"), rule, address.unwrap_or(0)));
                }
                self.emit(Instruction::Mmap(Mmap {
                    region: region.clone(),
                    size: size.bytes(),
                    page_order: page_size.bits() - 12,
                    permissions: permissions_of(path, permissions)?,
                    is_shared: *shared,
                    address: *address,
                }))
            }
            Op::Munmap(part) => self.emit(Instruction::Munmap(range(path, part)?)),
            Op::Discard(part) => self.emit(Instruction::Discard(range(path, part)?)),
            Op::Mprotect { region, permissions, offset, size } => {
                let part = Part { region: region.clone(), offset: *offset, size: *size };
                let permissions = permissions_of(path, permissions)?;
                self.emit(Instruction::Mprotect(range(path, &part)?, permissions))
            }
            Op::Brk { size } => {
                if size.bytes() > REGION_MAX {
                    return Err(ConfigError::new(format!("{path}.size"), "must be at most 128TiB", size));
                }
                self.emit(Instruction::Brk(size.bytes()))
            }
            Op::Touch(touch) => self.touch(touch, path)?,
            Op::Fork { child } => self.child(ChildKind::Fork, child.as_ref(), path, later),
            Op::Vfork { child } => self.child(ChildKind::Vfork, child.as_ref(), path, later),
            Op::CloneVm { child } => self.child(ChildKind::CloneVm, child.as_ref(), path, later),
            Op::Thread(thread) => self.thread(thread, path, later)?,
            Op::Task(task) => {
                if task.stack.bytes() > STACK_MAX {
                    return Err(ConfigError::new(format!("{path}.stack"), "must be at most 1GiB", task.stack));
                }
                let name = task.name.as_deref().map(|name| named(&mut self.code.names, name, &format!("{path}.name")));
                let attributes = Attributes::default();
                let code = ThreadCode { entry: None, name: name.transpose()?, attributes, stack: task.stack.bytes() };
                self.code.threads.push(code);
                let at = self.emit(Instruction::Task(index(self.code.threads.len() - 1)));
                if let Some(child) = &task.child {
                    let ends = Some(Instruction::Complete(u32::MAX));
                    later.push(Later { ends, ..Later::new(at, child.clone(), format!("{path}.child")) });
                }
                at
            }
            Op::Serve(serve) => self.serve(serve, path, later)?,
            Op::Join { name } => {
                let name = name.as_deref().map(|name| named(&mut self.code.names, name, &format!("{path}.name")));
                self.emit(Instruction::Join(name.transpose()?))
            }
            Op::YieldNow {} => self.emit(Instruction::YieldNow),
            Op::Acquire { semaphore } => {
                let semaphore = named(&mut self.code.semaphores, semaphore, &format!("{path}.semaphore"))?;
                self.emit(Instruction::Acquire(semaphore))
            }
            Op::Release { semaphore } => {
                let semaphore = named(&mut self.code.semaphores, semaphore, &format!("{path}.semaphore"))?;
                self.emit(Instruction::Release(semaphore))
            }
            Op::Lock { lock } => {
                let lock = self.lock(lock, path, |known| &mut known.plain)?;
                self.emit(Instruction::Lock(lock))
            }
            Op::ReadLock { lock } => {
                let lock = self.lock(lock, path, |known| &mut known.shared)?;
                self.emit(Instruction::ReadLock(lock))
            }
            Op::WriteLock { lock } => {
                let lock = self.lock(lock, path, |known| &mut known.shared)?;
                self.emit(Instruction::WriteLock(lock))
            }
            Op::Unlock { lock } => {
                let lock = self.known_lock(lock, path)?;
                self.emit(Instruction::Unlock(lock))
            }
            Op::Destroy { lock } => {
                let lock = self.known_lock(lock, path)?;
                self.emit(Instruction::Destroy(lock))
            }
            Op::Wait { condition, lock } => {
                let lock = self.lock(lock, path, |known| &mut known.waited)?;
                let condition = named(&mut self.code.conditions, condition, &format!("{path}.condition"))?;
                self.emit(Instruction::Await(condition, lock))
            }
            Op::Signal { condition } => {
                let condition = named(&mut self.code.conditions, condition, &format!("{path}.condition"))?;
                self.emit(Instruction::Signal(condition))
            }
            Op::Broadcast { condition } => {
                let condition = named(&mut self.code.conditions, condition, &format!("{path}.condition"))?;
                self.emit(Instruction::Broadcast(condition))
            }
            Op::Barrier { barrier, parties } => {
                let barrier = self.barrier(barrier, *parties, path)?;
                self.emit(Instruction::Barrier(barrier))
            }
            Op::Send { channel, bytes } => {
                if !(1..=PIPE_BYTES).contains(bytes) {
                    let rule = format!("must be 1 to {PIPE_BYTES}, what a pipe holds");
                    return Err(ConfigError::new(format!("{path}.bytes"), rule, bytes));
                }
                let channel = named(&mut self.code.channels, channel, &format!("{path}.channel"))?;
                self.emit(Instruction::Send(channel, *bytes))
            }
            Op::Recv { channel } => {
                let channel = named(&mut self.code.channels, channel, &format!("{path}.channel"))?;
                self.emit(Instruction::Recv(channel))
            }
            Op::Increment { variable, how, lock, times, work_ns } => {
                let increment = match how {
                    How::Locked => {
                        let lock = lock.as_ref().unwrap_or(variable);
                        return self.increment_under_lock(variable, lock, *times, *work_ns, path);
                    }
                    How::Plain => Increment::Plain,
                    How::Split => Increment::Split,
                    How::Atomic => Increment::Atomic,
                    How::CompareExchange => Increment::CompareExchange,
                };
                if let Some(lock) = lock {
                    let rule = "must be absent but for how = locked";
                    return Err(ConfigError::new(format!("{path}.lock"), rule, lock));
                }
                self.share(Access::Increment(increment), Some(variable), *times, *work_ns, path)?
            }
            Op::Load { variable, times, atomic, work_ns } => {
                let at = self.share(Access::Load, Some(variable), *times, *work_ns, path)?;
                self.order(*atomic);
                at
            }
            Op::Store { variable, value, times, atomic, work_ns } => {
                let at = self.share(Access::Store(*value), Some(variable), *times, *work_ns, path)?;
                self.order(*atomic);
                at
            }
            Op::Add { value } => self.share(Access::Add(*value), None, 1, Picos::ZERO, path)?,
            Op::SpinUntil { variable, value } => {
                self.share(Access::SpinUntil(*value), Some(variable), 1, Picos::ZERO, path)?
            }
            Op::Fence {} => self.share(Access::Fence, None, 1, Picos::ZERO, path)?,
            Op::Spawn { name, program } => {
                let at = self.emit(Instruction::Spawn(name.clone(), 0));
                later.push(Later::new(at, program.clone(), format!("{path}.program")));
                at
            }
            Op::Exec { name, program } => {
                let at = self.emit(Instruction::Exec(name.clone(), 0));
                later.push(Later::new(at, program.clone(), format!("{path}.program")));
                at
            }
            Op::Exit { code } => self.emit(Instruction::Exit(*code)),
            Op::WaitChild {} => self.emit(Instruction::Wait { all: false }),
            Op::WaitChildren {} => self.emit(Instruction::Wait { all: true }),
            Op::Kill {} => self.emit(Instruction::Kill),
            Op::Repeat { times, body } => {
                let head = self.emit(Instruction::Loop { times: *times, end: 0 });
                let start = self.here();
                self.body(body, &format!("{path}.body"), later)?;
                self.emit(Instruction::Next { start });
                let end = self.here();
                self.code.instructions[head as usize] = Instruction::Loop { times: *times, end };
                head
            }
            Op::Choose { weights, bodies } => self.choose(weights, bodies, path, later)?,
            Op::Measure { name, body } => {
                let measure = named(&mut self.code.measures, name, path)?;
                self.emit(Instruction::Begin(measure));
                self.body(body, &format!("{path}.body"), later)?;
                self.emit(Instruction::End(measure))
            }
            Op::Deadline { ns, body } => {
                check_deadline(&format!("{path}.ns"), *ns)?;
                self.emit(Instruction::BeginDeadline(*ns));
                self.body(body, &format!("{path}.body"), later)?;
                self.emit(Instruction::EndDeadline)
            }
        };
        Ok(())
    }

    /// A loop of taking a lock, an increment, and giving it back.
    fn increment_under_lock(
        &mut self,
        variable: &String,
        lock: &str,
        times: u64,
        work: Picos,
        path: &str,
    ) -> Result<(), ConfigError> {
        let lock = self.lock(lock, path, |known| &mut known.plain)?;
        let head = self.emit(Instruction::Loop { times, end: 0 });
        let start = self.here();
        self.emit(Instruction::Lock(lock));
        self.share(Access::Increment(Increment::Plain), Some(variable), 1, Picos::ZERO, path)?;
        self.emit(Instruction::Unlock(lock));
        if work > Picos::ZERO {
            self.emit(Instruction::Compute(Time::Fixed(work)));
        }
        self.emit(Instruction::Next { start });
        let end = self.here();
        self.code.instructions[head as usize] = Instruction::Loop { times, end };
        Ok(())
    }

    fn child(&mut self, kind: ChildKind, child: Option<&Vec<Op>>, path: &str, later: &mut Vec<Later>) -> Address {
        let at = self.emit(Instruction::Child(kind, None));
        if let Some(child) = child {
            later.push(Later::new(at, child.clone(), format!("{path}.child")));
        }
        at
    }

    fn thread(&mut self, thread: &Thread, path: &str, later: &mut Vec<Later>) -> Result<Address, ConfigError> {
        let name = thread.name.as_deref().map(|name| named(&mut self.code.names, name, &format!("{path}.name")));
        let Thread { nice, tickets, priority, ref affinity, .. } = *thread;
        let attributes = attributes(path, nice, tickets, priority, affinity.as_deref())?;
        self.code.threads.push(ThreadCode { entry: None, name: name.transpose()?, attributes, stack: 0 });
        let at = self.emit(Instruction::Thread(index(self.code.threads.len() - 1)));
        if let Some(child) = &thread.child {
            later.push(Later::new(at, child.clone(), format!("{path}.child")));
        }
        Ok(at)
    }

    /// The index of a lock. `how` is where the first op of its sort is noted.
    fn lock(
        &mut self,
        name: &str,
        path: &str,
        how: fn(&mut LockUse) -> &mut Option<String>,
    ) -> Result<u32, ConfigError> {
        let lock = self.known_lock(name, path)?;
        how(&mut self.code.locks[lock as usize]).get_or_insert_with(|| path.to_owned());
        Ok(lock)
    }

    fn known_lock(&mut self, name: &str, path: &str) -> Result<u32, ConfigError> {
        check_region(&format!("{path}.lock"), name)?;
        let locks = &mut self.code.locks;
        let known = locks.iter().position(|known| known.name == name);
        Ok(index(known.unwrap_or_else(|| {
            locks.push(LockUse { name: name.to_owned(), ..LockUse::default() });
            locks.len() - 1
        })))
    }

    fn barrier(&mut self, name: &str, parties: u32, path: &str) -> Result<u32, ConfigError> {
        check_region(&format!("{path}.barrier"), name)?;
        if parties == 0 {
            return Err(ConfigError::new(format!("{path}.parties"), "must be at least 1", parties));
        }
        let barriers = &mut self.code.barriers;
        let known = barriers.iter().position(|(known, _)| known == name);
        let place = known.unwrap_or_else(|| {
            barriers.push((name.to_owned(), parties));
            barriers.len() - 1
        });
        let expected = barriers[place].1;
        if expected != parties {
            let rule = format!("must be {expected}, as elsewhere for barrier {name}");
            return Err(ConfigError::new(format!("{path}.parties"), rule, parties));
        }
        Ok(index(place))
    }

    /// A loop over the requests of a load, with a task for each; behind it all of them are waited for.
    fn serve(&mut self, serve: &Serve, path: &str, later: &mut Vec<Later>) -> Result<Address, ConfigError> {
        serve.load.check(&format!("{path}.load"))?;
        check_region(&format!("{path}.name"), &serve.name)?;
        if let Some(deadline) = serve.deadline_ns {
            check_deadline(&format!("{path}.deadline_ns"), deadline)?;
        }
        let load = index(self.code.loads.len());
        self.code.loads.push(LoadCode {
            name: serve.name.clone(),
            load: serve.load.clone(),
            deadline: serve.deadline_ns,
            path: format!("{path}.load"),
        });
        let stack = serve.stack.bytes();
        if stack > STACK_MAX {
            return Err(ConfigError::new(format!("{path}.stack"), "must be at most 1GiB", serve.stack));
        }
        self.code.threads.push(ThreadCode { entry: None, name: None, attributes: Attributes::default(), stack });
        let head = self.emit(Instruction::Accept { load, end: 0 });
        let at = self.emit(Instruction::Task(index(self.code.threads.len() - 1)));
        let ends = Some(Instruction::Complete(load));
        later.push(Later { ends, ..Later::new(at, serve.request.clone(), format!("{path}.request")) });
        self.emit(Instruction::Jump(head));
        let end = self.emit(Instruction::Join(None));
        self.code.instructions[head as usize] = Instruction::Accept { load, end };
        Ok(head)
    }

    fn choose(
        &mut self,
        weights: &[u32],
        bodies: &[Vec<Op>],
        path: &str,
        later: &mut Vec<Later>,
    ) -> Result<Address, ConfigError> {
        let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        if weights.len() != bodies.len() || !(1..=u64::from(u32::MAX)).contains(&total) {
            let rule = format!("must be one number for each of the {} bodies, not all 0", bodies.len());
            return Err(ConfigError::new(format!("{path}.weights"), rule, format!("{weights:?}")));
        }
        let head = self.emit(Instruction::Choose(Vec::new()));
        let (mut places, mut ends) = (Vec::new(), Vec::new());
        for (index, (body, &weight)) in bodies.iter().zip(weights).enumerate() {
            places.push((weight, self.here()));
            self.body(body, &format!("{path}.bodies[{index}]"), later)?;
            ends.push(self.emit(Instruction::Jump(0)));
        }
        let end = self.here();
        for jump in ends {
            self.code.instructions[jump as usize] = Instruction::Jump(end);
        }
        self.code.instructions[head as usize] = Instruction::Choose(places);
        Ok(head)
    }

    fn time(&mut self, ns: &Duration, path: &str) -> Result<Time, ConfigError> {
        if let Some(time) = ns.fixed() {
            return Ok(Time::Fixed(time));
        }
        self.code.samplers.push(ns.sampler(&format!("{path}.ns"))?);
        Ok(Time::Drawn(index(self.code.samplers.len() - 1)))
    }

    fn touch(&mut self, touch: &Touch, path: &str) -> Result<Address, ConfigError> {
        let part = Part { region: touch.region.clone(), offset: touch.offset, size: touch.size };
        let unit = touch.unit.bytes();
        if !(1..=1 << 30).contains(&unit) {
            return Err(ConfigError::new(format!("{path}.unit"), "must be page, line or 1 to 2^30 bytes", unit));
        }
        let code = TouchCode {
            range: range(path, &part)?,
            access: touch.access,
            unit,
            count: touch.count,
            pattern: Pattern::new(touch, path)?,
            is_dependent: touch.dependent,
        };
        let touch = index(self.code.touches.len());
        let order = format!("{:?} {} {}", code.pattern.order(), code.pattern.is_scattered(), code.is_dependent);
        self.code.orders.push(*self.orders.entry(order).or_insert(touch));
        self.code.touches.push(code);
        Ok(self.emit(Instruction::Touch(touch)))
    }

    fn share(
        &mut self,
        access: Access,
        variable: Option<&String>,
        times: u64,
        work: Picos,
        path: &str,
    ) -> Result<Address, ConfigError> {
        let variable = match variable {
            Some(name) => self.variable(name, &format!("{path}.variable"))?,
            None => 0,
        };
        self.code.shares.push(ShareCode { access, variable, times, is_atomic: false, work, path: path.to_owned() });
        Ok(self.emit(Instruction::Share(index(self.code.shares.len() - 1))))
    }

    /// Says whether the access that was just emitted orders threads.
    fn order(&mut self, is_atomic: bool) {
        self.code.shares.last_mut().expect("an access was emitted").is_atomic = is_atomic;
    }

    /// The index of a variable. One that is not declared is made.
    fn variable(&mut self, name: &str, path: &str) -> Result<u32, ConfigError> {
        if let Some(known) = self.code.variables.iter().position(|known| known.name == name) {
            return Ok(index(known));
        }
        let line = named(&mut self.code.lines, name, path)?;
        self.code.variables.push(Variable { name: name.to_owned(), line, initial: 0 });
        Ok(index(self.code.variables.len() - 1))
    }

    fn emit(&mut self, instruction: Instruction) -> Address {
        let at = self.here();
        self.code.instructions.push(instruction);
        at
    }

    fn here(&self) -> Address {
        index(self.code.instructions.len())
    }
}

fn index(length: usize) -> u32 {
    u32::try_from(length).expect("a program that fits into memory has below 2^32 parts")
}

/// The index of a name, which is added if it is new.
fn named(names: &mut Vec<String>, name: &str, path: &str) -> Result<u32, ConfigError> {
    check_region(path, name)?;
    let known = names.iter().position(|known| known == name);
    Ok(index(known.unwrap_or_else(|| {
        names.push(name.to_owned());
        names.len() - 1
    })))
}

/// Checks what a scheduler is to be told of a thread.
///
/// # Errors
/// The first rule that is broken, with its path and the value.
pub(super) fn attributes(
    path: &str,
    nice: Option<i32>,
    tickets: Option<u32>,
    priority: Option<u32>,
    affinity: Option<&[u32]>,
) -> Result<Attributes, ConfigError> {
    if let Some(nice) = nice.filter(|nice| !(-20..=19).contains(nice)) {
        return Err(ConfigError::new(format!("{path}.nice"), "must be -20 to 19", nice));
    }
    if let Some(tickets) = tickets.filter(|tickets| !(1..=SHARE_MAX).contains(tickets)) {
        return Err(ConfigError::new(format!("{path}.tickets"), "must be 1 to 2^24", tickets));
    }
    let mut mask = 0;
    for cpu in affinity.unwrap_or_default() {
        if *cpu >= CPUS_MAX {
            return Err(ConfigError::new(format!("{path}.affinity"), "must name cpus below 64", cpu));
        }
        mask |= 1_u64 << cpu;
    }
    if affinity.is_some() && mask == 0 {
        return Err(ConfigError::new(format!("{path}.affinity"), "must name at least one cpu", "[]"));
    }
    Ok(Attributes {
        nice: nice.map(|nice| i8::try_from(nice).expect("a nice value")),
        tickets,
        priority,
        affinity: affinity.map(|_| mask),
    })
}

fn check_region(path: &str, name: &str) -> Result<(), ConfigError> {
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        let rule = "must have a name of 1 to 64 printable characters";
        return Err(ConfigError::new(path, rule, format!("{name:?}")));
    }
    Ok(())
}

fn check_size(path: &str, size: Size) -> Result<(), ConfigError> {
    if !(1..=REGION_MAX).contains(&size.bytes()) {
        return Err(ConfigError::new(path, "must be 1B to 128TiB", size));
    }
    Ok(())
}

fn permissions_of(path: &str, text: &str) -> Result<Permissions, ConfigError> {
    let wrong = || ConfigError::new(format!("{path}.permissions"), "must be made of the letters r, w, x and -", text);
    Permissions::parse(text).ok_or_else(wrong)
}

fn range(path: &str, part: &Part) -> Result<Range, ConfigError> {
    check_region(path, &part.region)?;
    if let Some(size) = part.size {
        check_size(&format!("{path}.size"), size)?;
    }
    Ok(Range { region: part.region.clone(), offset: part.offset.bytes(), size: part.size.map(Size::bytes) })
}

fn check_deadline(path: &str, time: Picos) -> Result<(), ConfigError> {
    if time == Picos::ZERO {
        return Err(ConfigError::new(path, "must be above 0", 0));
    }
    Ok(())
}
