//! Clients, a cache and a dependency on one agenda.
//!
//! Events of one time happen in the order in which they were planned, arrivals last. `docs/services.md` says what happens
//! to a request.

use super::agenda::Agenda;
use super::cache::{Cache, Lookup};
use super::config::ServiceConfig;
use super::policy::{Call, Caller, GiveUp, Verdict};
use super::slab::Slab;
use super::station::{Admission, Station, Ticket};
use super::totals::{Latencies, Series, Totals};
use crate::base::{ConfigError, Picos, Rng};
use crate::workload::arrivals::ArrivalTimes;
use crate::workload::distribution::Sampler;
use crate::workload::pattern::Zipf;
use std::collections::BTreeMap;

/// Events on the agenda above which those that nothing waits for are looked for.
const AGENDA_LARGE: usize = 1 << 16;

/// Requests that may be on their way or at the dependency; more are refused at once.
const SENT_MAX: usize = 1 << 23;

/// Events at one time after which it is taken to stand still.
const EVENTS_AT_ONCE_MAX: u32 = 1 << 25;

/// A service that cannot be run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The service breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Time does not go on.
    #[error("{name} goes round at {at}: nothing that happens there takes any time")]
    Still {
        /// The service.
        name: String,
        /// When.
        at: Picos,
    },
    /// It takes too many steps.
    #[error("{name} takes more than {events} events, and is at {at} by then; `events_max` allows more")]
    Events {
        /// The service.
        name: String,
        /// The limit.
        events: u64,
        /// How far it is.
        at: Picos,
    },
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request reaches the dependency.
    Arrive(u32),
    /// A request has been served.
    Finish(u32),
    /// An answer, or a refusal, reaches the client.
    Reply(u32),
    /// Nobody waits any longer for this attempt of this call.
    Timeout(u32, u32),
    /// The next attempt of a call is due.
    Retry(u32, u32),
    /// A trouble begins, or ends.
    Trouble(u32, bool),
}

/// Why somebody calls the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A request reads, or writes.
    Read,
    Write,
    /// A request loads an entry of the cache.
    Load,
    /// The cache fetches an entry anew.
    Refresh,
    /// Nobody calls: a request waits for the load of another.
    Join,
}

/// A request that is not answered, or a load.
#[derive(Clone, Copy, Debug)]
struct Pending {
    call: Call,
    began: Picos,
    key: u32,
    /// Counts attempts, and those that went before under the same number: answers of others are late.
    serial: u32,
    purpose: Purpose,
}

/// A request on its way, at the dependency, or on its way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pending: u32,
    serial: u32,
    key: u32,
    is_write: bool,
    /// What was read, or written; nothing if it was refused.
    version: Option<u32>,
    pub(super) ticket: Ticket,
    service: Picos,
    pub(super) is_served: bool,
}

/// A run.
#[derive(Debug)]
pub struct Simulation {
    pub(super) config: ServiceConfig,
    pub(super) seed: u64,
    load: ArrivalTimes,
    pub(super) caller: Caller,
    pub(super) station: Station,
    pub(super) cache: Option<Cache>,
    /// By key: how often the store was written.
    versions: Vec<u32>,
    network: Sampler,
    network_draws: Rng,
    zipf: Option<Zipf>,
    key_draws: Rng,
    agenda: Agenda<Event>,
    agenda_large: usize,
    pending: Slab<Pending>,
    /// Requests of the load among these.
    in_flight: u32,
    pub(super) sent: Slab<Sent>,
    /// By key: who waits for the load of another.
    joined: BTreeMap<u32, Vec<u32>>,
    now: Picos,
    pub(super) window_end: Picos,
    pub(super) events: u64,
    events_at_once: u32,
    pub(super) totals: Totals,
    pub(super) at_window: Totals,
    pub(super) wasted_service: u128,
    pub(super) series: Series,
    pub(super) latencies: Latencies,
}

