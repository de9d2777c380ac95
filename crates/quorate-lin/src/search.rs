use crate::Model;
use crate::bits::Bits;
use crate::demand::Demand;
use crate::effects::Effects;
use crate::hidden::hidden;
use crate::partition::{Class, Partition};
use std::collections::BTreeMap;

/// The search for one key: depth first over configurations, resumable after any number of steps.
///
/// A configuration is (`next`, `window`, `state`, `used`): the first completed operation that is
/// not linearized, the operations linearized ahead of it, the state, and the unknown operations
/// that took effect. Everything before `next` is linearized, so the window has one bit for each
/// operation in flight and not for each of the history. Six arguments keep the search small:
///
/// 1. An operation that only reads is linearized as soon as it is legal. Any order in which it
///    comes later stays legal when it is moved here.
/// 2. An unknown operation takes effect only directly before an operation to which it makes a
///    difference. Otherwise it can be moved behind that operation, or left out.
/// 3. A configuration that failed makes those fail that differ by *more* used unknown operations:
///    what they can still do, it could do too. So `used` is compared by inclusion.
/// 4. Equal unknown operations are used in the order of their invocation (see `partition.rs`).
/// 5. A state that somebody needs is not left for good (see `demand.rs`).
/// 6. An operation that nobody can tell from no operation is linearized before the first one that
///    hides what it did. Any order in which it comes later stays legal when it is moved here.
///
/// For 2, take the legal order with the fewest unknown operations, and of those one in which the
/// number of completed operations behind each unknown one, added up, is smallest: in it no unknown
/// operation can be moved or left out. Arguments 1 and 3 never turn it into a worse one.
pub(crate) struct Search<M: Model> {
    pub(crate) partition: Partition<M>,
    stack: Vec<Frame<M::State>>,
    /// Operations in the order linearized, as the partition numbers them.
    path: Vec<u32>,
    /// By `next`: configurations seen, with the smallest sets of used unknown operations.
    seen: Vec<Seen<M::State>>,
    /// Sets of used unknown operations, by the number `Reach::used` and `seen` call them.
    used: Vec<Bits>,
    effects: Effects<M::State>,
    demand: Demand<M::State>,
    hidden: Vec<bool>,
    /// How many completed operations are to be linearized.
    goal: u32,
    longest: Longest,
    /// The last operation whose completion a configuration might reach that was given up early.
    bound: u32,
    /// Whether `path` holds every completed operation up to `goal`.
    complete: bool,
    steps: u64,
}

/// By window and state: antichains of used sets, by their numbers.
type Seen<S> = BTreeMap<(Bits, S), Vec<u32>>;

/// What a search came to.
pub(crate) enum Found {
    /// A legal order.
    Order(Vec<u32>),
    /// That there is none.
    Nothing {
        /// The one that came farthest.
        longest: Longest,
        /// None includes the completion of this operation.
        bound: u32,
    },
}

/// The linearization that came farthest.
#[derive(Clone, Default)]
pub(crate) struct Longest {
    /// The completed operation it could not include, although everything completed before it is.
    pub(crate) blocked: u32,
    linearized: u32,
    pub(crate) path: Vec<u32>,
}

impl Longest {
    /// Everything that completed before `blocked`.
    pub(crate) const fn complete(blocked: u32, path: Vec<u32>) -> Self {
        Self { blocked, linearized: blocked, path }
    }
}

/// A configuration whose successors are being tried.
struct Frame<S> {
    next: u32,
    window: Bits,
    /// The state, and behind it those that unknown operations lead to from here.
    reach: Vec<Reach<S>>,
    /// Which of `reach` is being tried, and with which of the open operations.
    reach_at: usize,
    open_at: usize,
    /// States of `reach`, once there are several.
    reached: BTreeMap<S, Vec<u32>>,
    path_len: usize,
}

/// A state that unknown operations lead to.
struct Reach<S> {
    state: S,
    used: u32,
    /// The unknown operation that led here (its class and number) and where from.
    via: Option<Via>,
}

#[derive(Clone, Copy)]
struct Via {
    from: usize,
    class: u32,
    number: u32,
}

