//! The run of a scenario: who runs where, and until when.

use super::addresses::Addresses;
use super::cpu::{Cpu, Limit};
use super::measure::{ForkRecord, Measure};
use super::task::{Task, Wait};
use crate::base::{ConfigError, Picos};
use crate::kernel::{Account, INIT, Kernel, KernelError, KernelOptions, Ledger, Pid, State};
use crate::memory::config::MachineConfig;
use crate::workload::scenario::Fidelity;
use crate::workload::{Code, Scenario};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

/// How far a cpu may run ahead of the others.
const WINDOW: Picos = Picos::from_nanos(1000);

/// What is said beside machine and scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunOptions {
    /// Of all random numbers.
    pub seed: u64,
}

/// A scenario that cannot be run, or not to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The scenario or the machine breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel cannot start.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// It goes on for too long.
    #[error("{name} runs for more than {} s of simulated time", Picos::RUN_MAX.nanos() / 1e9)]
    Time {
        /// The scenario.
        name: String,
    },
    /// The machine is a guest, and its host has no memory left.
    #[error("the host has no memory left for the guest: {} frames are in use", .0.frames)]
    Host(crate::memory::OutOfMemory),
    /// A program names what is not there.
    #[error("process {pid} ({name}): {problem}")]
    Program {
        /// The process.
        pid: Pid,
        /// What it runs.
        name: String,
        /// What is wrong.
        problem: String,
    },
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
    pub(super) tasks: BTreeMap<Pid, Task>,
    /// Who could run, first come first: since when, and who.
    ready: VecDeque<(Picos, Pid)>,
    /// Who waits for a time. Ties go to who began to wait first.
    sleepers: BinaryHeap<Reverse<(Picos, u64, Pid)>>,
    sequence: u64,
    /// Processes that start later, latest first.
    starts: Vec<(Picos, usize)>,
    pub(super) measures: Vec<Measure>,
    pub(super) forks: Vec<ForkRecord>,
    pub(super) events: u64,
    /// Caches and TLBs, if every access goes there.
    pub(super) memory: Option<Addresses>,
    /// An access that hits the first cache.
    pub(super) hit: Picos,
    entries: Vec<u32>,
    /// A cpu that the caller's limits stopped on its way, and where it was to run to.
    interrupted: Option<(usize, Picos)>,
    is_over: bool,
}