impl Simulation {
    /// Prepares a run.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(config: ServiceConfig, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        let keys = config.keys;
        let mut agenda = Agenda::default();
        for (index, trouble) in (0..).zip(&config.troubles) {
            agenda.push(trouble.from_ns, Event::Trouble(index, true));
            agenda.push(trouble.until_ns, Event::Trouble(index, false));
        }
        Ok(Self {
            load: ArrivalTimes::new(&config.load, "load", seed, 0)?,
            caller: Caller::new(&config.client, seed, 0),
            station: Station::new(&config.dependency, "dependency", seed, 0)?,
            cache: config.cache.as_ref().map(|cache| Cache::new(cache, keys.count, seed)),
            versions: vec![0; keys.count as usize],
            network: config.dependency.network_ns.sampler("dependency.network_ns")?,
            network_draws: Rng::stream(seed, "service.network", 0),
            zipf: (keys.skew > 0.0).then(|| Zipf::new(keys.count.into(), keys.skew)),
            key_draws: Rng::stream(seed, "service.keys", 0),
            agenda,
            agenda_large: AGENDA_LARGE,
            pending: Slab::new(),
            in_flight: 0,
            sent: Slab::new(),
            joined: BTreeMap::new(),
            now: Picos::ZERO,
            window_end: config.window_ns,
            events: 0,
            events_at_once: 0,
            totals: Totals::default(),
            at_window: Totals::default(),
            wasted_service: 0,
            series: Series::default(),
            latencies: Latencies::new(),
            config,
            seed,
        })
    }

    /// Events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// When the last one was.
    pub fn now(&self) -> Picos {
        self.now
    }

    /// Runs on by so many events. Returns whether the run is over.
    ///
    /// # Errors
    /// More events than are allowed.
    pub fn advance(&mut self, budget: u64) -> Result<bool, ServiceError> {
        for _ in 0..budget {
            let (event, arrival) = (self.agenda.peek(), self.load.peek());
            let Some(now) = event.into_iter().chain(arrival).min().filter(|&now| now < self.config.duration_ns) else {
                return Ok(true);
            };
            self.events += 1;
            if self.events > self.config.events_max {
                let (name, events) = (self.config.name.clone(), self.config.events_max);
                return Err(ServiceError::Events { name, events, at: now });
            }
            self.events_at_once = if now == self.now { self.events_at_once + 1 } else { 0 };
            if self.events_at_once > EVENTS_AT_ONCE_MAX {
                return Err(ServiceError::Still { name: self.config.name.clone(), at: now });
            }
            self.close_windows(now);
            self.now = now;
            if event == Some(now) {
                let (_, event) = self.agenda.pop().expect("it was just looked at");
                self.happen(event);
            } else {
                self.load.next();
                self.request();
            }
        }
        Ok(false)
    }

    pub(super) fn close_windows(&mut self, now: Picos) {
        while self.window_end <= now {
            self.series.close(&self.at_window, &self.totals, self.station.queued());
            self.at_window = self.totals;
            self.window_end += self.config.window_ns;
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive(sent) => self.arrive(sent),
            Event::Finish(sent) => self.finish_service(sent),
            Event::Reply(sent) => self.reply(sent),
            Event::Timeout(number, serial) if self.pending[number].serial == serial => {
                self.totals.timeouts += 1;
                self.fail(number);
            }
            Event::Retry(number, serial) if self.pending[number].serial == serial => self.attempt(number),
            Event::Timeout(..) | Event::Retry(..) => (),
            Event::Trouble(index, begins) => self.trouble(index as usize, begins),
        }
    }

    /// A request of the load.
    fn request(&mut self) {
        self.totals.requests += 1;
        let keys = self.config.keys;
        let is_write = keys.write_share > 0.0 && self.key_draws.unit() < keys.write_share;
        let key = match &self.zipf {
            #[allow(clippy::cast_possible_truncation, reason = "below the number of keys")]
            Some(zipf) => zipf.draw(&mut self.key_draws) as u32,
            None if keys.count == 1 => 0,
            None => self.key_draws.below(keys.count),
        };
        let lookup = match &mut self.cache {
            Some(cache) if !is_write => cache.read(self.now, key),
            _ if is_write => return self.admit(key, Purpose::Write),
            _ => return self.admit(key, Purpose::Read),
        };
        match lookup {
            Lookup::Hit(version) => {
                self.totals.hits += 1;
                self.serve(key, version);
            }
            Lookup::Stale(version, is_to_fetch) => {
                self.totals.stale_hits += 1;
                self.serve(key, version);
                if is_to_fetch {
                    self.totals.refreshes += 1;
                    self.begin(key, Purpose::Refresh);
                }
            }
            Lookup::Load => self.admit(key, Purpose::Load),
            Lookup::Wait => self.admit(key, Purpose::Join),
        }
    }

    /// Answers a read from the cache.
    fn serve(&mut self, key: u32, version: u32) {
        self.totals.stale_reads += u64::from(version != self.versions[key as usize]);
        let time = self.cache.as_ref().map_or(Picos::ZERO, Cache::hit_time);
        self.totals.answered += 1;
        self.latencies.note(time);
        self.load.completed(self.now + time);
    }

    /// Takes a request in, unless too many are there.
    fn admit(&mut self, key: u32, purpose: Purpose) {
        if self.in_flight >= self.config.load.in_flight_max {
            self.totals.turned_away += 1;
            if purpose == Purpose::Load {
                self.end_load(key, None, Some(GiveUp::Retries));
            }
            return self.load.completed(self.now);
        }
        match purpose {
            Purpose::Load => self.totals.loads += 1,
            Purpose::Join => self.totals.joined += 1,
            Purpose::Read | Purpose::Write | Purpose::Refresh => (),
        }
        self.begin(key, purpose);
    }

    fn begin(&mut self, key: u32, purpose: Purpose) {
        self.in_flight += u32::from(purpose != Purpose::Refresh);
        let is_call = purpose != Purpose::Join;
        let call = if is_call { self.caller.begin(self.now, Picos::NEVER) } else { Call::default() };
        let number = self.pending.insert_with(|before| Pending {
            call,
            began: self.now,
            key,
            serial: before.map_or(0, |before| before.serial.wrapping_add(1)),
            purpose,
        });
        if purpose == Purpose::Join {
            self.joined.entry(key).or_default().push(number);
        } else {
            self.attempt(number);
        }
    }

    fn attempt(&mut self, number: u32) {
        let pending = &mut self.pending[number];
        let expires = match self.caller.attempt(&mut pending.call, self.now) {
            Verdict::Attempt(until) => until,
            Verdict::GiveUp(reason) => return self.give_up(number, reason),
            Verdict::Retry(_) => unreachable!("what is due is made or given up"),
        };
        self.totals.attempts += 1;
        self.totals.retries += u64::from(pending.call.retries() > 0);
        pending.serial = pending.serial.wrapping_add(1);
        let Pending { serial, key, purpose, .. } = *pending;
        if expires < Picos::NEVER {
            self.plan(expires, Event::Timeout(number, serial));
        }
        let ticket = Ticket { id: 0, arrived: self.now, expires };
        let is_write = purpose == Purpose::Write;
        let service = Picos::ZERO;
        let sent = Sent { pending: number, serial, key, is_write, version: None, ticket, service, is_served: false };
        if self.sent.len() >= SENT_MAX {
            self.totals.refused += 1;
            return self.fail(number);
        }
        let sent = self.sent.insert_with(|_| sent);
        match self.message() {
            Picos::ZERO => self.arrive(sent),
            time => self.plan(self.now + time, Event::Arrive(sent)),
        }
    }

    fn message(&mut self) -> Picos {
        self.network.draw(&mut self.network_draws)
    }

    fn plan(&mut self, time: Picos, event: Event) {
        self.agenda.push(time, event);
        if self.agenda.len() > self.agenda_large {
            let pending = &self.pending;
            self.agenda.retain(|event| match *event {
                Event::Timeout(number, serial) => pending[number].serial == serial,
                _ => true,
            });
            self.agenda_large = AGENDA_LARGE.max(2 * self.agenda.len());
        }
    }

    /// A request reaches the dependency.
    fn arrive(&mut self, sent: u32) {
        let ticket = Ticket { id: sent, arrived: self.now, ..self.sent[sent].ticket };
        self.sent[sent].ticket = ticket;
        match self.station.arrive(self.now, ticket) {
            Admission::Started(service) => self.start_service(sent, service),
            Admission::Queued => (),
            Admission::Refused => {
                self.totals.refused += 1;
                self.answer(sent);
            }
        }
    }

    fn start_service(&mut self, sent: u32, service: Picos) {
        let record = &mut self.sent[sent];
        record.service = service;
        record.is_served = true;
        record.version = Some(self.versions[record.key as usize]);
        self.plan(self.now + service, Event::Finish(sent));
    }

    fn finish_service(&mut self, sent: u32) {
        let record = &mut self.sent[sent];
        record.is_served = false;
        if record.is_write {
            self.totals.writes += 1;
            let version = &mut self.versions[record.key as usize];
            *version = version.wrapping_add(1);
            record.version = Some(*version);
        }
        let (ticket, requests) = (record.ticket, &mut self.sent);
        if let Some((next, service)) = self.station.depart(self.now, ticket, |dropped| requests.remove(dropped.id)) {
            self.start_service(next.id, service);
        }
        self.answer(sent);
    }

    /// The dependency answers, or refuses.
    fn answer(&mut self, sent: u32) {
        match self.message() {
            Picos::ZERO => self.reply(sent),
            time => self.plan(self.now + time, Event::Reply(sent)),
        }
    }

    /// The client is answered, if it still waits.
    fn reply(&mut self, sent: u32) {
        let Sent { pending: number, serial, version, service, .. } = self.sent[sent];
        self.sent.remove(sent);
        let pending = &mut self.pending[number];
        if pending.serial != serial {
            self.totals.late += u64::from(version.is_some());
            self.wasted_service += u128::from(service.0);
            return;
        }
        let Some(version) = version else { return self.fail(number) };
        self.caller.succeed(&pending.call, self.now);
        let Pending { key, purpose, .. } = *pending;
        match purpose {
            Purpose::Write => {
                if let Some(cache) = &mut self.cache {
                    cache.written(self.now, key, version);
                }
            }
            Purpose::Load | Purpose::Refresh => self.end_load(key, Some(version), None),
            Purpose::Read | Purpose::Join => (),
        }
        self.end(number, None);
    }

    /// An attempt has failed.
    fn fail(&mut self, number: u32) {
        let pending = &mut self.pending[number];
        pending.serial = pending.serial.wrapping_add(1);
        let serial = pending.serial;
        match self.caller.fail(&mut pending.call, self.now) {
            Verdict::Retry(at) => self.plan(at, Event::Retry(number, serial)),
            Verdict::GiveUp(reason) => self.give_up(number, reason),
            Verdict::Attempt(_) => unreachable!("what failed is tried again later or given up"),
        }
    }

    fn give_up(&mut self, number: u32, reason: GiveUp) {
        let Pending { key, purpose, .. } = self.pending[number];
        if matches!(purpose, Purpose::Load | Purpose::Refresh) {
            self.end_load(key, None, Some(reason));
        }
        self.end(number, Some(reason));
    }

    /// A load has ended: the cache takes what it brought, and who waited for it shares its fate.
    fn end_load(&mut self, key: u32, version: Option<u32>, reason: Option<GiveUp>) {
        if let Some(cache) = &mut self.cache {
            cache.loaded(self.now, key, version);
        }
        for joined in self.joined.remove(&key).unwrap_or_default() {
            self.end(joined, reason);
        }
    }

    /// A request is answered, or has failed for a reason.
    fn end(&mut self, number: u32, reason: Option<GiveUp>) {
        let pending = &mut self.pending[number];
        pending.serial = pending.serial.wrapping_add(1);
        let Pending { began, purpose, .. } = *pending;
        self.pending.remove(number);
        if purpose == Purpose::Refresh {
            return;
        }
        self.in_flight -= 1;
        match reason {
            None => {
                self.totals.answered += 1;
                self.latencies.note(self.now - began);
            }
            Some(reason) => self.totals.fail(reason),
        }
        self.load.completed(self.now);
    }

    fn trouble(&mut self, index: usize, begins: bool) {
        if let (true, true, Some(cache)) = (begins, self.config.troubles[index].flushes, &mut self.cache) {
            cache.flush();
        }
        let now = self.now;
        let going_on = self.config.troubles.iter().filter(|trouble| trouble.from_ns <= now && now < trouble.until_ns);
        let (slowdown, is_down) = going_on
            .fold((1.0, false), |(slowdown, is_down), each| (slowdown * each.slowdown, is_down || each.is_down));
        self.station.trouble(slowdown, is_down);
    }
}