impl<M: Model> Search<M> {
    pub(crate) fn new(model: &M, partition: Partition<M>) -> Self {
        let known = partition.known();
        let demand = Demand::new(model, &partition, known);
        let mut search = Self {
            stack: Vec::new(),
            path: Vec::new(),
            seen: (0..known).map(|_| BTreeMap::new()).collect(),
            used: vec![Bits::default()],
            effects: Effects::new(model, &partition.classes),
            hidden: hidden(model, &partition, &demand),
            demand,
            goal: known,
            longest: Longest::default(),
            bound: 0,
            complete: false,
            steps: 0,
            partition,
        };
        search.enter(model, 0, Bits::default(), model.initial(), 0);
        search
    }

    /// Begins anew, with only the first `goal` completed operations to be linearized.
    pub(crate) fn restart(&mut self, model: &M, goal: u32) {
        self.stack.clear();
        self.path.clear();
        self.seen = (0..goal).map(|_| BTreeMap::new()).collect();
        self.used.truncate(1);
        self.demand.restart(goal);
        self.goal = goal;
        self.longest = Longest::default();
        self.bound = 0;
        self.complete = false;
        self.enter(model, 0, Bits::default(), model.initial(), 0);
    }

    pub(crate) const fn goal(&self) -> u32 {
        self.goal
    }

    /// How many completed operations the deepest configuration so far has linearized.
    pub(crate) fn progress(&self) -> u32 {
        let deepest = self.stack.last().map_or(0, |frame| frame.next + frame.window.count());
        deepest.max(self.longest.linearized)
    }

    /// Searches for about `limit` steps. Returns what it came to, if it did, and the steps taken.
    pub(crate) fn run(&mut self, model: &M, limit: u64) -> (Option<Found>, u64) {
        let begun = self.steps;
        let outcome = loop {
            if self.complete {
                break Some(Found::Order(std::mem::take(&mut self.path)));
            }
            let Some(mut frame) = self.stack.pop() else {
                let longest = std::mem::take(&mut self.longest);
                let bound = self.bound.max(longest.blocked);
                break Some(Found::Nothing { longest, bound });
            };
            if self.steps - begun >= limit {
                self.stack.push(frame);
                break None;
            }
            match self.successor(model, &mut frame) {
                Some((op, state)) => {
                    let used = frame.reach[frame.reach_at].used;
                    self.walk(&frame);
                    let window = self.hide(model, &frame, op, &state);
                    let (next, window) = self.linearize(op, frame.next, window);
                    self.stack.push(frame);
                    self.enter(model, next, window, state, used);
                }
                None => self.abandon(&frame),
            }
        };
        (outcome, self.steps - begun)
    }

    /// The next way on from `frame`: an operation and the state it leads to, from the `Reach` that
    /// `frame` is at.
    fn successor(&mut self, model: &M, frame: &mut Frame<M::State>) -> Option<(u32, M::State)> {
        while frame.reach_at < frame.reach.len() {
            while let Some(&op) = self.partition.open(frame.next).get(frame.open_at) {
                frame.open_at += 1;
                if !frame.window.has(self.partition.slots[op as usize])
                    && let Some(state) = self.attempt(model, frame, op)
                {
                    return Some((op, state));
                }
            }
            self.extend_reach(model, frame);
            frame.reach_at += 1;
            frame.open_at = 0;
        }
        None
    }

    /// The state after `op`, unless it is illegal or the unknown operation before it pointless.
    fn attempt(&mut self, model: &M, frame: &Frame<M::State>, op: u32) -> Option<M::State> {
        let here = &frame.reach[frame.reach_at];
        let (input, output) = &self.partition.calls[op as usize];
        let output = output.as_ref();
        let Some(via) = here.via else {
            if self.partition.reads[op as usize] {
                return None; // were it legal, `enter` had linearized it
            }
            self.steps += 1;
            return model.step(&here.state, input, output);
        };
        let unknown = &self.partition.classes[via.class as usize].input;
        if !model.may_matter(unknown, input, output) {
            return None;
        }
        self.steps += 2;
        let after = model.step(&here.state, input, output)?;
        if let Some(without) = model.step(&frame.reach[via.from].state, input, output) {
            self.steps += 1;
            if without == after || model.step(&without, unknown, None).as_ref() == Some(&after) {
                return None;
            }
        }
        Some(after)
    }

