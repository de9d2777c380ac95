//! Machines that cannot be cloned, as numbered states.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

/// A deterministic machine, such as a node with its disk.
pub trait Actor {
    /// The machine. It need not be `Clone`.
    type Machine;
    /// From what it starts, as the number of a node.
    type Start: Clone;
    /// What may happen to it.
    type Input: Copy + Ord;
    /// What others see of it when that happens.
    type Output;
    /// What may be asked of a state later on.
    type View;

    /// The machine at its beginning.
    fn start(&mut self, start: &Self::Start) -> Self::Machine;

    /// Lets `input` happen. Equal calls in equal order must do equal things.
    fn step(&mut self, machine: &mut Self::Machine, input: Self::Input) -> Self::Output;

    /// A number that stands for all that decides what the machine will do.
    fn fingerprint(&self, machine: &Self::Machine) -> u128;

    /// What is to be known of it.
    fn view(&self, machine: &Self::Machine) -> Self::View;
}

/// What an input led to.
#[derive(Debug)]
pub struct Step<O> {
    /// The number of the state reached.
    pub state: u32,
    /// What others see of it.
    pub output: Rc<O>,
}

/// How a state was reached first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<S, I> {
    /// The machine starts in it.
    Start(S),
    /// By this input, from the state of this number.
    Step(u32, I),
}

/// Remembers what an [`Actor`] does with each input in each of its states.
///
/// A state is a number, so a world that holds it can be cloned. What is not remembered yet is found
/// out by running the actor from its beginning along the inputs that first led to the state: a few
/// microseconds, once, while a world of several nodes asks the same thousands of times.
pub struct Memory<A: Actor> {
    actor: A,
    numbers: BTreeMap<u128, u32>,
    states: Vec<Known<A>>,
    /// Other ways to known states: from where, by which input, and to which.
    others: Vec<(u32, A::Input, u32)>,
}

struct Known<A: Actor> {
    origin: Origin<A::Start, A::Input>,
    view: A::View,
    /// Ascending by input.
    steps: Vec<(A::Input, u32, Rc<A::Output>)>,
}

impl<A: Actor> Memory<A> {
    /// Remembers nothing yet.
    #[must_use]
    pub const fn new(actor: A) -> Self {
        Self { actor, numbers: BTreeMap::new(), states: Vec::new(), others: Vec::new() }
    }

    /// The actor.
    #[must_use]
    pub const fn actor(&self) -> &A {
        &self.actor
    }

    /// The actor, for what changes nothing that it does.
    pub const fn actor_mut(&mut self) -> &mut A {
        &mut self.actor
    }

    /// How many states are known.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether no state is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// The number of the state in which the machine starts.
    pub fn start(&mut self, start: A::Start) -> u32 {
        let machine = self.actor.start(&start);
        self.number(&machine, Origin::Start(start))
    }

    /// How `state` was reached first.
    ///
    /// # Panics
    ///
    /// If this memory did not give that number.
    #[must_use]
    pub fn origin(&self, state: u32) -> &Origin<A::Start, A::Input> {
        &self.states[state as usize].origin
    }

    /// What is known of `state`.
    ///
    /// # Panics
    ///
    /// If this memory did not give that number.
    #[must_use]
    pub fn view(&self, state: u32) -> &A::View {
        &self.states[state as usize].view
    }

    /// What `input` leads to in `state`. `O(log(inputs))` if it was asked before.
    ///
    /// # Panics
    ///
    /// If this memory did not give that number.
    pub fn step(&mut self, state: u32, input: A::Input) -> Step<A::Output> {
        let steps = &self.states[state as usize].steps;
        match steps.binary_search_by_key(&input, |(input, ..)| *input) {
            Ok(at) => Step { state: steps[at].1, output: Rc::clone(&steps[at].2) },
            Err(at) => {
                let mut machine = self.rebuild(state);
                let output = Rc::new(self.actor.step(&mut machine, input));
                let known = self.states.len();
                let reached = self.number(&machine, Origin::Step(state, input));
                if (reached as usize) < known {
                    self.others.push((state, input, reached));
                }
                let remembered = (input, reached, Rc::clone(&output));
                self.states[state as usize].steps.insert(at, remembered);
                Step { state: reached, output }
            }
        }
    }

    /// Tries whether the fingerprint tells enough: a machine that came to a known state by another
    /// way must do there what the first one did, as far as that is remembered. Gives how often that
    /// was tried, and the first state and input that led elsewhere, or to what is not the `same`.
    ///
    /// Dear: it runs the machine for every way and every input.
    pub fn audit(
        &mut self,
        same: impl Fn(&A::Input, &A::Output, &A::Output) -> bool,
    ) -> (u64, Option<(u32, A::Input)>) {
        let mut tried = 0;
        for other in 0..self.others.len() {
            let (from, by, state) = self.others[other];
            for at in 0..self.states[state as usize].steps.len() {
                let mut machine = self.rebuild(from);
                self.actor.step(&mut machine, by);
                let (input, reached, ref output) = self.states[state as usize].steps[at];
                let differs = !same(&input, output, &self.actor.step(&mut machine, input));
                let number = self.numbers.get(&self.actor.fingerprint(&machine));
                tried += 1;
                if differs || number != Some(&reached) {
                    return (tried, Some((state, input)));
                }
            }
        }
        (tried, None)
    }

    fn number(&mut self, machine: &A::Machine, origin: Origin<A::Start, A::Input>) -> u32 {
        let next = self.states.len() as u32;
        let number = *self.numbers.entry(self.actor.fingerprint(machine)).or_insert(next);
        if number == next {
            let view = self.actor.view(machine);
            self.states.push(Known { origin, view, steps: Vec::new() });
        }
        number
    }

    fn rebuild(&mut self, mut state: u32) -> A::Machine {
        let mut inputs = Vec::new();
        let start = loop {
            match &self.states[state as usize].origin {
                Origin::Start(start) => break start,
                Origin::Step(before, input) => {
                    inputs.push(*input);
                    state = *before;
                }
            }
        };
        let mut machine = self.actor.start(start);
        for input in inputs.into_iter().rev() {
            self.actor.step(&mut machine, input);
        }
        machine
    }
}

impl<A: Actor> fmt::Debug for Memory<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("states", &self.states.len()).finish_non_exhaustive()
    }
}
