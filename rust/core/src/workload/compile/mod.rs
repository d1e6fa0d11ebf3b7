//! From ops to code. All rules that an op has to keep are held here.

mod check;
mod share;

pub(super) use check::attributes;

use check::{REGION_MAX, check_deadline, check_region, check_size, permissions_of, range};

use crate::base::{ConfigError, Picos};
use crate::workload::code::{
    Address, Attributes, CallCode, ChildKind, Code, Instruction, LoadCode, Mmap, ThreadCode, Time, TouchCode,
};
use crate::workload::distribution::Duration;
use crate::workload::op::{How, Op, Part, Serve, Thread, Touch};
use crate::workload::pattern::Pattern;
use crate::workload::sharing::{Access, Increment};
use std::collections::HashMap;

/// Bodies within bodies.
const DEPTH_MAX: usize = 32;

/// What a pipe holds: 16 pages, as Linux' do.
pub const PIPE_BYTES: u64 = 64 << 10;

/// The most that a task uses of stack: what Go's may grow to.
const STACK_MAX: u64 = 1 << 30;

impl Code {
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
