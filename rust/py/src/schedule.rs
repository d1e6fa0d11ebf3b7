//! Jobs under scheduling policies: columns in, columns out.

use crate::errors::Failure;
use crate::schedule_policy::{Failed, PyPolicy};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use runq_core::base::{ConfigError, Picos};
use runq_core::memory::config::{from_tree, tree_from_json};
use runq_core::sched::weight::of_nice;
use runq_core::sched::{
    Fcfs, Job, JobsOptions, JobsResult, Open, OpenConfig, PolicyConfig, Simulation, micros, simulation,
    simulation_under,
};
use serde_json::json;
use std::time::Instant;

/// Events between two looks at signals: some 5 ms, and a few calls of a policy in Python.
const EVENTS_PER_SLICE: u64 = 1 << 16;
const EVENTS_PER_SLICE_IN_PYTHON: u64 = 1 << 8;

/// Checks a policy and returns it with all its values.
#[pyfunction]
pub fn policy_check(policy: &str) -> PyResult<String> {
    let policy = read_policy(policy)?;
    Ok(serde_json::to_string(&policy).expect("a policy is plain data"))
}

/// Runs jobs under a policy: JSON, or an object with the methods of one. Returns columns and the rest as JSON.
#[pyfunction]
pub fn schedule<'py>(
    py: Python<'py>,
    jobs: &Bound<'py, PyDict>,
    policy: &Bound<'py, PyAny>,
    options: &str,
) -> PyResult<(Bound<'py, PyDict>, String)> {
    let jobs = read_jobs(jobs)?;
    run(py, jobs, policy, &read_options(options)?)
}

/// The same for jobs that are drawn. Their arrivals and service times are among the columns.
#[pyfunction]
pub fn schedule_open<'py>(
    py: Python<'py>,
    drawn: &str,
    policy: &Bound<'py, PyAny>,
    options: &str,
) -> PyResult<(Bound<'py, PyDict>, String)> {
    let options = read_options(options)?;
    let jobs = Open::new(&read_open(drawn)?, options.cpus, options.seed).map_err(Failure::from)?;
    let jobs: Vec<Job> = py.detach(|| jobs.collect());
    let arrival = times(jobs.iter().map(|job| job.arrival));
    let service = times(jobs.iter().map(|job| job.service));
    let (columns, rest) = run(py, jobs, policy, &options)?;
    columns.set_item("arrival", PyBytes::new(py, &arrival))?;
    columns.set_item("service", PyBytes::new(py, &service))?;
    Ok((columns, rest))
}

/// First come, first served with drawn jobs, of which none is kept. Returns JSON.
#[pyfunction]
pub fn queue_fcfs(py: Python<'_>, drawn: &str, servers: u32, seed: u64) -> PyResult<String> {
    let start = Instant::now();
    let config = read_open(drawn)?;
    let mut queue = Fcfs::new(&config, servers, seed).map_err(Failure::from)?;
    while !py.detach(|| queue.advance(EVENTS_PER_SLICE)) {
        py.check_signals()?;
    }
    let seconds = start.elapsed().as_secs_f64();
    let result = queue.finish();
    Ok(json!({
        "jobs": result.jobs,
        "wait_us": result.wait as f64 / 1e6,
        "service_us": result.service as f64 / 1e6,
        "served_at_once": result.served_at_once,
        "batches_us": result.batches.iter().map(|&sum| sum as f64 / 1e6).collect::<Vec<_>>(),
        "elapsed_us": result.elapsed.0 as f64 / 1e6,
        "seconds": seconds,
    })
    .to_string())
}

fn read_policy(text: &str) -> Result<PolicyConfig, Failure> {
    let policy: PolicyConfig = from_tree("policy", tree_from_json("policy", text)?)?;
    policy.check()?;
    Ok(policy)
}

fn read_options(text: &str) -> Result<JobsOptions, Failure> {
    Ok(from_tree("options", tree_from_json("options", text)?)?)
}

fn read_open(text: &str) -> Result<OpenConfig, Failure> {
    Ok(from_tree("jobs", tree_from_json("jobs", text)?)?)
}

/// Jobs from columns of doubles, in native byte order: times in us, weights, tickets and priorities.
fn read_jobs(columns: &Bound<'_, PyDict>) -> PyResult<Vec<Job>> {
    let column = |name: &str| -> PyResult<Vec<f64>> {
        let value = columns.get_item(name)?;
        let bytes: Vec<u8> = value.map_or(Ok(Vec::new()), |value| value.extract())?;
        Ok(bytes.chunks_exact(8).map(|word| f64::from_ne_bytes(word.try_into().expect("eight bytes"))).collect())
    };
    let (arrivals, services) = (column("arrival_us")?, column("service_us")?);
    let (every, io) = (column("io_every_us")?, column("io_us")?);
    let (weights, tickets, priorities) = (column("weight")?, column("tickets")?, column("priority")?);
    let nices = column("nice")?;
    let mut jobs = Vec::with_capacity(arrivals.len());
    for (row, (&arrival, &service)) in arrivals.iter().zip(&services).enumerate() {
        let mut job = Job::new(time(row, "arrival_us", arrival)?, time(row, "service_us", service)?);
        if let Some(&every) = every.get(row).filter(|every| !every.is_nan()) {
            job.io_every = Some(time(row, "io_every_us", every)?);
        }
        if let Some(&io) = io.get(row).filter(|io| !io.is_nan()) {
            job.io = time(row, "io_us", io)?;
        }
        for (name, values, field) in [
            ("weight", &weights, &mut job.weight),
            ("tickets", &tickets, &mut job.tickets),
            ("priority", &priorities, &mut job.priority),
        ] {
            if let Some(&value) = values.get(row) {
                *field = whole(row, name, value)?;
            }
        }
        if let Some(&nice) = nices.get(row) {
            job.weight = weight(row, nice)?;
        }
        jobs.push(job);
    }
    Ok(jobs)
}

