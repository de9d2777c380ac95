//! A load of concurrent clients whose history is recorded and checked.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quorate_core::Rng;
use quorate_lin::{Access, Answer, Budget, History, Pending, Register, Verdict, check};

use crate::{Client, Outcome, now};

type Recorded = History<String, Access<String>, Answer<String>>;

/// Clients that write, read, swap and delete a few keys until they are stopped, and keep a ledger:
/// keys that are written once, so that each must be there at the end if its write was acknowledged.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    history: Mutex<Recorded>,
    /// When each write was acknowledged, and how long it took.
    writes: Mutex<Vec<(Instant, Duration)>>,
    /// Keys of the ledger whose write was acknowledged.
    ledger: Mutex<BTreeSet<String>>,
    stop: AtomicBool,
    ok: AtomicU64,
    failed: AtomicU64,
    unknown: AtomicU64,
    values: AtomicU64,
}

/// What a load saw.
#[derive(Debug)]
pub struct LoadReport {
    /// Calls that took effect.
    pub ok: u64,
    /// Calls that had no effect.
    pub failed: u64,
    /// Calls whose outcome nobody knows.
    pub unknown: u64,
    /// How many keys of the ledger were acknowledged.
    pub entered: usize,
    /// Those of them that are not there.
    pub missing: Vec<String>,
    /// Whether the history, with the final reads, is linearizable.
    pub verdict: Verdict<String>,
}

const KEYS: u64 = 5;
/// Keys of the ledger begin so.
const LEDGER: &str = "ledger.";

impl Load {
    /// Starts `clients` threads; each goes from one of `nodes` to the next when a call does not
    /// succeed, as a client with a list of addresses does.
    #[must_use]
    pub fn start(nodes: &[Client], clients: u64, seed: u64) -> Self {
        let shared = Arc::new(Shared {
            history: Mutex::new(History::new()),
            writes: Mutex::default(),
            ledger: Mutex::default(),
            stop: AtomicBool::new(false),
            ok: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unknown: AtomicU64::new(0),
            values: AtomicU64::new(0),
        });
        let threads = (0..clients)
            .map(|number| {
                let (shared, nodes) = (shared.clone(), nodes.to_vec());
                let rng = Rng::stream(seed, &format!("client {number}"));
                std::thread::spawn(move || shared.run(number, &nodes, rng))
            })
            .collect();
        Self { shared, threads }
    }

    /// How many calls took effect so far.
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.shared.ok.load(Ordering::Relaxed)
    }

    /// How long after `moment` the first write was acknowledged that was also begun after it: an
    /// answer that was on its way at `moment` proves nothing.
    #[must_use]
    pub fn written_since(&self, moment: Instant) -> Option<Duration> {
        let writes = lock(&self.shared.writes);
        let begun_since = |(at, took): &&(Instant, Duration)| *at - *took > moment;
        writes.iter().filter(begun_since).map(|(at, _)| *at - moment).min()
    }

    /// Stops the clients, reads every key back through `reader` and checks the whole history.
    ///
    /// # Panics
    ///
    /// If a client's thread panicked.
    #[must_use]
    pub fn finish(self, reader: &Client) -> LoadReport {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("a client's thread does not panic");
        }
        let shared = self.shared;
        for key in 0..KEYS {
            shared.read(u64::MAX, &format!("k{key}"), reader);
        }
        let entered = lock(&shared.ledger);
        let there = keys_under(LEDGER, reader);
        let missing = entered.difference(&there).cloned().collect();
        let history = lock(&shared.history);
        let verdict = check(&Register::new(), &*history, &mut Budget::steps(50_000_000));
        LoadReport {
            ok: shared.ok.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            unknown: shared.unknown.load(Ordering::Relaxed),
            entered: entered.len(),
            missing,
            verdict,
        }
    }
}

