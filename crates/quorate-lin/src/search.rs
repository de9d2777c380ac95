use crate::Model;
use crate::bits::Bits;
use crate::moves::{Config, Frame, Moves, Place, Step};
use crate::partition::Partition;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The search for one key, resumable after any number of steps.
///
/// A configuration is the first completed operation that is not linearized, the window of those
/// linearized ahead of it, the state, and the set of unknown operations that took effect. The
/// window has one bit for each operation in flight and not for each of the history. Five arguments
/// keep the number of configurations small:
///
/// 1. An operation that only reads is linearized as soon as it is legal. Any order in which it
///    comes later stays legal when it is moved here.
/// 2. An unknown operation takes effect only directly before an operation to which it makes a
///    difference. Otherwise it can be moved behind that operation, or left out.
/// 3. A configuration that fails makes those fail that differ by *more* used unknown operations:
///    what they can still do, it could do too. So used sets are compared by inclusion.
/// 4. States that no operation to come tells apart are one (`Model::sees`), and so are the unknown
///    operations that lead to them: of those, only the number used counts. A value that was read
///    for the last time thereby stops to matter.
/// 5. Equal unknown operations are used in the order of their invocation (see `partition.rs`).
///
/// For 2, take the legal order with the fewest unknown operations, and of those one in which the
/// number of completed operations behind each unknown one, added up, is smallest: in it no unknown
/// operation can be moved or left out. The other arguments never turn it into a worse one.
///
/// There are two hunts for an order. One goes into depth, which finds one fast if there are many.
/// The other goes into breadth: all configurations of equal length, then the next longer ones. It
/// compares each with all its rivals before it is followed, while in depth the worse ones are
/// followed too if they are met first; so it is far better at showing that there is no order. It
/// begins when the first has taken long; from then on they take turns, and either may decide.
pub(crate) struct Search<M: Model> {
    pub(crate) moves: Moves<M>,
    depth: Hunt<M::State>,
    breadth: Hunt<M::State>,
    /// Steps after which the hunt in breadth joins in.
    patience: u64,
    /// Whether it is the turn of the hunt in breadth.
    is_broad: bool,
}

/// One way to search, with what it has found.
struct Hunt<S> {
    /// Configurations being followed; in breadth it is one.
    stack: Vec<Frame<S>>,
    rivals: Rivals<S>,
    /// Operations as numbered by the partition, each with the place of its predecessor.
    trail: Vec<(u32, u32)>,
    longest: Longest,
    /// Where the trail of a legal order ends.
    legal: Option<u32>,
}

/// Configurations that later ones are compared with.
enum Rivals<S> {
    /// All met so far, by their used sets, of which none is better than another.
    Depth(BTreeMap<Place<S>, Vec<Rc<Bits>>>),
    /// Those still to be followed, by their length.
    Breadth { waves: BTreeMap<u32, Wave<S>>, ready: Vec<Config<S>> },
}

type Wave<S> = BTreeMap<Place<S>, Vec<Config<S>>>;

/// What a search came to.
pub(crate) enum Outcome {
    /// Legal in this order.
    Legal(Vec<u32>),
    /// The longest order, and the completed operation it cannot include, although it does
    /// include everything that completed before.
    Illegal { order: Vec<u32>, blocked: u32 },
}

/// The order that came farthest.
#[derive(Clone, Copy, Default)]
struct Longest {
    next: u32,
    length: u32,
    trail: u32,
}

impl<M: Model> Search<M> {
    pub(crate) fn new(model: &M, partition: Partition<M>) -> Self {
        let patience = PATIENCE * (u64::from(partition.known()) + PATIENCE);
        let mut moves = Moves::new(partition);
        let depth = Hunt::new(model, &mut moves, Rivals::Depth(BTreeMap::new()));
        let breadth = Rivals::Breadth { waves: BTreeMap::new(), ready: Vec::new() };
        let breadth = Hunt::new(model, &mut moves, breadth);
        Self { moves, depth, breadth, patience, is_broad: false }
    }

    /// How many completed operations the longest order so far has, and how many there are.
    pub(crate) fn progress(&self) -> (u32, u32) {
        let length = self.depth.longest.length.max(self.breadth.longest.length);
        (length, self.moves.partition.known())
    }