impl Run {
    /// Prepares a scenario on a machine.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(machine: MachineConfig, scenario: Scenario, seed: u64) -> Result<Self, RunError> {
        machine.check()?;
        KernelOptions::check_machine(&machine)?;
        let mut code = Code::default();
        let mut entries = Vec::new();
        for (index, process) in scenario.processes.iter().enumerate() {
            entries.push(code.compile(&process.program, &format!("processes[{index}].program"))?);
        }
        let options = KernelOptions { seed, ..scenario.kernel.clone() };
        let kernel = Kernel::new(&machine, &options).map_err(KernelError::Exhausted)?;
        let mut starts: Vec<(Picos, usize)> =
            scenario.processes.iter().enumerate().map(|(index, process)| (process.start_ns, index)).collect();
        starts.sort_by_key(|&(time, index)| Reverse((time, index)));
        let cycles = machine.caches.first().map_or(1, |_| machine.latency_cycles_of(0));
        Ok(Self {
            hit: Picos::from_cycles(u64::from(cycles), machine.frequency_mhz),
            memory: (scenario.memory == Fidelity::Addresses).then(|| Addresses::new(&machine, seed)),
            measures: vec![Measure::default(); code.measures.len()],
            cpus: vec![Cpu::default(); machine.cpus as usize],
            code: Arc::new(code),
            kernel,
            tasks: BTreeMap::new(),
            ready: VecDeque::new(),
            sleepers: BinaryHeap::new(),
            sequence: 0,
            starts,
            forks: Vec::new(),
            events: 0,
            entries,
            interrupted: None,
            is_over: false,
            scenario,
            machine,
            seed,
        })
    }

    /// The kernel as it is now.
    pub fn kernel(&self) -> &Kernel {
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

    /// Runs on by about so many steps, but not beyond a time. Returns whether the run is over, or that time reached.
    ///
    /// # Errors
    /// A program that asks for what cannot be.
    pub fn advance(&mut self, budget: u64, until: Picos) -> Result<bool, RunError> {
        let until = self.scenario.until_ns.map_or(until, |end| end.min(until));
        let stop = self.events.saturating_add(budget);
        while self.events < stop {
            if let Some((cpu, horizon)) = self.interrupted {
                if self.cpus[cpu].now >= until {
                    return Ok(true);
                }
                self.run_cpu(cpu, Limit { horizon, until, events: stop })?;
                if self.cpus[cpu].now > Picos::RUN_MAX {
                    return Err(RunError::Time { name: self.scenario.name.clone() });
                }
                continue;
            }
            self.start_due();
            self.dispatch();
            let Some(cpu) = self.next_cpu() else {
                // Nobody runs: time goes on to the next thing that happens by itself.
                match self.next_event().filter(|&time| time <= until) {
                    Some(time) => self.wake_due(time),
                    None => {
                        self.is_over = self.next_event().is_none();
                        return Ok(true);
                    }
                }
                continue;
            };
            let now = self.cpus[cpu].now;
            if let Some(event) = self.next_event().filter(|&event| event <= now) {
                self.wake_due(event);
                continue;
            }
            if now >= until {
                return Ok(true);
            }
            self.interrupted = Some((cpu, self.horizon(cpu)));
        }
        Ok(false)
    }

    /// Whether everything has happened.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// The busy cpu that is furthest behind.
    fn next_cpu(&self) -> Option<usize> {
        let busy = self.cpus.iter().enumerate().filter(|(_, cpu)| cpu.running.is_some());
        busy.min_by_key(|(index, cpu)| (cpu.now, *index)).map(|(index, _)| index)
    }

    /// Up to when a cpu may run without looking at anything else.
    fn horizon(&self, cpu: usize) -> Picos {
        let others = self.cpus.iter().enumerate().filter(|&(other, state)| other != cpu && state.running.is_some());
        let ahead = others.map(|(_, other)| other.now + WINDOW).min().unwrap_or(Picos::NEVER);
        let event = self.next_event().unwrap_or(Picos::NEVER);
        let slice = if self.ready.is_empty() { Picos::NEVER } else { self.cpus[cpu].slice_end };
        ahead.min(event).min(slice).max(self.cpus[cpu].now + Picos(1))
    }

    /// When the next thing happens by itself.
    fn next_event(&self) -> Option<Picos> {
        let sleeper = self.sleepers.peek().map(|&Reverse((time, _, _))| time);
        let start = self.starts.last().map(|&(time, _)| time);
        sleeper.into_iter().chain(start).min()
    }

    /// Starts processes whose time has come before any cpu has done anything else.
    fn start_due(&mut self) {
        while self.starts.last().is_some_and(|&(time, _)| time == Picos::ZERO) {
            self.start_next();
        }
    }

    fn start_next(&mut self) {
        let Some((time, index)) = self.starts.pop() else { return };
        self.kernel.set_now(time);
        let name = self.scenario.processes[index].name.clone();
        // Who starts a scenario's first processes is not part of it: nobody pays for that.
        match self.kernel.spawn(INIT, &name) {
            Ok(pid) => {
                self.tasks.insert(pid, Task::new(self.entries[index], self.seed, pid.0));
                self.show_registers(pid);
                self.make_ready(pid, time);
            }
            Err(error) => self.kernel.note(format!("{name} could not start: {error}")),
        }
        self.kernel.take_bill();
    }

    /// Lets everything happen that is due at a time.
    fn wake_due(&mut self, time: Picos) {
        while self.starts.last().is_some_and(|&(start, _)| start <= time) {
            self.start_next();
        }
        while let Some(&Reverse((wake, _, pid))) = self.sleepers.peek() {
            if wake > time {
                break;
            }
            self.sleepers.pop();
            if let Some(task) = self.tasks.get_mut(&pid).filter(|task| task.waits == Wait::Time) {
                task.waits = Wait::Nothing;
                self.make_ready(pid, wake);
            }
        }
    }

    /// Puts who could run on cpus that have nobody.
    fn dispatch(&mut self) {
        while let Some(&(since, pid)) = self.ready.front() {
            // Of the idle cpus that which is free first; where it ran last, if several are.
            let idle = self.cpus.iter().enumerate().filter(|(_, cpu)| cpu.running.is_none());
            let Some((index, _)) = idle.min_by_key(|(index, cpu)| (cpu.now.max(since), cpu.last != Some(pid), *index))
            else {
                return;
            };
            self.ready.pop_front();
            if !self.kernel.process(pid).is_some_and(|process| process.is_alive()) {
                continue;
            }
            let switch = self.machine.kernel.context_switch_ns;
            let cpu = &mut self.cpus[index];
            cpu.idle_until(since);
            if cpu.last.is_some_and(|last| last != pid) {
                cpu.spend(&Ledger::of(Account::Switch, switch));
            }
            cpu.running = Some(pid);
            cpu.last = Some(pid);
            cpu.slice_end = cpu.now + self.machine.kernel.time_slice_ns;
            self.kernel.set_running(index, Some(pid));
            self.set_state(pid, State::Running);
        }
    }

    /// Runs what a cpu has up to its horizon, or until it blocks or ends. Where the caller's limits come first it goes on
    /// from there the next time, so that they change nothing.
    fn run_cpu(&mut self, cpu: usize, limit: Limit) -> Result<(), RunError> {
        let pid = self.cpus[cpu].running.expect("only a busy cpu runs");
        if !self.kernel.process(pid).is_some_and(|process| process.is_alive()) {
            // Another cpu ended it.
            self.interrupted = None;
            self.leave(cpu);
            return Ok(());
        }
        let goes_on = self.execute(cpu, pid, limit)?;
        if goes_on && self.cpus[cpu].now < limit.horizon {
            return Ok(());
        }
        self.interrupted = None;
        if !goes_on {
            self.leave(cpu);
        } else if self.cpus[cpu].now >= self.cpus[cpu].slice_end {
            if self.ready.is_empty() {
                self.cpus[cpu].slice_end = self.cpus[cpu].now + self.machine.kernel.time_slice_ns;
            } else {
                let now = self.cpus[cpu].now;
                self.leave(cpu);
                self.make_ready(pid, now);
            }
        }
        Ok(())
    }

    /// Nobody runs on a cpu any more.
    fn leave(&mut self, cpu: usize) {
        if let Some(pid) = self.cpus[cpu].running.take()
            && !self.kernel.process(pid).is_some_and(|process| process.is_alive())
        {
            self.tasks.remove(&pid);
        }
        self.kernel.set_running(cpu, None);
    }

    /// A process could run from a time on.
    pub(super) fn make_ready(&mut self, pid: Pid, since: Picos) {
        self.set_state(pid, State::Ready);
        self.ready.push_back((since, pid));
    }

    /// A process does nothing until a time.
    pub(super) fn sleep_until(&mut self, pid: Pid, time: Picos) {
        self.sequence += 1;
        self.sleepers.push(Reverse((time, self.sequence, pid)));
        self.set_state(pid, State::Waiting);
    }

    pub(super) fn set_state(&mut self, pid: Pid, state: State) {
        if let Some(process) = self.kernel.process_mut(pid).filter(|process| process.is_alive()) {
            process.state = state;
        }
    }

    /// Takes what calls have cost, whom they woke and which cpus they interrupted.
    pub(super) fn settle(&mut self, cpu: usize) {
        let bill = self.kernel.take_bill();
        self.cpus[cpu].spend(&bill);
        let shootdowns = self.kernel.take_shootdowns();
        if let Some(memory) = &mut self.memory {
            memory.shoot_down(&shootdowns);
        }
        let now = self.cpus[cpu].now;
        for pid in self.kernel.take_woken() {
            let waits = self.tasks.get(&pid).map(|task| task.waits);
            if matches!(waits, Some(Wait::Child | Wait::Vfork)) {
                self.tasks.get_mut(&pid).expect("it was just there").waits = Wait::Nothing;
                self.make_ready(pid, now);
            }
        }
        let receive = self.machine.kernel.shootdown.ipi_receive_ns;
        for other in self.kernel.take_interrupted() {
            self.cpus[other].spend(&Ledger::of(Account::Interrupt, receive));
        }
    }
}
