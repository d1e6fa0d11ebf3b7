//! Threads come and go: made by processes and by threads, ended by their programs, by their process, or from outside.

use super::event_log::EventKind;
use super::loads::{task_number, task_stream};
use super::races::Object;
use super::run::Run;
use super::task::{Task, Wait};
use crate::base::Picos;
use crate::kernel::{Pid, Role, Share, State, Thread, Tid};
use crate::sched::Enqueue;

/// The threads of one process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    /// Its first one.
    pub first: Tid,
    /// The head of the list of those that have not ended.
    head: Tid,
}

impl Group {
    /// A process with one thread.
    pub fn of(first: Tid) -> Self {
        Self { first, head: first }
    }
}

impl Run {
    /// The first thread of a process.
    pub(super) fn add_first(&mut self, pid: Pid, task: Task, share: Share, at: Picos, waker: Option<usize>) -> Tid {
        let tid = self.add_thread(Thread::new(pid, Tid::NONE, share, at), task);
        self.groups.insert(pid, Group::of(tid));
        self.make_ready(tid, Enqueue::New, at, waker);
        tid
    }

    /// A thread made by another.
    pub(super) fn add_made(&mut self, maker: Tid, name: Option<u32>, task: Task, share: Share, cpu: usize) {
        let now = self.cpus[cpu].now;
        let pid = self.threads[maker.index()].pid;
        let mut thread = Thread::new(pid, maker, share, now);
        thread.name = name.unwrap_or(u32::MAX);
        let tid = self.add_to_group(thread, task);
        self.note_made(tid, maker, name);
        self.make_ready(tid, Enqueue::New, now, Some(cpu));
    }

    /// A task made by a thread or another task.
    pub(super) fn add_task(&mut self, maker: Tid, name: Option<u32>, task: Task, stack: u64, cpu: usize) -> Tid {
        let now = self.cpus[cpu].now;
        let Thread { pid, share, .. } = self.threads[maker.index()];
        let mut thread = Thread::new(pid, maker, share, now);
        (thread.name, thread.role, thread.stack) = (name.unwrap_or(u32::MAX), Role::Task, stack);
        let tid = self.add_to_group(thread, task);
        self.note_made(tid, maker, name);
        self.threads[tid.index()].state = State::Ready;
        tid
    }

    fn note_made(&mut self, tid: Tid, maker: Tid, name: Option<u32>) {
        let pid = self.threads[maker.index()].pid;
        self.locks.paths.go_on_from(tid, maker);
        self.followed(maker, tid);
        self.threads[maker.index()].made += 1;
        if let Some(name) = name {
            self.named.entry((pid, name)).or_default().alive += 1;
        }
    }

    /// One more thread of a process.
    pub(super) fn add_to_group(&mut self, mut thread: Thread, task: Task) -> Tid {
        let group = self.groups.get_mut(&thread.pid).expect("a process has threads");
        let head =
            std::mem::replace(&mut group.head, Tid(u32::try_from(self.threads.len()).expect("threads are limited")));
        thread.neighbours = [Tid::NONE, head];
        let tid = self.add_thread(thread, task);
        if head != Tid::NONE {
            self.threads[head.index()].neighbours[0] = tid;
        }
        tid
    }

    pub(super) fn add_thread(&mut self, mut thread: Thread, task: Task) -> Tid {
        let tid = Tid(u32::try_from(self.threads.len()).expect("threads are limited"));
        // Tasks draw the same numbers under every model.
        let maker = self.makes_task.take();
        thread.stream = if maker.is_some() { task_stream(self.tasks_made) } else { tid.0 };
        let created = thread.created;
        // The kernel knows nothing of tasks.
        self.alive += u32::from(thread.role != Role::Task);
        self.threads.push(thread);
        self.tasks.push(task);
        self.alive_peak = self.alive_peak.max(self.alive);
        if maker.is_some() {
            self.log_task(EventKind::Spawn, tid, created, maker);
        }
        tid
    }

    /// The thread that runs ends by itself; its process goes on.
    pub(super) fn end_running(&mut self, cpu: usize, tid: Tid) {
        self.fence(cpu);
        let Thread { pid, stack, role, .. } = self.threads[tid.index()];
        if stack > 0 && role == Role::Thread {
            self.kernel.unmap_stack(pid, stack);
            self.settle(cpu);
        }
        self.unlink(tid);
        self.terminate(tid, self.cpus[cpu].now);
        self.abandon(cpu, tid);
        self.announce_end(cpu, tid);
    }

    /// Ends all threads of a process that has ended. Those that run elsewhere are taken off their cpus.
    pub(super) fn end_group(&mut self, pid: Pid, cpu: usize) {
        let Some(group) = self.groups.remove(&pid) else { return };
        let parent = self.kernel.process(pid).map(|process| process.parent);
        if let (Some(parent), Some(running)) = (parent, self.cpus[cpu].running) {
            self.released(cpu, running, Object::Children(parent));
        }
        let now = self.cpus[cpu].now;
        let mut next = group.head;
        while next != Tid::NONE {
            let tid = next;
            next = self.threads[tid.index()].neighbours[1];
            self.end_from_outside(tid, cpu, now);
        }
        self.named.retain(|&(owner, _), _| owner != pid);
        if let Some(parent) = parent {
            self.announce_process(cpu, parent, group.first);
        }
    }

