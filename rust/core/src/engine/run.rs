//! The run of a scenario: which cpu goes on, and until when.

use super::addresses::Addresses;
use super::books::Books;
use super::calls::Calls;
use super::channels::{Channel, channels};
use super::cpu::{Cpu, Limit};
use super::error::RunError;
use super::event_log::EventLog;
use super::footprints::Footprints;
use super::latency::Latencies;
use super::loads::Requests;
use super::locks::Locks;
use super::measure::{ForkRecord, Measure, Waits};
use super::options::RunOptions;
use super::prepare::{check_affinities, share, tasks_of};
use super::queues::Queues;
use super::races::Races;
use super::regions::Regions;
use super::sync::{Named, Semaphore};
use super::task::{Alarm, Task, Wait};
use super::tasks::Runtime;
use super::threads::Group;
use super::turns::{First, Turns};
use super::words::Words;
use crate::base::{ConfigError, Picos};
use crate::kernel::{Account, INIT, Kernel, KernelError, KernelOptions, Pid, Share, State, Thread, Tid};
use crate::memory::Causes;
use crate::memory::config::MachineConfig;
use crate::memory::hash::NumberMap;
use crate::sched::Scheduler;
use crate::workload::scenario::Fidelity;
use crate::workload::{Code, Scenario};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// How far a cpu may run ahead of the others.
const WINDOW: Picos = Picos::from_nanos(1000);

/// The same where memory is simulated by working sets: runs of accesses then do nothing that others could see.
const WINDOW_FOOTPRINT: Picos = Picos::from_nanos(20_000);

/// Processes at the start of a scenario.
const PROCESSES_MAX: u32 = 1 << 20;

/// A process that starts later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Start {
    time: Picos,
    index: usize,
    copies: u32,
}

/// A scenario that runs.
#[derive(Debug)]
pub struct Run {
    pub(super) scenario: Scenario,
    pub(super) machine: MachineConfig,
    pub(super) seed: u64,
    pub(super) code: Arc<Code>,
    pub(super) kernel: Kernel,
    pub(super) cpus: Vec<Cpu>,
    /// All threads that ever were, and where they are in their programs.
    pub(super) threads: Vec<Thread>,
    pub(super) tasks: Vec<Task>,
    pub(super) groups: BTreeMap<Pid, Group>,
    /// What programs call their memory.
    pub(super) regions: Regions,
    /// Threads that wait for children of their process.
    pub(super) parents: BTreeMap<Pid, Vec<Tid>>,
    pub(super) named: BTreeMap<(Pid, u32), Named>,
    pub(super) semaphores: Vec<Semaphore>,
    pub(super) channels: Vec<Channel>,
    pub(super) locks: Locks,
    pub(super) queues: Queues,
    /// Shared variables.
    pub(super) words: Words,
    /// Races, if they are looked for.
    pub(super) races: Option<Box<Races>>,
    /// What happens to tasks, if that is kept.
    pub(super) event_log: Option<Box<EventLog>>,
    pub(super) alive: u32,
    pub(super) alive_peak: u32,
    /// Threads that could not be made.
    pub(super) refusals: u64,
    /// Who waits for a time. Ties go to who began to wait first.
    sleepers: BinaryHeap<Reverse<(Picos, u64, Tid, Alarm)>>,
    sequence: u64,
    /// Processes that start later, latest first.
    starts: Vec<Start>,
    entries: Vec<u32>,
    shares: Vec<Share>,
    pub(super) measures: Vec<Measure>,
    pub(super) forks: Vec<ForkRecord>,
    /// By kind: waits for what is not of this machine.
    pub(super) outside: [Waits; 2],
    /// From being ready to running.
    pub(super) latencies: Latencies,
    pub(super) events: u64,
    pub(super) loads: Vec<Requests>,
    /// Dependencies, and who calls them.
    pub(super) calls: Calls,
    /// By who accepted it: a request that has no task yet, its load, and when it arrived.
    pub(super) accepted: NumberMap<Tid, (u32, Picos)>,
    /// Who answers requests, and of which load.
    pub(super) answering: NumberMap<Tid, u32>,
    /// The cpu of who makes a task at this moment.
    pub(super) makes_task: Option<usize>,
    /// Tasks so far, and from when each was made, or its request arrived, to its end.
    pub(super) tasks_made: u32,
    pub(super) task_latencies: Latencies,
    /// Who has the tasks of a process, while that lives; and afterwards.
    pub(super) runtime: Option<Box<Runtime>>,
    pub(super) ended_runtime: Option<Box<Runtime>>,
    /// By process of the scenario: whether its program makes tasks.
    has_tasks: Vec<bool>,
    /// Caches and TLBs, if every access goes there.
    pub(super) memory: Option<Addresses>,
    /// Working sets, if memory is simulated by them.
    pub(super) footprints: Option<Footprints>,
    /// Why memory was waited for.
    pub(super) books: Books,
    pub(super) tracks_causes: bool,
    /// An access that hits the first cache.
    pub(super) hit: Picos,
    /// The cpu that runs, which the caller's limits may have stopped on its way.
    pub(super) interrupted: Option<usize>,
    /// Whose turn it is next.
    pub(super) turns: Turns,
    /// Up to when it may run without looking at others: what it does to them may bring that nearer.
    pub(super) horizon: Picos,
    /// Before when no other cpu can do anything: up to then it is the first everywhere.
    pub(super) turn: Picos,
    is_over: bool,
}