/// Every key that begins with `prefix`, page by page.
fn keys_under(prefix: &str, reader: &Client) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/kv?prefix={prefix}&limit=500&after={after}");
        // What cannot be read is missing.
        let Some((200, page)) = reader.call("GET", &path, None) else { return keys };
        let items = page["items"].as_array().into_iter().flatten();
        let before = keys.len();
        keys.extend(items.filter_map(|item| Some(item["key"].as_str()?.to_owned())));
        match keys.last() {
            Some(last) if page["more"] == true && keys.len() > before => after.clone_from(last),
            _ => return keys,
        }
    }
}

impl Shared {
    fn run(&self, number: u64, nodes: &[Client], mut rng: Rng) {
        let mut at = rng.index(nodes.len());
        while !self.stop.load(Ordering::Relaxed) {
            let key = format!("k{}", rng.below(KEYS));
            let value = || format!("v{}", self.values.fetch_add(1, Ordering::Relaxed));
            let node = &nodes[at];
            let good = match rng.below(10) {
                0 => self.enter(value(), node),
                1..=3 => self.write(number, &key, value(), node),
                4..=7 => self.read(number, &key, node),
                8 => self.swap(number, &key, value(), node),
                _ => self.delete(number, &key, node),
            };
            if !good {
                at = (at + 1) % nodes.len();
            }
        }
    }

    fn invoke(&self, number: u64, key: &str, access: Access<String>) -> Pending {
        lock(&self.history).invoke(number, key.to_owned(), access)
    }

    fn settle<T>(
        &self,
        call: Pending,
        outcome: Outcome<T>,
        answer: impl FnOnce(T) -> Answer<String>,
    ) -> bool {
        let mut history = lock(&self.history);
        match outcome {
            Outcome::Ok(value) => {
                history.ok(call, answer(value));
                self.ok.fetch_add(1, Ordering::Relaxed);
                true
            }
            Outcome::Failed(..) => {
                history.fail(call);
                self.failed.fetch_add(1, Ordering::Relaxed);
                false
            }
            Outcome::Unknown(_) => {
                history.info(call);
                self.unknown.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    fn write(&self, number: u64, key: &str, value: String, node: &Client) -> bool {
        let call = self.invoke(number, key, Access::Write(value.clone()));
        let begun = now();
        let outcome = node.put(key, &value);
        let ended = now();
        let good = self.settle(call, outcome, |_| Answer::Done);
        if good {
            lock(&self.writes).push((ended, ended - begun));
        }
        good
    }

    fn enter(&self, value: String, node: &Client) -> bool {
        let key = format!("{LEDGER}{value}");
        let begun = now();
        match node.put(&key, &value) {
            Outcome::Ok(_) => {
                let ended = now();
                lock(&self.ledger).insert(key);
                lock(&self.writes).push((ended, ended - begun));
                self.ok.fetch_add(1, Ordering::Relaxed);
                true
            }
            Outcome::Failed(..) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                false
            }
            Outcome::Unknown(_) => {
                self.unknown.fetch_add(1, Ordering::Relaxed);
                false
            }
        }
    }

    fn read(&self, number: u64, key: &str, node: &Client) -> bool {
        let call = self.invoke(number, key, Access::Read);
        self.settle(call, node.get(key), |item| Answer::Value(item.map(|item| item.value)))
    }

    fn swap(&self, number: u64, key: &str, value: String, node: &Client) -> bool {
        // What is expected is what some client wrote lately; it often is there.
        let last = self.values.load(Ordering::Relaxed).saturating_sub(2);
        let expected = format!("v{last}");
        let access = Access::Cas { expected: Some(expected.clone()), new: Some(value.clone()) };
        let call = self.invoke(number, key, access);
        let outcome = node.compare_and_swap(key, Some(&expected), Some(&value));
        self.settle(call, outcome, Answer::Swapped)
    }

    fn delete(&self, number: u64, key: &str, node: &Client) -> bool {
        let call = self.invoke(number, key, Access::Delete);
        self.settle(call, node.delete(key), Answer::Deleted)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
