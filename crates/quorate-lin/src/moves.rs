use crate::Model;
use crate::bits::Bits;
use crate::partition::{Class, Partition};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What can follow a configuration: the rules of the search, without its order.
pub(crate) struct Moves<M: Model> {
    pub(crate) partition: Partition<M>,
    /// Applications of the model and comparisons so far.
    pub(crate) steps: u64,
    /// By operation, completed ones first, then classes: the classes that may matter to it.
    enablers: Vec<Option<Box<[u32]>>>,
    /// By `next`: the unknown operations that have faded by then.
    faded: Vec<Option<Rc<Bits>>>,
}

/// How far an order has come.
#[derive(Clone)]
pub(crate) struct Config<S> {
    /// The first completed operation that is not linearized.
    pub(crate) next: u32,
    /// The operations behind it that are, by their slots.
    pub(crate) window: Bits,
    pub(crate) state: S,
    /// The unknown operations that took effect.
    pub(crate) used: Rc<Bits>,
    /// The last operation of the order, as a place in the trail.
    pub(crate) trail: u32,
}

/// What is alike in two configurations that differ only by their `used` and `trail`; a state that
/// has faded is no difference.
pub(crate) type Place<S> = (u32, Bits, Option<S>);

/// A configuration whose successors are being tried.
pub(crate) struct Frame<S> {
    pub(crate) config: Config<S>,
    /// States that unknown operations lead to from here; the first is the one without any.
    reach: Vec<Reach<S>>,
    /// Which of `reach` is being tried, and with which of the open operations.
    reach_at: usize,
    open_at: usize,
    /// Used sets of `reach` by state (`None` if faded), once there are several.
    reached: BTreeMap<Option<S>, Vec<Rc<Bits>>>,
    /// What unknown operations are tried for, once they are.
    needs: Option<Needs>,
}

/// The open operations to which an unknown one may make a difference, and the classes of those that
/// may, directly or through others.
struct Needs {
    ops: Box<[u32]>,
    classes: Box<[u32]>,
}

/// A state that unknown operations lead to.
struct Reach<S> {
    state: S,
    used: Rc<Bits>,
    /// The unknown operation that led here, and where from.
    via: Option<Via>,
}

#[derive(Clone, Copy)]
struct Via {
    from: usize,
    class: u32,
    number: u32,
}

/// A completed operation that can be linearized next, and what that leads to.
pub(crate) struct Step<S> {
    /// Unknown operations to execute before it, by number.
    pub(crate) unknown: Vec<u32>,
    pub(crate) op: u32,
    pub(crate) state: S,
    pub(crate) used: Rc<Bits>,
}

impl<S: Clone> Frame<S> {
    pub(crate) fn new(config: Config<S>) -> Self {
        let first = Reach { state: config.state.clone(), used: config.used.clone(), via: None };
        Self {
            config,
            reach: vec![first],
            reach_at: 0,
            open_at: 0,
            reached: BTreeMap::new(),
            needs: None,
        }
    }
}

impl<M: Model> Moves<M> {
    pub(crate) fn new(partition: Partition<M>) -> Self {
        let known = partition.known() as usize;
        Self {
            enablers: vec![None; known + partition.classes.len()],
            faded: vec![None; known],
            steps: 0,
            partition,
        }
    }

    /// The next way on from `frame`; ways without unknown operations come first.
    pub(crate) fn next(
        &mut self,
        model: &M,
        frame: &mut Frame<M::State>,
    ) -> Option<Step<M::State>> {
        while frame.reach_at < frame.reach.len() {
            while let Some(op) = self.candidate(frame) {
                frame.open_at += 1;
                if !frame.config.window.has(self.partition.slots[op as usize])
                    && let Some(state) = self.attempt(model, frame, op)
                {
                    let used = frame.reach[frame.reach_at].used.clone();
                    return Some(Step { unknown: unknown_before(frame), op, state, used });
                }
            }
            self.extend_reach(model, frame);
            frame.reach_at += 1;
            frame.open_at = 0;
        }
        None
    }

    fn candidate(&self, frame: &Frame<M::State>) -> Option<u32> {
        let open = || self.partition.open(frame.config.next);
        let ops = frame.needs.as_ref().map_or_else(open, |needs| &needs.ops);
        ops.get(frame.open_at).copied()
    }

    /// The first operation that only reads and is legal now.
    pub(crate) fn legal_read(&mut self, model: &M, config: &Config<M::State>) -> Option<u32> {
        let Partition { calls, reads, slots, .. } = &self.partition;
        self.partition.open(config.next).iter().copied().find(|&op| {
            let op = op as usize;
            if !reads[op] || config.window.has(slots[op]) {
                return false;
            }
            self.steps += 1;
            model.step(&config.state, &calls[op].0, calls[op].1.as_ref()).is_some()
        })
    }

    pub(crate) fn place(&self, model: &M, config: &Config<M::State>) -> Place<M::State> {
        let Config { next, window, state, .. } = config;
        (*next, window.clone(), self.name(model, state, *next))
    }

