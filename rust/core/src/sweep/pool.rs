//! Threads that take points off one queue. Chunks come out when all their points are done.
//!
//! Points take from microseconds to minutes, so each thread takes one after the other, the longest waiting first. There is
//! nothing to steal and nothing to wait for at the end of a chunk while another one is queued.

use super::job::Job;
use super::point::Chunk;
use super::run::{Outcome, Row};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// As large as that of a main thread: programs may be nested deeply.
const STACK_BYTES: usize = 8 << 20;

/// A chunk under way.
#[derive(Debug)]
struct Work {
    id: u64,
    chunk: Arc<Chunk>,
    /// The next point that nobody has taken.
    next: usize,
    /// Rows as they come, in the order of the points.
    rows: Vec<Option<Row>>,
    left: usize,
}

#[derive(Debug, Default)]
struct Queue {
    /// Chunks that are not done; the front ones may have no point left to take.
    works: VecDeque<Work>,
    done: VecDeque<(u64, Vec<Row>)>,
    is_closed: bool,
}

#[derive(Debug)]
struct Shared {
    job: Arc<Job>,
    queue: Mutex<Queue>,
    /// There may be a point to take.
    wanted: Condvar,
    /// A chunk is done.
    finished: Condvar,
    stop: AtomicBool,
}

/// Threads that run points. Dropping it stops them.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts so many threads, at least one.
    ///
    /// # Errors
    /// A system that has no thread left.
    pub fn new(job: Arc<Job>, threads: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            job,
            queue: Mutex::new(Queue::default()),
            wanted: Condvar::new(),
            finished: Condvar::new(),
            stop: AtomicBool::new(false),
        });
        let mut pool = Self { shared, threads: Vec::new() };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&pool.shared);
            let builder = Builder::new().name(format!("runq-sweep-{number}")).stack_size(STACK_BYTES);
            pool.threads.push(builder.spawn(move || shared.work())?);
        }
        Ok(pool)
    }

    /// What all points share.
    pub fn job(&self) -> &Arc<Job> {
        &self.shared.job
    }

    /// Queues a chunk.
    pub fn submit(&self, id: u64, chunk: Chunk) {
        let points = chunk.points.len();
        let mut queue = self.shared.lock();
        if points == 0 {
            queue.done.push_back((id, Vec::new()));
            self.shared.finished.notify_all();
            return;
        }
        let rows = vec![None; points];
        queue.works.push_back(Work { id, chunk: Arc::new(chunk), next: 0, rows, left: points });
        self.shared.wanted.notify_all();
    }

    /// A chunk that is done, with its rows in the order of its points; waits for one for a while.
    pub fn wait(&self, timeout: Duration) -> Option<(u64, Vec<Row>)> {
        let mut queue = self.shared.lock();
        if queue.done.is_empty() {
            queue = match self.shared.finished.wait_timeout(queue, timeout) {
                Ok((queue, _)) => queue,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        queue.done.pop_front()
    }

    /// Lets running points end as soon as they look, and drops those that wait.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut queue = self.shared.lock();
        queue.is_closed = true;
        queue.works.clear();
        self.shared.wanted.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.stop();
        for thread in self.threads.drain(..) {
            // A thread catches the panics of points; of its own it has none.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What each thread does.
    fn work(&self) {
        while let Some((id, chunk, place)) = self.take() {
            let row = self.job.run(&chunk, &chunk.points[place], &self.stop);
            if row.outcome == Outcome::Stopped {
                continue;
            }
            let mut queue = self.lock();
            let Some(at) = queue.works.iter().position(|work| work.id == id) else { continue };
            queue.works[at].rows[place] = Some(row);
            queue.works[at].left -= 1;
            if queue.works[at].left == 0
                && let Some(work) = queue.works.remove(at)
            {
                let rows = work.rows.into_iter().map(|row| row.expect("all points are done")).collect();
                queue.done.push_back((id, rows));
                self.finished.notify_all();
            }
        }
    }

    /// The next point; waits for one. `None` when the pool closes.
    fn take(&self) -> Option<(u64, Arc<Chunk>, usize)> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            if let Some(work) = queue.works.iter_mut().find(|work| work.next < work.rows.len()) {
                work.next += 1;
                return Some((work.id, Arc::clone(&work.chunk), work.next - 1));
            }
            queue = self.wanted.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