    /// Appends to `frame.reach` what one more unknown operation leads to from where it is.
    fn extend_reach(&mut self, model: &M, frame: &mut Frame<M::State>) {
        if self.partition.classes.is_empty() {
            return;
        }
        let known = self.partition.known();
        let now = self.partition.completed(frame.next);
        let ahead: Vec<u32> = self.ahead(frame).collect();
        self.effects.ask();
        let count = self.effects.count(&frame.reach[frame.reach_at].state);
        self.steps += count as u64 / 8;
        for index in 0..count {
            let here = &frame.reach[frame.reach_at];
            let class = self.effects.class(&here.state, index);
            let Class { input, first, invoked } = &self.partition.classes[class as usize];
            let used = &self.used[here.used as usize];
            let at = used.first_missing(first - known) - (first - known);
            if invoked.get(at as usize).is_none_or(|invoked| *invoked > now) {
                continue;
            }
            self.steps += 1;
            let useless = here.via.is_some_and(|via| {
                let before = &self.partition.classes[via.class as usize].input;
                !model.may_matter(before, input, None)
            });
            if useless || !self.effects.matters(model, &self.partition, class, &ahead) {
                continue;
            }
            let Some(state) = model.step(&here.state, input, None) else { continue };
            if state == here.state {
                continue;
            }
            let mut used = used.clone();
            used.set(first - known + at);
            let via = Some(Via { from: frame.reach_at, class, number: first + at });
            self.reach(frame, state, used, via);
        }
    }

    /// The operations that may come next.
    fn ahead(&self, frame: &Frame<M::State>) -> impl Iterator<Item = u32> {
        let open = self.partition.open(frame.next).iter().copied();
        open.filter(|&op| !frame.window.has(self.partition.slots[op as usize]))
    }

    /// Adds a state to `frame.reach` unless it was reached with no more unknown operations.
    fn reach(
        &mut self,
        frame: &mut Frame<M::State>,
        state: M::State,
        used: Bits,
        via: Option<Via>,
    ) {
        if frame.reached.is_empty() {
            frame.reached.insert(frame.reach[0].state.clone(), vec![frame.reach[0].used]);
        }
        let before = frame.reached.entry(state.clone()).or_default();
        self.steps += before.len() as u64;
        if before.iter().any(|&id| self.used[id as usize].is_within(&used)) {
            return;
        }
        let id = u32::try_from(self.used.len()).expect("memory ends before 2^32 sets");
        self.used.push(used);
        before.push(id);
        frame.reach.push(Reach { state, used: id, via });
    }

    /// Records the unknown operations that lead to where `frame` is.
    fn walk(&mut self, frame: &Frame<M::State>) {
        let begin = self.path.len();
        let mut via = frame.reach[frame.reach_at].via;
        while let Some(Via { from, number, .. }) = via {
            self.push(number);
            via = frame.reach[from].via;
        }
        self.path[begin..].reverse();
    }

    /// Linearizes what `op`, which leads to `after`, is going to hide; returns the window.
    fn hide(&mut self, model: &M, frame: &Frame<M::State>, op: u32, after: &M::State) -> Bits {
        let mut window = frame.window.clone();
        let mut state = frame.reach[frame.reach_at].state.clone();
        let (input, output) = &self.partition.calls[op as usize];
        for at in 0..self.partition.open(frame.next).len() {
            let other = self.partition.open(frame.next)[at];
            let slot = self.partition.slots[other as usize];
            if other == op || !self.hidden[other as usize] || window.has(slot) {
                continue;
            }
            self.steps += 2;
            let (hidden, answer) = &self.partition.calls[other as usize];
            let Some(between) = model.step(&state, hidden, answer.as_ref()) else { continue };
            if model.step(&between, input, output.as_ref()).as_ref() == Some(after) {
                window.set(slot);
                state = between;
                self.path.push(other);
                self.demand.take(other);
            }
        }
        window
    }