    /// Gives a process that was just made as a task the name of that, if there is one: who joins the name waits for its end.
    pub(super) fn name_process(&mut self, maker: Tid, before: usize, name: Option<u32>) {
        let (Some(name), true) = (name, before < self.threads.len()) else { return };
        self.threads[before].name = name;
        self.named.entry((self.threads[maker.index()].pid, name)).or_default().alive += 1;
    }

    /// A process has ended, which may have been a task with a name: who waited for that goes on.
    fn announce_process(&mut self, cpu: usize, parent: Pid, first: Tid) {
        let name = self.threads[first.index()].name;
        let is_task = task_number(&self.threads[first.index()]).is_some();
        let Some(named) = self.named.get_mut(&(parent, name)).filter(|_| is_task) else { return };
        named.alive -= 1;
        if named.alive > 0 {
            return;
        }
        for waiting in std::mem::take(&mut named.waiting) {
            self.acquired(waiting, Object::Children(parent));
            if self.threads[waiting.index()].state == State::Waiting {
                self.wake_for_free(waiting, self.cpus[cpu].now, Some(cpu));
            }
        }
    }

    /// Ends all threads of a process but the one that runs, which is its first from now on.
    pub(super) fn end_others(&mut self, cpu: usize, tid: Tid) {
        let pid = self.threads[tid.index()].pid;
        let now = self.cpus[cpu].now;
        let mut next = self.groups[&pid].head;
        while next != Tid::NONE {
            let other = next;
            next = self.threads[other.index()].neighbours[1];
            if other != tid {
                self.end_from_outside(other, cpu, now);
            }
        }
        self.groups.insert(pid, Group::of(tid));
        let thread = &mut self.threads[tid.index()];
        (thread.maker, thread.neighbours, thread.stack, thread.made) = (Tid::NONE, [Tid::NONE; 2], 0, 0);
        self.named.retain(|&(owner, _), _| owner != pid);
    }

    fn end_from_outside(&mut self, tid: Tid, cpu: usize, now: Picos) {
        self.abandon(cpu, tid);
        let state = self.threads[tid.index()].state;
        let Thread { home, role, .. } = self.threads[tid.index()];
        let home = usize::from(home);
        match state {
            _ if role == Role::Task => {}
            State::Ready => {
                let queue = self.queues.of_cpu(home);
                self.queues.remove(queue, tid, now);
            }
            State::Running => {
                if let Some(other) = (0..self.cpus.len()).find(|&other| self.cpus[other].running == Some(tid)) {
                    self.catch_up(other, now);
                    self.terminate(tid, self.cpus[other].now);
                    if other != cpu {
                        self.drop_ended(other);
                        self.fill(other, now);
                    }
                    return;
                }
            }
            State::Waiting => {
                let last = usize::from(self.threads[tid.index()].cpu);
                let queue = self.queues.of_cpu(last);
                if self.queues.is_delayed(queue, tid) {
                    self.queues.forget(queue, tid, now);
                }
            }
            State::New | State::Terminated => {}
        }
        self.terminate(tid, now);
    }

    fn terminate(&mut self, tid: Tid, now: Picos) {
        self.leave_locks(tid, now);
        self.calls.forget(tid);
        // Its own cpu may be ahead of the one that ends it.
        let now = now.max(self.threads[tid.index()].since);
        self.log_task(EventKind::End, tid, now, None);
        self.set_state(tid, State::Terminated, now);
        let thread = &mut self.threads[tid.index()];
        thread.ended = now;
        self.alive -= u32::from(thread.role != Role::Task);
        if let Some(footprints) = &mut self.footprints {
            footprints.drop_thread(tid);
        }
        // What a program remembered is not needed any more.
        self.tasks[tid.index()] = Task::new(0);
    }

    fn unlink(&mut self, tid: Tid) {
        let Thread { pid, neighbours: [before, after], .. } = self.threads[tid.index()];
        match before {
            Tid::NONE => self.groups.get_mut(&pid).expect("a process has threads").head = after,
            before => self.threads[before.index()].neighbours[1] = after,
        }
        if after != Tid::NONE {
            self.threads[after.index()].neighbours[0] = before;
        }
    }

    /// Threads of a process that wait for its children go on.
    pub(super) fn wake_parent(&mut self, pid: Pid, cpu: usize) {
        let Some(waiting) = self.parents.remove(&pid) else { return };
        for tid in waiting {
            let waits = self.tasks[tid.index()].waits;
            if self.threads[tid.index()].state == State::Waiting && matches!(waits, Wait::Child | Wait::Vfork) {
                self.wake_for_free(tid, self.cpus[cpu].now, Some(cpu));
            }
        }
    }
}