    /// Searches for about `limit` steps. Returns what it came to, if it did, and the steps taken.
    pub(crate) fn run(&mut self, model: &M, limit: u64) -> (Option<Outcome>, u64) {
        let begun = self.moves.steps;
        self.is_broad = !self.is_broad && begun >= self.patience;
        let hunt = if self.is_broad { &mut self.breadth } else { &mut self.depth };
        let outcome = hunt.run(model, &mut self.moves, limit);
        (outcome, self.moves.steps - begun)
    }
}

impl<S: Clone + Ord> Hunt<S> {
    fn new<M: Model<State = S>>(model: &M, moves: &mut Moves<M>, rivals: Rivals<S>) -> Self {
        let mut hunt = Self {
            stack: Vec::new(),
            rivals,
            trail: vec![(0, 0)],
            longest: Longest::default(),
            legal: None,
        };
        let (state, used) = (model.initial(), Rc::default());
        let config = Config { next: 0, window: Bits::default(), state, used, trail: 0 };
        hunt.enter(model, moves, config);
        hunt
    }

    fn run<M>(&mut self, model: &M, moves: &mut Moves<M>, limit: u64) -> Option<Outcome>
    where
        M: Model<State = S>,
    {
        let begun = moves.steps;
        loop {
            if let Some(trail) = self.legal {
                return Some(Outcome::Legal(self.order(trail)));
            }
            if moves.steps - begun >= limit {
                return None;
            }
            let Some(mut frame) = self.stack.pop().or_else(|| self.rivals.shortest()) else {
                let Longest { next, trail, .. } = self.longest;
                return Some(Outcome::Illegal { order: self.order(trail), blocked: next });
            };
            if let Some(step) = moves.next(model, &mut frame) {
                let from = frame.config.clone();
                self.stack.push(frame);
                self.follow(model, moves, from, step);
            }
        }
    }

    fn follow<M>(&mut self, model: &M, moves: &mut Moves<M>, mut config: Config<S>, step: Step<S>)
    where
        M: Model<State = S>,
    {
        let mark = self.trail.len();
        for number in step.unknown {
            self.append(&mut config, number);
        }
        config.state = step.state;
        config.used = step.used;
        self.linearize(moves, &mut config, step.op);
        if !self.enter(model, moves, config) {
            self.trail.truncate(mark);
        }
    }

    /// Goes to a configuration: linearizes what only reads, and keeps it to be followed, unless an
    /// equal or better one is known.
    fn enter<M>(&mut self, model: &M, moves: &mut Moves<M>, mut config: Config<S>) -> bool
    where
        M: Model<State = S>,
    {
        let known = moves.partition.known();
        while config.next < known {
            let Some(read) = moves.legal_read(model, &config) else { break };
            self.linearize(moves, &mut config, read);
        }
        if config.next == known {
            self.legal = Some(config.trail);
            return true;
        }
        let Config { next, trail, .. } = config;
        let length = next + config.window.count();
        if !self.keep(model, moves, config, length) {
            return false;
        }
        if (next, length) > (self.longest.next, self.longest.length) {
            self.longest = Longest { next, length, trail };
        }
        true
    }

    /// Keeps a configuration unless it is no better than one that is known.
    fn keep<M>(&mut self, model: &M, moves: &mut Moves<M>, config: Config<S>, length: u32) -> bool
    where
        M: Model<State = S>,
    {
        let Self { rivals, stack, .. } = self;
        let place = moves.place(model, &config);
        let next = config.next;
        match rivals {
            Rivals::Depth(met) => {
                let met = met.entry(place).or_default();
                if met.iter().any(|used| moves.is_no_more(used, &config.used, next)) {
                    return false;
                }
                met.retain(|used| !moves.is_no_more(&config.used, used, next));
                met.push(config.used.clone());
                stack.push(Frame::new(config));
            }
            Rivals::Breadth { waves, .. } => {
                let met = waves.entry(length).or_default().entry(place).or_default();
                if met.iter().any(|rival| moves.is_no_more(&rival.used, &config.used, next)) {
                    return false;
                }
                met.retain(|rival| !moves.is_no_more(&config.used, &rival.used, next));
                met.push(config);
            }
        }
        true
    }