    /// Records `op` as linearized, and moves past everything that now is.
    fn linearize(&mut self, op: u32, mut next: u32, mut window: Bits) -> (u32, Bits) {
        self.push(op);
        window.set(self.partition.slots[op as usize]);
        while next < self.partition.known() {
            let slot = self.partition.slots[next as usize];
            if !window.has(slot) {
                break;
            }
            window.clear(slot);
            next += 1;
        }
        (next, window)
    }

    /// Goes to a configuration: linearizes what only reads, and pushes what is left unless an
    /// equal or better one was seen.
    fn enter(&mut self, model: &M, mut next: u32, mut window: Bits, state: M::State, used: u32) {
        let mut at = 0;
        while next < self.goal {
            let Some(&op) = self.partition.open(next).get(at) else { break };
            at += 1;
            if !self.partition.reads[op as usize] || window.has(self.partition.slots[op as usize]) {
                continue;
            }
            self.steps += 1;
            let (input, output) = &self.partition.calls[op as usize];
            if model.step(&state, input, output.as_ref()).is_some() {
                let before = next;
                (next, window) = self.linearize(op, next, window);
                if next != before {
                    at = 0;
                }
            }
        }
        if next >= self.goal {
            self.complete = true;
            return;
        }
        if let Some(number) = self.lost(&state) {
            self.bound = self.bound.max(self.first_waiting(number, next, &window));
            self.note(next, &window);
        } else if self.is_new(next, &window, &state, used) {
            self.stack.push(Frame {
                next,
                window,
                reach: vec![Reach { state, used, via: None }],
                reach_at: 0,
                open_at: 0,
                reached: BTreeMap::new(),
                path_len: self.path.len(),
            });
            return;
        }
        self.back();
    }

    /// The number of a state that was left on the way from the last frame to `state`, and that
    /// somebody needs in vain.
    fn lost(&self, state: &M::State) -> Option<u32> {
        let frame = self.stack.last()?;
        let begin = &frame.reach[0].state;
        let lost = if begin == state { None } else { self.demand.lost(begin) };
        lost.or_else(|| {
            let left = self.path[frame.path_len..].iter();
            let mut lost = left.filter_map(|&number| self.demand.lost_after(number));
            lost.find(|&number| self.demand.lost(state) != Some(number))
        })
    }

    /// The first operation not linearized that needs the state with this number.
    fn first_waiting(&self, number: u32, next: u32, window: &Bits) -> u32 {
        let open = self.partition.open(next);
        let linearized = |op: &u32| {
            *op < next
                || open.binary_search(op).is_ok() && window.has(self.partition.slots[*op as usize])
        };
        let waiting = self.demand.waiting(number);
        waiting.iter().copied().find(|op| !linearized(op)).expect("somebody waits for it")
    }

    /// Remembers a configuration; false if one that can do as much was seen before.
    fn is_new(&mut self, next: u32, window: &Bits, state: &M::State, used: u32) -> bool {
        let Self { seen, used: sets, steps, .. } = self;
        let before = seen[next as usize].entry((window.clone(), state.clone())).or_default();
        *steps += before.len() as u64;
        let set = &sets[used as usize];
        if before.iter().any(|&id| sets[id as usize].is_within(set)) {
            return false;
        }
        before.retain(|&id| !set.is_within(&sets[id as usize]));
        before.push(used);
        true
    }

    /// Gives `frame` up, which is off the stack.
    fn abandon(&mut self, frame: &Frame<M::State>) {
        self.note(frame.next, &frame.window);
        self.back();
    }

    /// Keeps the path if it is the longest.
    fn note(&mut self, next: u32, window: &Bits) {
        let linearized = next + window.count();
        if self.longest.path.is_empty()
            || (next, linearized) > (self.longest.blocked, self.longest.linearized)
        {
            self.longest = Longest { blocked: next, linearized, path: self.path.clone() };
        }
    }

    fn push(&mut self, number: u32) {
        self.path.push(number);
        self.demand.take(number);
    }

    /// Takes back what was linearized since the last frame.
    fn back(&mut self) {
        let len = self.stack.last().map_or(0, |frame| frame.path_len);
        for number in self.path.drain(len..) {
            self.demand.put_back(number);
        }
    }
}
