//! A few threads that verify passwords. Argon2id takes tens of milliseconds and 19 MiB, on purpose: a bound on
//! threads and on the queue keeps a flood of guesses from taking the processor and the memory.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Condvar, Mutex};

use super::secrets::verify_password;

/// A password to verify, and what to do with the answer.
pub struct HashJob {
    /// The Argon2id PHC string.
    pub phc: Box<str>,
    /// What the client sent.
    pub password: Box<[u8]>,
    /// Called with the answer on a thread of the pool.
    pub done: Box<dyn FnOnce(bool) + Send>,
}

/// The threads and their queue.
pub struct HashPool {
    queue: Arc<Queue>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    capacity: usize,
}

#[derive(Default)]
struct State {
    jobs: std::collections::VecDeque<HashJob>,
    stopped: bool,
}

impl HashPool {
    /// Starts `threads` threads with a queue of `capacity` jobs.
    pub fn start(threads: usize, capacity: usize) -> io::Result<Self> {
        let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new(), capacity });
        let threads = (0..threads)
            .map(|n| {
                let queue = queue.clone();
                std::thread::Builder::new().name(format!("hash-{n}")).spawn(move || queue.work())
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self { queue, threads: Mutex::new(threads) })
    }

    /// Takes a job, or gives it back when the queue is full.
    pub fn submit(&self, job: HashJob) -> Result<(), HashJob> {
        let mut state = self.queue.state.lock();
        if state.stopped || state.jobs.len() >= self.queue.capacity {
            return Err(job);
        }
        state.jobs.push_back(job);
        drop(state);
        self.queue.changed.notify_one();
        Ok(())
    }

    /// Forgets what waits, and ends the threads.
    pub fn stop(&self) {
        let mut state = self.queue.state.lock();
        state.stopped = true;
        let forgotten = std::mem::take(&mut state.jobs);
        drop(state);
        drop(forgotten);
        self.queue.changed.notify_all();
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // A thread that panicked has nothing to tell here.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn work(&self) {
        loop {
            let mut state = self.state.lock();
            while state.jobs.is_empty() && !state.stopped {
                self.changed.wait(&mut state);
            }
            if state.stopped {
                return;
            }
            let job = state.jobs.pop_front();
            drop(state);
            if let Some(job) = job {
                (job.done)(verify_password(&job.phc, &job.password));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::super::secrets::hash_password;
    use super::*;

    #[test]
    fn answers_come_back_and_a_full_queue_gives_the_job_back() {
        let pool = HashPool::start(1, 1).unwrap();
        let phc: Box<str> = hash_password("right").unwrap().into();
        let (release, gate) = channel::<()>();
        let (entered, inside) = channel();
        let job = |done: Box<dyn FnOnce(bool) + Send>| HashJob {
            phc: phc.clone(),
            password: (*b"right").into(),
            done,
        };
        let blocked = job(Box::new(move |_| {
            entered.send(()).unwrap();
            gate.recv().unwrap();
        }));
        assert!(pool.submit(blocked).is_ok());
        inside.recv().unwrap();
        let (answer, answers) = channel();
        assert!(pool.submit(job(Box::new(move |right| answer.send(right).unwrap()))).is_ok());
        assert!(pool.submit(job(Box::new(|_| {}))).is_err());
        release.send(()).unwrap();
        assert!(answers.recv().unwrap());
        pool.stop();
        assert!(pool.submit(job(Box::new(|_| {}))).is_err());
    }
}
