//! What came of jobs, by columns.

use super::{Cpu, Job, State};
use crate::base::Picos;
use crate::base::rng::{FNV_START, fnv1a};

/// Who ran where and when, without a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When it began.
    pub start: Picos,
    /// When it ended.
    pub end: Picos,
    /// Where.
    pub cpu: u32,
    /// Who.
    pub job: u32,
}

/// Columns with a row a job, and with a row a cpu. What has not happened is [`Picos::NEVER`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsResult {
    /// When each began to run first.
    pub first_run: Vec<Picos>,
    /// When each was over.
    pub end: Vec<Picos>,
    /// How much each has run.
    pub run: Vec<Picos>,
    /// How long each was in I/O, the last one in full.
    pub blocked: Vec<Picos>,
    /// How often each left a cpu for I/O.
    pub switches_voluntary: Vec<u32>,
    /// How often each left a cpu for another while it could have run on.
    pub switches_involuntary: Vec<u32>,
    /// How often each began on another cpu than it had run on.
    pub migrations: Vec<u32>,
    /// By cpu: time in jobs.
    pub busy: Vec<Picos>,
    /// By cpu: time in switches.
    pub switching: Vec<Picos>,
    /// By cpu: time in nothing.
    pub idle: Vec<Picos>,
    /// By cpu: how often another job was put on it than the last.
    pub switches: Vec<u64>,
    /// Who ran where, in the order in which it began.
    pub timeline: Vec<Segment>,
    /// When the run was over.
    pub elapsed: Picos,
    /// Scheduling events.
    pub events: u64,
    /// Over everything else.
    pub digest: u64,
}

pub(super) fn result(
    jobs: &[Job],
    states: &[State],
    cpus: &[Cpu],
    mut timeline: Vec<Segment>,
    elapsed: Picos,
    events: u64,
) -> JobsResult {
    timeline.retain(|segment| segment.end > segment.start);
    timeline.sort_by_key(|segment| (segment.start, segment.cpu));
    let mut result = JobsResult {
        first_run: states
            .iter()
            .map(|state| if state.first_run > elapsed { Picos::NEVER } else { state.first_run })
            .collect(),
        end: states.iter().map(|state| state.end).collect(),
        run: jobs.iter().zip(states).map(|(job, state)| job.service - state.left).collect(),
        blocked: states.iter().map(|state| state.blocked).collect(),
        switches_voluntary: states.iter().map(|state| state.switches_voluntary).collect(),
        switches_involuntary: states.iter().map(|state| state.switches_involuntary).collect(),
        migrations: states.iter().map(|state| state.migrations).collect(),
        busy: cpus.iter().map(|cpu| cpu.busy).collect(),
        switching: cpus.iter().map(|cpu| cpu.switching).collect(),
        idle: cpus.iter().map(|cpu| cpu.idle).collect(),
        switches: cpus.iter().map(|cpu| cpu.switches).collect(),
        timeline,
        elapsed,
        events,
        digest: 0,
    };
    for cpu in cpus {
        assert_eq!(cpu.busy + cpu.switching + cpu.idle, elapsed, "a cpu's time is all accounted for");
    }
    result.digest = result.sum();
    result
}

impl JobsResult {
    /// A digest of all columns but the timeline, which may be off.
    fn sum(&self) -> u64 {
        let mut digest = FNV_START;
        for column in [&self.first_run, &self.end, &self.run, &self.blocked, &self.busy, &self.switching, &self.idle] {
            for time in column {
                digest = fnv1a(digest, &time.0.to_le_bytes());
            }
        }
        for column in [&self.switches_voluntary, &self.switches_involuntary, &self.migrations] {
            for count in column {
                digest = fnv1a(digest, &count.to_le_bytes());
            }
        }
        for &count in &self.switches {
            digest = fnv1a(digest, &count.to_le_bytes());
        }
        fnv1a(fnv1a(digest, &self.elapsed.0.to_le_bytes()), &self.events.to_le_bytes())
    }
}