fn time(row: usize, name: &str, micros: f64) -> Result<Picos, Failure> {
    let fail = || ConfigError::new(format!("jobs[{row}].{name}"), "must be 0 to 1e11 us", micros);
    Ok(micros::from_f64(micros).ok_or_else(fail)?)
}

fn weight(row: usize, nice: f64) -> Result<u32, Failure> {
    let fail = || ConfigError::new(format!("jobs[{row}].nice"), "must be a whole number from -20 to 19", nice);
    if nice.fract() != 0.0 || !(-20.0..=19.0).contains(&nice) {
        return Err(fail().into());
    }
    #[allow(clippy::cast_possible_truncation, reason = "it was just checked")]
    Ok(of_nice(nice as i32).ok_or_else(fail)?)
}

fn whole(row: usize, name: &str, value: f64) -> Result<u32, Failure> {
    if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
        let rule = "must be a whole number from 0 to 4294967295";
        return Err(ConfigError::new(format!("jobs[{row}].{name}"), rule, value).into());
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was just checked")]
    Ok(value as u32)
}

fn run<'py>(
    py: Python<'py>,
    jobs: Vec<Job>,
    policy: &Bound<'py, PyAny>,
    options: &JobsOptions,
) -> PyResult<(Bound<'py, PyDict>, String)> {
    let start = Instant::now();
    let failed = Failed::default();
    let (mut run, budget) = if let Ok(text) = policy.extract::<String>() {
        let policy = read_policy(&text)?;
        (py.detach(|| simulation(&policy, jobs, options)).map_err(Failure::from)?, EVENTS_PER_SLICE)
    } else {
        let queue = || PyPolicy::new(policy.clone().unbind(), &failed);
        (simulation_under(jobs, options, queue).map_err(Failure::from)?, EVENTS_PER_SLICE_IN_PYTHON)
    };
    drive(py, run.as_mut(), budget, &failed)?;
    let result = py.detach(|| run.finish());
    columns(py, &result, start.elapsed().as_secs_f64())
}

fn drive(py: Python<'_>, run: &mut dyn Simulation, budget: u64, failed: &Failed) -> PyResult<()> {
    loop {
        let outcome = py.detach(|| run.advance(budget));
        // What a policy in Python raised comes before what it led to.
        if let Some(error) = failed.take() {
            return Err(error);
        }
        if outcome.map_err(Failure::Jobs)? {
            return Ok(());
        }
        py.check_signals()?;
    }
}

/// Times as signed words in native byte order; what has not happened is negative.
fn times(column: impl Iterator<Item = Picos>) -> Vec<u8> {
    column.flat_map(|time| i64::try_from(time.0).unwrap_or(-1).to_ne_bytes()).collect()
}

fn counts(column: &[u32]) -> Vec<u8> {
    column.iter().flat_map(|&count| i64::from(count).to_ne_bytes()).collect()
}

fn columns<'py>(py: Python<'py>, result: &JobsResult, seconds: f64) -> PyResult<(Bound<'py, PyDict>, String)> {
    let columns = PyDict::new(py);
    for (name, column) in [
        ("first_run", &result.first_run),
        ("end", &result.end),
        ("run", &result.run),
        ("blocked", &result.blocked),
        ("busy", &result.busy),
        ("switching", &result.switching),
        ("idle", &result.idle),
    ] {
        columns.set_item(name, PyBytes::new(py, &times(column.iter().copied())))?;
    }
    for (name, column) in [
        ("switches_voluntary", &result.switches_voluntary),
        ("switches_involuntary", &result.switches_involuntary),
        ("migrations", &result.migrations),
    ] {
        columns.set_item(name, PyBytes::new(py, &counts(column)))?;
    }
    let timeline = &result.timeline;
    columns.set_item("timeline_start", PyBytes::new(py, &times(timeline.iter().map(|segment| segment.start))))?;
    columns.set_item("timeline_end", PyBytes::new(py, &times(timeline.iter().map(|segment| segment.end))))?;
    for (name, column) in [
        ("timeline_cpu", timeline.iter().map(|segment| segment.cpu).collect::<Vec<_>>()),
        ("timeline_job", timeline.iter().map(|segment| segment.job).collect()),
    ] {
        columns.set_item(name, PyBytes::new(py, &counts(&column)))?;
    }
    let rest = json!({
        "elapsed_us": result.elapsed.0 as f64 / 1e6,
        "switches": result.switches,
        "events": result.events,
        "digest": format!("{:016x}", result.digest),
        "schedule_seconds": seconds,
    });
    Ok((columns, rest.to_string()))
}