impl Run {
    /// Prepares a scenario on a machine.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(machine: MachineConfig, scenario: Scenario, options: &RunOptions) -> Result<Self, RunError> {
        Self::under(machine, scenario, options, None)
    }

    /// The same under a policy of the caller's: `queue` makes a run queue by its number.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn under(
        machine: MachineConfig,
        scenario: Scenario,
        options: &RunOptions,
        queue: Option<&mut dyn FnMut(u64) -> Box<dyn Scheduler + Send>>,
    ) -> Result<Self, RunError> {
        machine.check()?;
        KernelOptions::check_machine(&machine)?;
        let seed = options.seed;
        let mut code = Code::default();
        code.declare(&scenario.variables)?;
        let (mut entries, mut attributes) = (Vec::new(), Vec::new());
        for (index, process) in scenario.processes.iter().enumerate() {
            let path = format!("processes[{index}]");
            entries.push(code.compile(&process.program, &format!("{path}.program"))?);
            attributes.push(process.attributes(&path)?);
            if process.copies > PROCESSES_MAX {
                return Err(ConfigError::new(format!("{path}.copies"), "must be at most 2^20", process.copies).into());
            }
        }
        let has_tasks = tasks_of(&scenario, &code, &entries)?;
        let has_affinity = check_affinities(&machine, &attributes, &code)?;
        let is_per_cpu = scenario.kernel.is_per_cpu(has_affinity)?;
        let count = if is_per_cpu { machine.cpus } else { 1 };
        let list = (0..u64::from(count)).map(|index| scenario.kernel.scheduler.queue(machine.cpus, seed, index));
        let list = match queue {
            Some(queue) => (0..u64::from(count)).map(queue).collect(),
            None => list.collect(),
        };
        let loads = Requests::all(&code, seed)?;
        let calls = Calls::new(&scenario, &code, seed)?;
        let kernel_options = KernelOptions { seed, ..scenario.kernel.clone() };
        let kernel = Kernel::new(&machine, &kernel_options).map_err(KernelError::Exhausted)?;
        let mut starts: Vec<Start> = scenario
            .processes
            .iter()
            .enumerate()
            .map(|(index, process)| Start { time: process.start_ns, index, copies: process.copies })
            .collect();
        starts.sort_by_key(|&start| Reverse((start.time, start.index)));
        let cycles = machine.caches.first().map_or(1, |_| machine.latency_cycles_of(0));
        Ok(Self {
            hit: Picos::from_cycles(u64::from(cycles), machine.frequency_mhz),
            memory: (scenario.memory == Fidelity::Addresses).then(|| Addresses::new(&machine, options.causes, seed)),
            tracks_causes: options.causes,
            footprints: match scenario.memory {
                Fidelity::Footprint => Some(Footprints::new(&machine)?),
                Fidelity::None | Fidelity::Addresses => None,
            },
            books: Books::new(
                Addresses::beyond(&machine),
                (0..machine.caches.len()).filter(|&level| machine.caches[level].stream_kind().takes_data()).collect(),
            ),
            measures: vec![Measure::default(); code.measures.len()],
            semaphores: vec![Semaphore::default(); code.semaphores.len()],
            channels: channels(&scenario, &code)?,
            locks: Locks::new(&machine, &scenario, &code, seed)?,
            cpus: vec![Cpu::new(machine.kernel.switch.asids); machine.cpus as usize],
            queues: Queues::new(list),
            words: Words::new(&machine, &code),
            races: options.races.then(|| Box::new(Races::new(code.variables.len()))),
            event_log: (options.event_log_max > 0).then(|| Box::new(EventLog::new(options.event_log_max))),
            code: Arc::new(code),
            kernel,
            threads: Vec::new(),
            tasks: Vec::new(),
            groups: BTreeMap::new(),
            regions: Regions::default(),
            parents: BTreeMap::new(),
            named: BTreeMap::new(),
            alive: 0,
            alive_peak: 0,
            refusals: 0,
            sleepers: BinaryHeap::new(),
            sequence: 0,
            starts,
            shares: attributes.iter().map(|attributes| share(Share::default(), attributes)).collect(),
            forks: Vec::new(),
            outside: [Waits::default(); 2],
            latencies: Latencies::default(),
            events: 0,
            entries,
            loads,
            calls,
            accepted: NumberMap::default(),
            answering: NumberMap::default(),
            makes_task: None,
            tasks_made: 0,
            task_latencies: Latencies::default(),
            runtime: None,
            ended_runtime: None,
            has_tasks,
            interrupted: None,
            turns: Turns::new(machine.cpus as usize),
            horizon: Picos::NEVER,
            turn: Picos::NEVER,
            is_over: false,
            scenario,
            machine,
            seed,
        })
    }

    /// The kernel as it is now.
    pub fn kernel(&mut self) -> &Kernel {
        self.show();
        &self.kernel
    }

    /// The earliest time at which something can still happen.
    pub fn now(&self) -> Picos {
        self.cpus.iter().filter(|cpu| cpu.running.is_some()).map(|cpu| cpu.now).min().unwrap_or_else(|| self.elapsed())
    }

    /// Steps so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How far the furthest cpu is.
    pub fn elapsed(&self) -> Picos {
        self.cpus.iter().map(|cpu| cpu.now).max().unwrap_or_default()
    }

    /// Whether misses are told apart.
    pub(super) fn has_books(&self) -> bool {
        self.footprints.is_some() || (self.memory.is_some() && self.tracks_causes)
    }

    /// Whether everything has happened.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Runs on by about so many steps, but not beyond a time. Returns whether the run is over, or that time reached.
    ///
    /// # Errors
    /// A program that asks for what cannot be.
    pub fn advance(&mut self, budget: u64, until: Picos) -> Result<bool, RunError> {
        let until = self.scenario.until_ns.map_or(until, |end| end.min(until));
        let stop = self.events.saturating_add(budget);
        // Counting who has it is an atomic operation: too long for each stretch of a program.
        let code = Arc::clone(&self.code);
        while self.events < stop {
            if self.events > self.scenario.events_max {
                let (name, events, at) = (self.scenario.name.clone(), self.scenario.events_max, self.now());
                return Err(RunError::Events { name, events, at });
            }
            if let Some(cpu) = self.interrupted {
                if self.cpus[cpu].now >= until {
                    return Ok(true);
                }
                self.run_cpu(cpu, &code, Limit { until, events: stop })?;
                continue;
            }
            self.start_due();
            let busy = self.next_cpu();
            let event = self.next_event();
            match (busy, event) {
                (None, None) => {
                    if self.queues.waiting() > 0 {
                        return Err(RunError::Stuck { at: self.elapsed(), waiting: self.queues.waiting() });
                    }
                    self.is_over = true;
                    return Ok(true);
                }
                (Some(First { time, .. }), Some(event)) if event <= time => self.happen(event, until),
                (None, Some(event)) => self.happen(event, until),
                (Some(first), _) => {
                    let First { time, cpu, .. } = first;
                    // Who runs spins, and nobody will ever stop it.
                    if time == Picos::NEVER {
                        self.is_over = true;
                        return Ok(true);
                    }
                    if time >= until {
                        return Ok(true);
                    }
                    if self.spins_for_ever(cpu) && event.is_none() && self.only_spins() {
                        self.is_over = true;
                        return Ok(true);
                    }
                    self.interrupted = Some(cpu);
                    self.horizon = self.horizon_of(&first, event);
                    // Ties go to the lower number.
                    self.turn = first.below.min(first.above + Picos(1));
                    continue;
                }
            };
            if event.is_some_and(|event| event > until) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets what is due happen, unless that is beyond a time.
    fn happen(&mut self, event: Picos, until: Picos) {
        if event <= until {
            self.wake_due(event);
        }
    }

    /// Up to when a cpu may run without looking at anything else.
    fn horizon_of(&self, first: &First, event: Option<Picos>) -> Picos {
        let ahead = first.below.min(first.above) + self.window();
        ahead.min(event.unwrap_or(Picos::NEVER)).max(self.cpus[first.cpu].now + Picos(1))
    }

    pub(super) fn window(&self) -> Picos {
        if self.footprints.is_some() { WINDOW_FOOTPRINT } else { WINDOW }
    }

    /// When the next thing happens by itself.
    pub(super) fn next_event(&self) -> Option<Picos> {
        let sleeper = self.sleepers.peek().map(|&Reverse((time, ..))| time);
        let start = self.starts.last().map(|start| start.time);
        // What happens at dependencies is of interest while there is anybody who could call.
        let call = self.calls.next_event().filter(|_| self.alive > 0);
        sleeper.into_iter().chain(start).chain(call).min()
    }

    /// Starts processes whose time has come before any cpu has done anything else.
    fn start_due(&mut self) {
        while self.starts.last().is_some_and(|start| start.time == Picos::ZERO) {
            self.start_next();
        }
    }

    fn start_next(&mut self) {
        let Some(Start { time, index, copies }) = self.starts.pop() else { return };
        self.kernel.set_now(time);
        let name = self.scenario.processes[index].name.clone();
        for copy in 0..copies {
            // Who starts a scenario's first processes is not part of it: nobody pays for that.
            match self.kernel.spawn(INIT, &name) {
                Ok(pid) => self.start_process(pid, index, time),
                Err(error) => {
                    let left = copies - copy;
                    self.kernel.note(format!("{name} could not start, {left} of {copies} are missing: {error}"));
                    break;
                }
            }
        }
        self.kernel.take_bill();
    }

    /// The first thread of a process: one that runs its program, or a runtime that does.
    fn start_process(&mut self, pid: Pid, index: usize, time: Picos) {
        let (task, share) = (Task::new(self.entries[index]), self.shares[index]);
        match self.scenario.model.clone().filter(|model| model.has_runtime() && self.has_tasks[index]) {
            Some(model) => self.start_runtime(pid, model, task, share, time),
            None => {
                self.add_first(pid, task, share, time, None);
            }
        }
    }

    /// Lets everything happen that is due at a time.
    fn wake_due(&mut self, time: Picos) {
        self.serve_due(time);
        while self.starts.last().is_some_and(|start| start.time <= time) {
            self.start_next();
        }
        while let Some(&Reverse((wake, _, tid, alarm))) = self.sleepers.peek() {
            if wake > time {
                break;
            }
            self.sleepers.pop();
            self.events += 1;
            let waits = self.tasks[tid.index()].waits;
            let is_due = match alarm {
                Alarm::Time => waits == Wait::Time,
                Alarm::Poll => waits == Wait::Poll && self.poll_is_due(tid, wake),
                Alarm::Request => self.is_asked(tid, waits, wake),
            };
            if self.threads[tid.index()].state == State::Waiting && is_due {
                self.wake_for_free(tid, wake, None);
            }
        }
    }

    /// Runs what a cpu has up to its horizon, or until it blocks, ends or has to make room. Where the caller's limits come
    /// first it goes on from there the next time, so that they change nothing.
    fn run_cpu(&mut self, cpu: usize, code: &Code, limit: Limit) -> Result<(), RunError> {
        self.turns.change(cpu);
        let Some(tid) = self.cpus[cpu].running else {
            // Another cpu ended it, and there is nobody else.
            self.interrupted = None;
            return Ok(());
        };
        let goes_on =
            if self.cpus[cpu].now < self.cpus[cpu].stop() { self.run_thread(cpu, tid, code, limit)? } else { true };
        if self.cpus[cpu].now > Picos::RUN_MAX {
            return Err(RunError::Time { name: self.scenario.name.clone() });
        }
        if self.cpus[cpu].running != Some(tid) {
            self.interrupted = None;
            return Ok(());
        }
        if !goes_on {
            self.interrupted = None;
            if self.threads[tid.index()].is_alive() {
                self.block(cpu);
            } else {
                self.drop_ended(cpu);
            }
            self.fill(cpu, Picos::ZERO);
            return Ok(());
        }
        if self.cpus[cpu].now >= self.cpus[cpu].stop() {
            self.events += 1;
            self.interrupt(cpu);
            if self.cpus[cpu].running.is_none() {
                self.interrupted = None;
                self.fill(cpu, Picos::ZERO);
            }
        }
        if self.cpus[cpu].now >= self.horizon {
            self.interrupted = None;
        }
        Ok(())
    }

    /// Lets a cpu that computes do so up to a time.
    #[inline(always)]
    pub(super) fn catch_up(&mut self, cpu: usize, at: Picos) {
        let state = &mut self.cpus[cpu];
        let Some(tid) = state.executed() else { return };
        let task = &mut self.tasks[tid.index()];
        let time = at.min(state.stop()).saturating_sub(state.now).min(task.left);
        if time > Picos::ZERO {
            if task.account == Account::Spin && !task.is_within {
                let is_trying = task.is_trying;
                self.pay_left(cpu, tid, time);
                if is_trying {
                    self.note_spin(tid, time);
                }
                return;
            }
            // A computation that is over is not begun again.
            task.next += u32::from(task.left == time && !task.is_within);
            self.pay_left(cpu, tid, time);
        }
    }

    /// Pays a part of what is left of who runs.
    pub(super) fn pay_left(&mut self, cpu: usize, tid: Tid, part: Picos) {
        let task = &mut self.tasks[tid.index()];
        task.left = task.left - part;
        let account = task.account;
        if account == Account::Stall {
            self.pay_stall(cpu, part);
        } else {
            self.cpus[cpu].pay(account, part);
        }
    }

    /// Waits for a line that another cpu has.
    pub(super) fn pay_stall(&mut self, cpu: usize, part: Picos) {
        let since = self.cpus[cpu].now.saturating_sub(self.cpus[cpu].switched);
        self.cpus[cpu].pay(Account::Stall, part);
        if self.memory.is_some() || self.footprints.is_some() {
            self.books.note(self.cpus[cpu].running, Causes::default(), part, since);
        }
    }

    /// A thread does nothing until a time.
    pub(super) fn sleep_until(&mut self, tid: Tid, time: Picos, alarm: Alarm) {
        self.sequence += 1;
        self.sleepers.push(Reverse((time, self.sequence, tid, alarm)));
    }

    /// Gives back what only a run that goes on needs.
    pub(super) fn let_go(&mut self) {
        self.queues = Queues::new(Vec::new());
        self.sleepers = BinaryHeap::new();
        if let Some(runtime) = self.runtime.as_mut().or(self.ended_runtime.as_mut()) {
            runtime.let_go();
        }
    }

    /// Lets all cpus compute up to the time that a caller asked for.
    pub fn catch_up_to(&mut self, until: Picos) {
        for cpu in 0..self.cpus.len() {
            self.catch_up(cpu, until);
            self.charge(cpu);
        }
    }
}
