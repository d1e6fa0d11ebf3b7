//! One attempt after the other, and what becomes of each.

use super::{CallEvent, Calling, Phase, SENT_MAX, Sent};
use crate::base::Picos;
use crate::engine::execute::Step;
use crate::engine::run::Run;
use crate::engine::task::{Alarm, Wait};
use crate::kernel::{Account, State, Tid};
use crate::service::policy::{GiveUp, Verdict};
use crate::service::station::{Admission, Ticket};

impl Run {
    /// Calls a dependency: begins, or goes on behind what the last attempt came to.
    pub(in crate::engine) fn call_dependency(&mut self, cpu: usize, tid: Tid, op: u32) -> Step {
        self.read_answer(cpu, tid);
        let (now, deadline) = (self.cpus[cpu].now, self.tasks[tid.index()].deadline());
        let client = self.calls.client_of[op as usize] as usize;
        let dependency = self.calls.clients[client].dependency as usize;
        let calls = &mut self.calls;
        let caller = &mut calls.clients[client].caller;
        let stats = &mut calls.dependencies[dependency].stats;
        let calling = calls.calling.entry(tid).or_insert_with(|| {
            stats.calls += 1;
            let call = caller.begin(now, deadline);
            Calling { call, began: now, attempt: 0, phase: Phase::Due, is_parked: false }
        });
        let verdict = match calling.phase {
            Phase::Due => caller.attempt(&mut calling.call, now),
            Phase::Waits => unreachable!("who waits does not run"),
            Phase::Answered => {
                caller.succeed(&calling.call, now);
                stats.answered += 1;
                return self.end_call(tid, dependency, now);
            }
            Phase::Refused | Phase::TimedOut => caller.fail(&mut calling.call, now),
        };
        match verdict {
            Verdict::Attempt(until) => self.attempt(cpu, tid, dependency, until),
            Verdict::Retry(at) => {
                calling.phase = Phase::Due;
                if at > now {
                    self.sleep_between(cpu, tid, at);
                }
                Step::Again
            }
            Verdict::GiveUp(reason) => {
                let place = match reason {
                    GiveUp::Retries => 0,
                    GiveUp::Budget => 1,
                    GiveUp::Deadline => 2,
                    GiveUp::Breaker => 3,
                };
                stats.failed[place] += 1;
                stats.not_begun += u64::from(reason == GiveUp::Deadline && calling.attempt == 0);
                self.end_call(tid, dependency, now)
            }
        }
    }

    /// What has come back is read, as any message is.
    fn read_answer(&mut self, cpu: usize, tid: Tid) {
        let phase = self.calls.calling.get(&tid).map(|calling| calling.phase);
        if matches!(phase, Some(Phase::Answered | Phase::Refused)) {
            self.call(cpu, tid, self.machine.kernel.sync.pipe_read_ns);
        }
    }

    fn end_call(&mut self, tid: Tid, dependency: usize, now: Picos) -> Step {
        let calling = self.calls.calling.remove(&tid).expect("it was in a call");
        let latency = now.saturating_sub(calling.began);
        self.calls.dependencies[dependency].stats.latency.note(latency);
        Step::Next
    }

    /// Waits until the next attempt is due.
    fn sleep_between(&mut self, cpu: usize, tid: Tid, at: Picos) {
        if self.is_user_task(tid) {
            self.wait_for(cpu, tid, at, Wait::Time);
        } else {
            self.cpus[cpu].pay(Account::Syscall, self.machine.kernel.syscall_ns);
            self.tasks[tid.index()].waits = Wait::Time;
            self.sleep_until(tid, at, Alarm::Time);
        }
    }

    /// Sends a request, and waits for its answer up to a time.
    fn attempt(&mut self, cpu: usize, tid: Tid, dependency: usize, until: Picos) -> Step {
        self.cpus[cpu].pay(Account::Syscall, self.machine.kernel.syscall_ns);
        let is_parked = self.is_user_task(tid);
        if is_parked {
            let cost = self.runtime().model.costs.timer_ns;
            self.cpus[cpu].pay(Account::Runtime, cost);
            self.calls.awaited += 1;
        }
        let now = self.cpus[cpu].now;
        let calls = &mut self.calls;
        calls.attempts += 1;
        let attempt = calls.attempts;
        let calling = calls.calling.get_mut(&tid).expect("it is in a call");
        let is_retry = calling.call.retries() > 0;
        let is_refused = calls.sent.len() - calls.free.len() >= SENT_MAX;
        (calling.attempt, calling.phase, calling.is_parked) = (attempt, Phase::Waits, is_parked);
        let known = &mut calls.dependencies[dependency];
        known.stats.attempts += 1;
        known.stats.retries += u64::from(is_retry);
        known.stats.refused += u64::from(is_refused);
        let there = now + known.network.draw(&mut known.draws);
        let index = u32::try_from(dependency).expect("dependencies are few");
        let ticket = Ticket { id: 0, arrived: there, expires: until };
        let sent = Sent { dependency: index, caller: tid, attempt, ticket, ends: Picos::ZERO, is_refused };
        let number = calls.put(sent);
        self.tasks[tid.index()].waits = Wait::Call(index);
        self.plan_call(there, if is_refused { CallEvent::Reply(number) } else { CallEvent::Arrive(number) });
        if until < Picos::NEVER {
            // What is over while the request is sent is over then.
            self.plan_call(until.max(now), CallEvent::Timeout(tid, attempt));
        }
        Step::Again
    }

