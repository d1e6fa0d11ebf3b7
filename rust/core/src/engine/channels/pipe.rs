//! Pipes: the kernel copies messages in and out, and holds 64 KiB of them.

use super::super::execute::Step;
use super::super::races::Object;
use super::super::run::Run;
use super::super::task::Wait;
use super::{Waiter, Way};
use crate::kernel::Tid;
use crate::workload::PIPE_BYTES;
use std::collections::VecDeque;

/// A pipe: the lengths of its messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipe {
    pub messages: VecDeque<u64>,
    bytes: u64,
    readers: VecDeque<Waiter>,
    /// Who waits for room, and for how much.
    writers: VecDeque<(Waiter, u64)>,
}

impl Run {
    fn pipe(&mut self, index: u32) -> &mut Pipe {
        match &mut self.channels[index as usize].way {
            Way::Pipe(pipe) => pipe,
            Way::Queue(_) => unreachable!("who asks has looked"),
        }
    }

    /// Writes a message to a pipe.
    pub(super) fn send_to_pipe(&mut self, cpu: usize, tid: Tid, index: u32, bytes: u64) -> Step {
        self.call(cpu, tid, self.machine.kernel.sync.pipe_write_ns);
        self.released(cpu, tid, Object::Pipe(index));
        let now = self.cpus[cpu].now;
        while let Some(reader) = self.pipe(index).readers.pop_front() {
            if self.threads[reader.tid.index()].is_alive() {
                self.note_received(index, Some(reader), now);
                self.note_sent(index, None, now);
                self.wake(reader.tid, cpu);
                return Step::Next;
            }
        }
        self.drop_dead_writers(index);
        let pipe = self.pipe(index);
        if pipe.bytes + bytes > PIPE_BYTES || !pipe.writers.is_empty() {
            pipe.writers.push_back((Waiter { tid, since: now }, bytes));
            return self.sleep(cpu, tid, Wait::Send(index));
        }
        pipe.bytes += bytes;
        pipe.messages.push_back(bytes);
        self.note_sent(index, None, now);
        Step::Next
    }

    /// Reads a message from a pipe.
    pub(super) fn receive_from_pipe(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        self.call(cpu, tid, self.machine.kernel.sync.pipe_read_ns);
        let now = self.cpus[cpu].now;
        let pipe = self.pipe(index);
        let Some(bytes) = pipe.messages.pop_front() else {
            pipe.readers.push_back(Waiter { tid, since: now });
            return self.sleep(cpu, tid, Wait::Receive(index));
        };
        pipe.bytes -= bytes;
        self.note_received(index, None, now);
        self.acquired(tid, Object::Pipe(index));
        loop {
            self.drop_dead_writers(index);
            let pipe = self.pipe(index);
            let Some(&(writer, bytes)) = pipe.writers.front() else { break };
            if pipe.bytes + bytes > PIPE_BYTES {
                break;
            }
            pipe.writers.pop_front();
            pipe.bytes += bytes;
            pipe.messages.push_back(bytes);
            self.note_sent(index, Some(writer), now);
            self.wake(writer.tid, cpu);
        }
        Step::Next
    }

    /// Those at the front whose process has ended wait no more.
    fn drop_dead_writers(&mut self, index: u32) {
        while let Some(&(writer, _)) = self.pipe(index).writers.front() {
            if self.threads[writer.tid.index()].is_alive() {
                break;
            }
            self.pipe(index).writers.pop_front();
        }
    }
}
