//! Threads for what takes too long for a shard: password hashes, TLS handshakes. Jobs come in and their answers go out by
//! themselves, so that a shard never waits for a thread of a pool.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use mohhos_locks::{Condvar, Mutex};

/// Something to do for a thread of a pool.
pub trait Job: Send + 'static {
    /// It goes before those that are not urgent.
    fn is_urgent(&self) -> bool {
        false
    }

    /// Somebody still waits for it; else it is forgotten.
    fn is_wanted(&self) -> bool {
        true
    }

    /// Does it, and tells whoever waits for it.
    fn run(self);
}

/// The threads and their queue.
pub struct Pool<J> {
    queue: Arc<Queue<J>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    capacity: usize,
}

struct State<J> {
    urgent: VecDeque<J>,
    others: VecDeque<J>,
    stopped: bool,
}

impl<J: Job> Pool<J> {
    /// Starts `threads` threads, named after the pool, with a queue of `capacity` jobs. Each thread calls `prepare` first.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn start(name: &str, threads: usize, capacity: usize, prepare: fn()) -> io::Result<Self> {
        let state = State { urgent: VecDeque::new(), others: VecDeque::new(), stopped: false };
        let queue = Arc::new(Queue { state: Mutex::new(state), changed: Condvar::new(), capacity });
        let pool = Self { queue, threads: Mutex::default() };
        for n in 0..threads {
            let queue = pool.queue.clone();
            let thread = std::thread::Builder::new().name(format!("{name}-{n}")).spawn(move || {
                prepare();
                queue.work();
            });
            match thread {
                Ok(thread) => pool.threads.lock().push(thread),
                Err(error) => {
                    pool.stop();
                    return Err(error);
                }
            }
        }
        Ok(pool)
    }

    /// Takes a job, or gives it back when the queue is full of jobs that are wanted, or the pool has stopped.
    ///
    /// # Errors
    /// The job itself.
    pub fn submit(&self, job: J) -> Result<(), J> {
        let mut state = self.queue.state.lock();
        if state.len() >= self.queue.capacity {
            state.forget_unwanted();
        }
        if state.stopped || state.len() >= self.queue.capacity {
            return Err(job);
        }
        if job.is_urgent() {
            state.urgent.push_back(job);
        } else {
            state.others.push_back(job);
        }
        drop(state);
        self.queue.changed.notify_one();
        Ok(())
    }

    /// Forgets what waits, and ends the threads.
    pub fn stop(&self) {
        let mut state = self.queue.state.lock();
        state.stopped = true;
        let forgotten = (std::mem::take(&mut state.urgent), std::mem::take(&mut state.others));
        drop(state);
        drop(forgotten);
        self.queue.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock());
        mohhos_locks::about_to_wait();
        for thread in threads {
            // A thread that panicked has nothing to tell here.
            let _ = thread.join();
        }
    }
}

impl<J: Job> State<J> {
    fn len(&self) -> usize {
        self.urgent.len() + self.others.len()
    }

    fn forget_unwanted(&mut self) {
        self.urgent.retain(Job::is_wanted);
        self.others.retain(Job::is_wanted);
    }

    fn next(&mut self) -> Option<J> {
        self.urgent.pop_front().or_else(|| self.others.pop_front())
    }
}

impl<J: Job> Queue<J> {
    fn work(&self) {
        loop {
            let mut state = self.state.lock();
            let job = loop {
                if state.stopped {
                    return;
                }
                match state.next() {
                    Some(job) => break job,
                    None => self.changed.wait(&mut state),
                }
            };
            drop(state);
            if job.is_wanted() {
                job.run();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Weak};

    use super::*;

    struct Word {
        word: &'static str,
        urgent: bool,
        wanted: Option<Weak<()>>,
        said: Sender<&'static str>,
        after: Option<Receiver<()>>,
    }

    impl Job for Word {
        fn is_urgent(&self) -> bool {
            self.urgent
        }

        fn is_wanted(&self) -> bool {
            self.wanted.as_ref().is_none_or(|wanted| wanted.strong_count() > 0)
        }

        fn run(self) {
            self.said.send(self.word).unwrap();
            if let Some(gate) = self.after {
                gate.recv().unwrap();
            }
        }
    }

    /// A pool with one thread, which is busy until the sender says otherwise.
    fn busy(capacity: usize) -> (Pool<Word>, Sender<()>, Sender<&'static str>, Receiver<&'static str>) {
        let pool = Pool::start("test", 1, capacity, || {}).unwrap();
        let (said, words) = channel();
        let (release, gate) = channel();
        let first =
            Word { word: "first", urgent: false, wanted: None, said: said.clone(), after: Some(gate) };
        assert!(pool.submit(first).is_ok());
        assert_eq!(words.recv().unwrap(), "first");
        (pool, release, said, words)
    }

    fn word(word: &'static str, said: &Sender<&'static str>) -> Word {
        Word { word, urgent: false, wanted: None, said: said.clone(), after: None }
    }

    #[test]
    fn what_is_urgent_goes_first_and_a_full_queue_gives_the_job_back() {
        let (pool, release, said, words) = busy(3);
        for job in [word("a", &said), word("b", &said), Word { urgent: true, ..word("urgent", &said) }] {
            assert!(pool.submit(job).is_ok());
        }
        assert!(pool.submit(word("beyond", &said)).is_err());
        release.send(()).unwrap();
        assert_eq!([words.recv(), words.recv(), words.recv()], [Ok("urgent"), Ok("a"), Ok("b")]);
        pool.stop();
        assert!(pool.submit(word("late", &said)).is_err());
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_done_and_takes_no_place() {
        let (pool, release, said, words) = busy(2);
        let (stays, goes) = (Arc::new(()), Arc::new(()));
        for (name, who) in [("stays", &stays), ("goes", &goes)] {
            assert!(pool.submit(Word { wanted: Some(Arc::downgrade(who)), ..word(name, &said) }).is_ok());
        }
        assert!(pool.submit(word("beyond", &said)).is_err(), "both are waited for");
        drop(goes);
        assert!(pool.submit(word("late", &said)).is_ok());
        drop(stays);
        release.send(()).unwrap();
        assert_eq!(words.recv().unwrap(), "late");
        pool.stop();
        drop(said);
        assert!(words.recv().is_err(), "nothing else was done");
    }
}
