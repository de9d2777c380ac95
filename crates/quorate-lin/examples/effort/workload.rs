//! Long histories from a seed: many clients, keys, lost answers, late effects.

use quorate_lin::{Access, Answer, History, Pending};

/// What a history is to look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) seed: u64,
    pub(crate) operations: u64,
    pub(crate) keys: u64,
    pub(crate) processes: u64,
    /// Of a thousand calls, how many lose their answer: a third of these took effect, a third will
    /// later, a third never.
    pub(crate) unknown_permille: u64,
    /// Of a hundred calls, how many read; half of the others write, half compare and swap.
    pub(crate) reads_percent: u64,
    /// Whether nothing compares: the others all write.
    pub(crate) plain: bool,
    /// Different values; 0 for never the same one twice.
    pub(crate) values: u64,
    /// Whether every client stays in its call for long, so that all of them always overlap.
    pub(crate) crowded: bool,
    /// At which call a read answers with a value that was replaced long ago.
    pub(crate) stale_at: Option<u64>,
}

impl Workload {
    /// 100,000 operations of 16 clients on 20 keys, two of a hundred with unknown outcome.
    pub(crate) const fn usual() -> Self {
        Self {
            seed: 1,
            operations: 100_000,
            keys: 20,
            processes: 16,
            unknown_permille: 20,
            reads_percent: 50,
            plain: false,
            values: 0,
            crowded: false,
            stale_at: None,
        }
    }

    /// The history.
    pub(crate) fn history(self) -> History<u64, Access<u64>, Answer<u64>> {
        let mut run = Run {
            of: self,
            random: self.seed,
            history: History::new(),
            values: vec![None; self.keys as usize],
            old: vec![[None; 2]; self.keys as usize],
            lost: Vec::new(),
            begun: 0,
            written: 0,
        };
        let mut calls: Vec<Option<Call>> = (0..self.processes).map(|_| None).collect();
        while run.begun < self.operations || calls.iter().any(Option::is_some) {
            if !run.lost.is_empty() && run.below(50) == 0 {
                let at = run.below(run.lost.len() as u64) as usize;
                let (key, input) = run.lost.swap_remove(at);
                run.execute(key, &input);
            }
            let process = run.below(self.processes);
            let slot = &mut calls[process as usize];
            *slot = match slot.take() {
                None => run.begin(process),
                Some(call) => run.advance(call),
            };
        }
        run.history
    }
}

struct Run {
    of: Workload,
    random: u64,
    history: History<u64, Access<u64>, Answer<u64>>,
    values: Vec<Option<u64>>,
    /// By key, a value that is gone, and one that will be by the time it moves up.
    old: Vec<[Option<u64>; 2]>,
    lost: Vec<(u64, Access<u64>)>,
    begun: u64,
    written: u64,
}

struct Call {
    pending: Pending,
    number: u64,
    key: u64,
    input: Access<u64>,
    answer: Option<Answer<u64>>,
}

impl Run {
    fn begin(&mut self, process: u64) -> Option<Call> {
        if self.begun == self.of.operations {
            return None;
        }
        self.begun += 1;
        let number = self.begun;
        let key = self.below(self.of.keys);
        let input = if Some(number) == self.of.stale_at { Access::Read } else { self.draw(key) };
        let pending = self.history.invoke(process, key, input.clone());
        Some(Call { pending, number, key, input, answer: None })
    }

    fn advance(&mut self, mut call: Call) -> Option<Call> {
        if self.of.crowded && self.below(8) > 0 {
            return Some(call);
        }
        if let Some(mut answer) = call.answer.take() {
            if Some(call.number) == self.of.stale_at {
                answer = Answer::Value(self.old[call.key as usize][0]);
            }
            self.history.ok(call.pending, answer);
            return None;
        }
        if self.below(1_000) >= self.of.unknown_permille || Some(call.number) == self.of.stale_at {
            call.answer = Some(self.execute(call.key, &call.input));
            return Some(call);
        }
        self.history.info(call.pending);
        match self.below(3) {
            0 => drop(self.execute(call.key, &call.input)),
            1 => self.lost.push((call.key, call.input)),
            _ => {}
        }
        None
    }

    fn draw(&mut self, key: u64) -> Access<u64> {
        if self.below(100) < self.of.reads_percent {
            return Access::Read;
        }
        self.written += 1;
        let values = self.of.values;
        let value = if values == 0 { self.written } else { self.below(values) };
        if self.of.plain || self.below(2) == 0 {
            return Access::Write(value);
        }
        Access::Cas { expected: self.values[key as usize], new: Some(value) }
    }

    fn execute(&mut self, key: u64, input: &Access<u64>) -> Answer<u64> {
        let before = self.values[key as usize];
        let after = match input {
            Access::Write(value) => Some(*value),
            Access::Cas { expected, new } if before == *expected => *new,
            _ => before,
        };
        self.values[key as usize] = after;
        if after != before && (self.old[key as usize][1].is_none() || self.below(20) == 0) {
            self.old[key as usize] = [self.old[key as usize][1], before];
        }
        match input {
            Access::Read => Answer::Value(before),
            Access::Cas { expected, .. } => Answer::Swapped(before == *expected),
            Access::Write(_) | Access::Delete | Access::Append(_) => Answer::Done,
        }
    }

    /// `SplitMix64`: small, and the same everywhere.
    const fn below(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % end
    }
}