    /// Records `op` as linearized, and moves past everything that now is.
    fn linearize<M>(&mut self, moves: &Moves<M>, config: &mut Config<S>, op: u32)
    where
        M: Model<State = S>,
    {
        self.append(config, op);
        let Partition { slots, .. } = &moves.partition;
        config.window.set(slots[op as usize]);
        while let Some(&slot) = slots.get(config.next as usize)
            && config.window.has(slot)
        {
            config.window.clear(slot);
            config.next += 1;
        }
    }

    fn append(&mut self, config: &mut Config<S>, number: u32) {
        let place = u32::try_from(self.trail.len()).expect("memory ends before 2^32 places");
        self.trail.push((number, config.trail));
        config.trail = place;
    }

    /// The order whose last operation is at `trail`.
    fn order(&self, mut trail: u32) -> Vec<u32> {
        let mut order = Vec::new();
        while trail != 0 {
            let (number, before) = self.trail[trail as usize];
            order.push(number);
            trail = before;
        }
        order.reverse();
        order
    }
}

impl<S: Clone + Ord> Rivals<S> {
    /// In breadth, the next configuration to follow.
    fn shortest(&mut self) -> Option<Frame<S>> {
        let Self::Breadth { waves, ready } = self else { return None };
        if ready.is_empty() {
            let (_, wave) = waves.pop_first()?;
            ready.extend(wave.into_values().flatten());
        }
        ready.pop().map(Frame::new)
    }
}

/// Steps for each operation, and operations besides those there are, that the hunt in depth has for
/// itself. Most legal histories need fewer.
const PATIENCE: u64 = 32;

#[cfg(test)]
mod tests {
    use super::{Hunt, Outcome, Rivals};
    use crate::moves::Moves;
    use crate::partition::Partition;
    use crate::{Access, Answer, Operation, Register};
    use std::collections::BTreeMap;

    /// Calls at random times with random answers, of which about half have a legal order.
    fn random(seed: u64) -> Vec<Operation<(), Access<u64>, Answer<u64>>> {
        let mut bits = seed;
        let mut below = |end: u64| {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (bits >> 33) % end
        };
        (0..8)
            .map(|process| {
                let invoked = below(12);
                let completed = (below(3) > 0).then(|| invoked + below(8));
                let optional = |n: u64| n.checked_sub(1);
                let (input, output) = match below(5) {
                    0 | 1 => (Access::Read, Answer::Value(optional(below(3)))),
                    2 => (Access::Write(below(2)), Answer::Done),
                    3 => (Access::Delete, Answer::Deleted(below(2) == 0)),
                    _ => (
                        Access::Cas { expected: optional(below(3)), new: optional(below(3)) },
                        Answer::Swapped(below(2) == 0),
                    ),
                };
                Operation { process, key: (), invoked, completed, input, output: Some(output) }
            })
            .collect()
    }

    #[test]
    fn both_hunts_come_to_the_same_end() {
        let model = Register::new();
        let mut legal = 0;
        for seed in 0..20_000 {
            let operations = random(seed);
            let members: Vec<usize> = (0..operations.len()).collect();
            let depth = Rivals::Depth(BTreeMap::new());
            let breadth = Rivals::Breadth { waves: BTreeMap::new(), ready: Vec::new() };
            let [deep, broad] = [depth, breadth].map(|rivals| {
                let mut moves = Moves::new(Partition::new(&model, &operations, &members));
                let mut hunt = Hunt::new(&model, &mut moves, rivals);
                match hunt.run(&model, &mut moves, u64::MAX).expect("no limit") {
                    Outcome::Legal(_) => None,
                    Outcome::Illegal { order, blocked } => Some((order.len(), blocked)),
                }
            });
            let alike = deep.map(|(_, blocked)| blocked) == broad.map(|(_, blocked)| blocked);
            assert!(alike, "seed {seed}: {deep:?} in depth, {broad:?} in breadth\n{operations:#?}");
            legal += u32::from(deep.is_none());
        }
        assert!((2_000..18_000).contains(&legal), "{legal}");
    }
}
