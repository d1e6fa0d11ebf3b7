//! Queues in memory that both sides see, as Go's channels (runtime/chan.go of Go 1.24): a mutex guards a ring, who finds
//! nobody waiting and no room or message sleeps, and a message goes straight to who waits longest for one.

use super::super::execute::Step;
use super::super::locks::Word;
use super::super::races::Object;
use super::super::run::Run;
use super::super::task::Wait;
use super::{Waiter, Way};
use crate::kernel::Tid;
use std::collections::VecDeque;

/// A queue; what its messages are nobody asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    capacity: u32,
    /// Messages that it holds.
    pub length: u32,
    /// Messages that have come in, and out: their places in the ring.
    came: u64,
    went: u64,
    receivers: VecDeque<Waiter>,
    senders: VecDeque<Waiter>,
    word: Word,
}

impl Queue {
    pub fn new(capacity: u32) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// The place of a message in the ring.
    fn place(&self, number: u64) -> u32 {
        u32::try_from(number % u64::from(self.capacity.max(1))).expect("below the capacity")
    }

    /// The place of the message that comes in now.
    fn come(&mut self) -> u32 {
        self.came += 1;
        self.place(self.came - 1)
    }

    /// The place of the message that goes out now.
    fn go(&mut self) -> u32 {
        self.went += 1;
        self.place(self.went - 1)
    }
}

impl Run {
    fn queue(&mut self, index: u32) -> &mut Queue {
        match &mut self.channels[index as usize].way {
            Way::Queue(queue) => queue,
            Way::Pipe(_) => unreachable!("who asks has looked"),
        }
    }

    /// Puts a message into a queue.
    pub(super) fn send_to_queue(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        if !self.is_first(cpu) {
            return self.let_others_go_first(cpu);
        }
        self.enter_queue(cpu, tid, index);
        let now = self.cpus[cpu].now;
        if let Some(receiver) = self.next_receiver(index) {
            self.note_sent(index, None, now);
            self.note_received(index, Some(receiver), now);
            self.pass_over(index, tid, receiver.tid, tid);
            self.unpark(cpu, tid, receiver.tid);
            return Step::Next;
        }
        let queue = self.queue(index);
        if queue.length < queue.capacity {
            queue.length += 1;
            let place = queue.come();
            self.note_sent(index, None, now);
            self.use_place(index, place, tid);
            return Step::Next;
        }
        queue.senders.push_back(Waiter { tid, since: now });
        self.park(cpu, tid, Wait::Send(index))
    }

    /// Takes a message out of a queue.
    pub(super) fn receive_from_queue(&mut self, cpu: usize, tid: Tid, index: u32) -> Step {
        if !self.is_first(cpu) {
            return self.let_others_go_first(cpu);
        }
        self.enter_queue(cpu, tid, index);
        let now = self.cpus[cpu].now;
        if self.queue(index).length > 0 {
            let queue = self.queue(index);
            queue.length -= 1;
            let place = queue.go();
            self.note_received(index, None, now);
            self.use_place(index, place, tid);
            if let Some(sender) = self.next_sender(index) {
                let queue = self.queue(index);
                queue.length += 1;
                let place = queue.come();
                self.note_sent(index, Some(sender), now);
                self.use_place(index, place, sender.tid);
                self.unpark(cpu, tid, sender.tid);
            }
            return Step::Next;
        }
        if let Some(sender) = self.next_sender(index) {
            self.note_sent(index, Some(sender), now);
            self.note_received(index, None, now);
            self.pass_over(index, sender.tid, tid, tid);
            self.unpark(cpu, tid, sender.tid);
            return Step::Next;
        }
        self.queue(index).receivers.push_back(Waiter { tid, since: now });
        self.park(cpu, tid, Wait::Receive(index))
    }

    /// The mutex is taken and given back, within one step.
    fn enter_queue(&mut self, cpu: usize, tid: Tid, index: u32) {
        self.fence(cpu);
        let word = self.queue(index).word;
        let word = self.use_guarded(cpu, tid, word);
        self.queue(index).word = word;
    }

    /// A message goes from one to the other, of whom `running` is the one that did not wait. The places of a ring order
    /// who uses them one after the other; without a ring, each side knows what the other had done.
    fn pass_over(&mut self, index: u32, sender: Tid, receiver: Tid, running: Tid) {
        let queue = self.queue(index);
        let (has_ring, came, went) = (queue.capacity > 0, queue.come(), queue.go());
        if has_ring {
            self.use_place(index, came, sender);
            self.use_place(index, went, receiver);
        } else {
            self.followed(if running == sender { receiver } else { sender }, running);
        }
    }

    fn use_place(&mut self, index: u32, place: u32, tid: Tid) {
        if let Some(races) = &mut self.races {
            races.acquired(tid, Object::Place(index, place));
            races.released(tid, Object::Place(index, place));
        }
    }

    fn next_receiver(&mut self, index: u32) -> Option<Waiter> {
        loop {
            let waiter = self.queue(index).receivers.pop_front()?;
            if self.threads[waiter.tid.index()].is_alive() {
                return Some(waiter);
            }
        }
    }

    fn next_sender(&mut self, index: u32) -> Option<Waiter> {
        loop {
            let waiter = self.queue(index).senders.pop_front()?;
            if self.threads[waiter.tid.index()].is_alive() {
                return Some(waiter);
            }
        }
    }
}
