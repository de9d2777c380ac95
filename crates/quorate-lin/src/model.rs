use std::fmt::Debug;

/// What one object does when it is called by one client at a time.
///
/// Only [`initial`](Self::initial) and [`step`](Self::step) are needed. The others make the search
/// shorter; each promises something about `step`, and a wrong promise gives wrong verdicts.
pub trait Model {
    /// What is asked. Equal inputs must have equal effects; `Ord` is used to find equal ones.
    type Input: Clone + Ord + Debug;
    /// What is answered.
    type Output: Clone + Debug;
    /// Everything later answers depend on. Cloned and compared often: keep it small.
    type State: Clone + Ord + Debug;

    /// The state before the first operation.
    fn initial(&self) -> Self::State;

    /// The state after `input` was executed in `state` and answered `output`, or `None` if it
    /// could not have answered so.
    ///
    /// Without an output (its outcome is unknown) the operation takes effect as far as it can,
    /// which may be not at all; there is then exactly one next state, and never `None`.
    fn step(
        &self,
        state: &Self::State,
        input: &Self::Input,
        output: Option<&Self::Output>,
    ) -> Option<Self::State>;

    /// Promises that `input`, answered like this, never changes any state. Such operations are
    /// linearized as soon as they are legal, and dropped if their outcome is unknown.
    fn only_reads(&self, _input: &Self::Input, _output: Option<&Self::Output>) -> bool {
        false
    }

    /// Whether an operation `earlier` with unknown outcome, taking effect directly before `input`,
    /// can make a difference to it.
    ///
    /// `false` promises, for every state in which `earlier` does something and `input` is legal
    /// afterwards (without an output: does something then): `input` is legal without `earlier` too, and then leads to the same state, either
    /// at once or after `earlier` is executed later. `true` is always right.
    fn may_matter(
        &self,
        _earlier: &Self::Input,
        _input: &Self::Input,
        _output: Option<&Self::Output>,
    ) -> bool {
        true
    }

    /// The only state in which `input` can be answered `output`, if there is only one. Without an
    /// output: the only state in which it does anything.
    ///
    /// Together with [`leaves`](Self::leaves) this lets the search notice early that it moved on
    /// from a state that somebody still has to see. `None` is always right.
    fn needs(&self, _input: &Self::Input, _output: Option<&Self::Output>) -> Option<Self::State> {
        None
    }

    /// The only state that `input`, answered `output`, can leave where it changes the state, if
    /// there is only one. `None` is always right.
    ///
    /// A state also promises that the answer does not choose the effect: wherever this answer is
    /// legal, `step` without an output leads to the same state.
    fn leaves(&self, _input: &Self::Input, _output: Option<&Self::Output>) -> Option<Self::State> {
        None
    }

    /// Rewrites the calls of one key into others that allow the same orders and are easier to
    /// search, for instance by giving equal names to values that nobody tells apart.
    fn simplify(&self, _calls: &mut [(Self::Input, Option<Self::Output>)]) {}

    /// One operation in a line of text, without who and when.
    fn describe(&self, input: &Self::Input, output: Option<&Self::Output>) -> String {
        match output {
            Some(output) => format!("{input:?} -> {output:?}"),
            None => format!("{input:?}"),
        }
    }

    /// A state in a few words.
    fn describe_state(&self, state: &Self::State) -> String {
        format!("{state:?}")
    }
}