    fn plan_call(&mut self, at: Picos, event: CallEvent) {
        self.calls.agenda.push(at, event);
        // Who runs must not run beyond what happens then.
        self.horizon = self.horizon.min(at);
    }

    /// Lets everything happen at dependencies that is due at a time.
    pub(in crate::engine) fn serve_due(&mut self, time: Picos) {
        while self.calls.next_event().is_some_and(|next| next <= time) {
            let (now, event) = self.calls.agenda.pop().expect("it was just looked at");
            self.events += 1;
            match event {
                CallEvent::Arrive(number) => self.arrive(now, number),
                CallEvent::Finish(number) => self.finish_service(now, number),
                CallEvent::Reply(number) => self.reply(now, number),
                CallEvent::Timeout(tid, attempt) => {
                    let calling = self.calls.calling.get(&tid);
                    let waits = |calling: &Calling| calling.attempt == attempt && calling.phase == Phase::Waits;
                    if calling.is_some_and(waits)
                        && let Wait::Call(dependency) = self.tasks[tid.index()].waits
                    {
                        self.calls.dependencies[dependency as usize].stats.timeouts += 1;
                        self.settle_attempt(tid, Phase::TimedOut, now);
                    }
                }
            }
        }
    }

    fn arrive(&mut self, now: Picos, number: u32) {
        let sent = &mut self.calls.sent[number as usize];
        sent.ticket = Ticket { id: number, arrived: now, ..sent.ticket };
        let (ticket, known) = (sent.ticket, &mut self.calls.dependencies[sent.dependency as usize]);
        match known.station.arrive(now, ticket) {
            Admission::Started(service) => self.start_service(now + service, number),
            Admission::Queued => {}
            Admission::Refused => {
                known.stats.refused += 1;
                self.calls.sent[number as usize].is_refused = true;
                self.send_back(now, number);
            }
        }
    }

    fn start_service(&mut self, ends: Picos, number: u32) {
        self.calls.sent[number as usize].ends = ends;
        self.plan_call(ends, CallEvent::Finish(number));
    }

    fn finish_service(&mut self, now: Picos, number: u32) {
        let sent = self.calls.sent[number as usize];
        let known = &mut self.calls.dependencies[sent.dependency as usize];
        let free = &mut self.calls.free;
        if let Some((next, service)) = known.station.depart(now, sent.ticket, |dropped| free.push(dropped.id)) {
            self.start_service(now + service, next.id);
        }
        self.calls.sent[number as usize].ends = Picos::ZERO;
        self.send_back(now, number);
    }

    fn send_back(&mut self, now: Picos, number: u32) {
        let dependency = self.calls.sent[number as usize].dependency;
        let known = &mut self.calls.dependencies[dependency as usize];
        let back = now + known.network.draw(&mut known.draws);
        self.plan_call(back, CallEvent::Reply(number));
    }

    fn reply(&mut self, now: Picos, number: u32) {
        let sent = self.calls.sent[number as usize];
        self.calls.free.push(number);
        let calling = self.calls.calling.get(&sent.caller);
        if calling.is_some_and(|calling| calling.attempt == sent.attempt && calling.phase == Phase::Waits) {
            let phase = if sent.is_refused { Phase::Refused } else { Phase::Answered };
            self.settle_attempt(sent.caller, phase, now);
        } else {
            self.calls.dependencies[sent.dependency as usize].stats.late += 1;
        }
    }

    /// Whoever waited for an attempt goes on.
    fn settle_attempt(&mut self, tid: Tid, phase: Phase, now: Picos) {
        let calling = self.calls.calling.get_mut(&tid).expect("it is in a call");
        calling.phase = phase;
        if calling.is_parked {
            self.calls.awaited -= 1;
            self.input_has_come(tid, now);
        } else if self.threads[tid.index()].state == State::Waiting {
            self.wake_for_free(tid, now, None);
        }
    }
}

impl super::Calls {
    fn put(&mut self, sent: Sent) -> u32 {
        if let Some(number) = self.free.pop() {
            self.sent[number as usize] = sent;
            return number;
        }
        self.sent.push(sent);
        u32::try_from(self.sent.len() - 1).expect("requests are limited")
    }
}
