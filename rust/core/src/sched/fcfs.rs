//! First come, first served on c servers with open arrivals, as fast as it goes.
//!
//! A job begins when it is there and the first server is free (Kiefer & Wolfowitz, 1955), so that the times at which
//! servers become free, in order, are all the state there is, and no agenda is needed. Jobs are made, served and
//! forgotten. The same jobs through the general simulation begin and end at the same times; tests hold it to that.

use super::open::{Open, OpenConfig};
use crate::base::{ConfigError, Picos};

/// Batches that the error of a mean is taken from.
const BATCHES: u32 = 40;

/// What came of the jobs. Sums are in picoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FcfsResult {
    /// How many there were.
    pub jobs: u64,
    /// How long they waited, in all.
    pub wait: u128,
    /// How long they were served, in all.
    pub service: u128,
    /// How many did not have to wait.
    pub served_at_once: u64,
    /// How long those of each batch waited; jobs are cut into batches of equal size.
    pub batches: Vec<u128>,
    /// When the last left.
    pub elapsed: Picos,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Fcfs {
    open: Open,
    /// When servers become free, in order.
    free: Vec<Picos>,
    batch: u64,
    result: FcfsResult,
}

impl Fcfs {
    /// Prepares a run.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn new(config: &OpenConfig, servers: u32, seed: u64) -> Result<Self, ConfigError> {
        if !(1..=4096).contains(&servers) {
            return Err(ConfigError::new("servers", "must be 1 to 4096", servers));
        }
        Ok(Self {
            open: Open::new(config, servers, seed)?,
            free: vec![Picos::ZERO; servers as usize],
            batch: u64::from(config.jobs / BATCHES).max(1),
            result: FcfsResult { batches: vec![0; BATCHES as usize], ..FcfsResult::default() },
        })
    }

    /// Serves so many jobs more. Returns whether all have been served.
    pub fn advance(&mut self, budget: u64) -> bool {
        for _ in 0..budget {
            let Some(job) = self.open.next() else { return true };
            let start = job.arrival.max(self.free[0]);
            let end = start + job.service;
            self.serve_until(end);
            let wait = u128::from((start - job.arrival).0);
            let batch = usize::try_from(self.result.jobs / self.batch).unwrap_or(usize::MAX);
            if let Some(sum) = self.result.batches.get_mut(batch) {
                *sum += wait;
            }
            self.result.jobs += 1;
            self.result.wait += wait;
            self.result.service += u128::from(job.service.0);
            self.result.served_at_once += u64::from(wait == 0);
            self.result.elapsed = self.result.elapsed.max(end);
        }
        false
    }

    /// The first server is busy until a time.
    fn serve_until(&mut self, end: Picos) {
        let mut place = 0;
        while let Some(&next) = self.free.get(place + 1).filter(|&&next| next < end) {
            self.free[place] = next;
            place += 1;
        }
        self.free[place] = end;
    }

    /// What came of it.
    pub fn finish(self) -> FcfsResult {
        self.result
    }
}