    /// Whether `used` leaves at least as much to be used as `other` when `next` is reached: the
    /// same or more, where faded operations count by their number alone. (All that are used were
    /// invoked before now, so whichever of these are left can replace one another.)
    pub(crate) fn is_no_more(&mut self, used: &Bits, other: &Bits, next: u32) -> bool {
        self.steps += 1;
        let Self { partition, faded, .. } = self;
        let faded = faded[next as usize].get_or_insert_with(|| Rc::new(partition.faded(next)));
        used.is_within_either(other, faded) && used.count_in(faded) <= other.count_in(faded)
    }

    /// The state, or `None` if it has faded.
    fn name(&self, model: &M, state: &M::State, next: u32) -> Option<M::State> {
        (!self.partition.is_faded(model, state, next)).then(|| state.clone())
    }

    /// The state after `op`, unless it is illegal or the unknown operation before it pointless.
    fn attempt(&mut self, model: &M, frame: &Frame<M::State>, op: u32) -> Option<M::State> {
        let here = &frame.reach[frame.reach_at];
        let (input, output) = &self.partition.calls[op as usize];
        let output = output.as_ref();
        let Some(via) = here.via else {
            if self.partition.reads[op as usize] {
                return None; // were it legal, it would be linearized already
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
        let needs = frame.needs.take().unwrap_or_else(|| self.needs(model, &frame.config));
        let now = self.partition.completed(frame.config.next);
        let known = self.partition.known();
        let mut tried_faded = false;
        for &class in &needs.classes {
            let here = &frame.reach[frame.reach_at];
            let Class { input, first, invoked, fades } = &self.partition.classes[class as usize];
            let faded = *fades <= frame.config.next;
            if faded && tried_faded {
                continue; // as good as the one tried
            }
            let spare = (*first..).zip(invoked).find(|(number, _)| !here.used.has(number - known));
            let Some((number, _)) = spare.filter(|(_, invoked)| **invoked <= now) else { continue };
            if here.via.is_some_and(|via| {
                let before = &self.partition.classes[via.class as usize].input;
                !model.may_matter(before, input, None)
            }) {
                continue;
            }
            tried_faded |= faded;
            self.steps += 1;
            let Some(state) = model.step(&here.state, input, None) else { continue };
            if state == here.state {
                continue;
            }
            let mut used = Bits::clone(&here.used);
            used.set(number - known);
            let via = Some(Via { from: frame.reach_at, class, number });
            self.reach(model, frame, Reach { state, used: Rc::new(used), via });
        }
        frame.needs = Some(needs);
    }

    /// Adds to `frame.reach` unless the state was reached with no more unknown operations.
    fn reach(&mut self, model: &M, frame: &mut Frame<M::State>, new: Reach<M::State>) {
        let next = frame.config.next;
        if frame.reached.is_empty() {
            let Config { state, used, .. } = &frame.config;
            frame.reached.insert(self.name(model, state, next), vec![used.clone()]);
        }
        let before = frame.reached.entry(self.name(model, &new.state, next)).or_default();
        if !before.iter().any(|used| self.is_no_more(used, &new.used, next)) {
            before.push(new.used.clone());
            frame.reach.push(new);
        }
    }

    fn needs(&mut self, model: &M, config: &Config<M::State>) -> Needs {
        let known = self.partition.known();
        let open = self.partition.open(config.next).iter().copied();
        let ops: Box<[u32]> = open
            .filter(|&op| {
                let (input, output) = &self.partition.calls[op as usize];
                // What leads to one state from everywhere, and is legal already, needs no help.
                self.steps += 1;
                !config.window.has(self.partition.slots[op as usize])
                    && (model.leaves(input).is_none()
                        || model.step(&config.state, input, output.as_ref()).is_none())
            })
            .collect();
        let mut ahead = ops.to_vec();
        let mut found = BTreeSet::new();
        while let Some(op) = ahead.pop() {
            let enablers = self.enablers(model, op).iter();
            let new = enablers.filter(|class| found.insert(**class));
            ahead.extend(new.map(|class| known + class));
        }
        Needs { ops, classes: found.into_iter().collect() }
    }

    /// Classes that may matter to `op`: a completed operation or, counted on from them, a class.
    fn enablers(&mut self, model: &M, op: u32) -> &[u32] {
        let Self { partition, enablers, steps, .. } = self;
        *steps += 1;
        enablers[op as usize].get_or_insert_with(|| {
            let (input, output) = match partition.calls.get(op as usize) {
                Some((input, output)) => (input, output.as_ref()),
                None => (&partition.classes[op as usize - partition.calls.len()].input, None),
            };
            *steps += partition.classes.len() as u64 / 8;
            (0..)
                .zip(&partition.classes)
                .filter(|(_, class)| model.may_matter(&class.input, input, output))
                .map(|(class, _)| class)
                .collect()
        })
    }
}

/// The unknown operations that lead to where `frame` is, in order.
fn unknown_before<S>(frame: &Frame<S>) -> Vec<u32> {
    let mut numbers = Vec::new();
    let mut via = frame.reach[frame.reach_at].via;
    while let Some(Via { from, number, .. }) = via {
        numbers.push(number);
        via = frame.reach[from].via;
    }
    numbers.reverse();
    numbers
}
