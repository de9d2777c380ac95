use crate::Model;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A value that may be absent: a register, a compare-and-swap register, and, with one for each key
/// of a history, a key-value store.
#[derive(Clone, Debug)]
pub struct Register<V> {
    initial: Option<V>,
    append: fn(Option<&V>, &V) -> Option<V>,
}

/// What is asked of a [`Register`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access<V> {
    /// The value, please. Also known as get.
    Read,
    /// Replaces the value. Also known as put.
    Write(V),
    /// Replaces the value if it is `expected`; `None` is absence, on both sides.
    Cas {
        /// What must be there.
        expected: Option<V>,
        /// What shall be there.
        new: Option<V>,
    },
    /// Makes the value absent.
    Delete,
    /// Adds to the value, as [`Register::with_append`] defines it.
    Append(V),
}

/// What a [`Register`] answers. An answer that does not fit the question is never legal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<V> {
    /// To a read: what was there.
    Value(Option<V>),
    /// To anything that changes the value: it was executed, no details.
    Done,
    /// To a compare-and-swap: whether the value was as expected, and so replaced.
    Swapped(bool),
    /// To a delete: whether there was a value.
    Deleted(bool),
}

impl<V> Default for Register<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> Register<V> {
    /// Absent at first, and without appending.
    pub const fn new() -> Self {
        Self { initial: None, append: |_, _| None }
    }

    /// Holds `value` at first.
    #[must_use]
    pub fn starting_with(mut self, value: V) -> Self {
        self.initial = Some(value);
        self
    }

    /// Appends with `append(value, more)`, which returns the new value, or `None` where appending
    /// is not possible.
    #[must_use]
    pub fn with_append(mut self, append: fn(Option<&V>, &V) -> Option<V>) -> Self {
        self.append = append;
        self
    }
}

impl<V: Clone + Ord + Debug> Model for Register<V> {
    type Input = Access<V>;
    type Output = Answer<V>;
    type State = Option<V>;

    fn initial(&self) -> Option<V> {
        self.initial.clone()
    }

    fn step(
        &self,
        state: &Option<V>,
        input: &Access<V>,
        output: Option<&Answer<V>>,
    ) -> Option<Option<V>> {
        let done = matches!(output, None | Some(Answer::Done));
        let (legal, next) = match input {
            Access::Read => {
                let legal = match output {
                    None => true,
                    Some(Answer::Value(value)) => value == state,
                    Some(_) => false,
                };
                return legal.then(|| state.clone());
            }
            Access::Write(value) => (done, Some(value.clone())),
            Access::Cas { expected, new } => {
                let swapped = state == expected;
                let legal = done || matches!(output, Some(Answer::Swapped(s)) if *s == swapped);
                (legal, if swapped { new.clone() } else { state.clone() })
            }
            Access::Delete => {
                let legal =
                    matches!(output, Some(Answer::Deleted(deleted)) if *deleted == state.is_some());
                (done || legal, None)
            }
            Access::Append(more) => match (self.append)(state.as_ref(), more) {
                Some(value) => (done, Some(value)),
                None => (output.is_none(), state.clone()),
            },
        };
        legal.then_some(next)
    }

    fn only_reads(&self, input: &Access<V>, output: Option<&Answer<V>>) -> bool {
        match input {
            Access::Read => true,
            Access::Cas { expected, new } => {
                expected == new || matches!(output, Some(Answer::Swapped(false)))
            }
            Access::Delete => matches!(output, Some(Answer::Deleted(false))),
            Access::Write(_) | Access::Append(_) => false,
        }
    }

    fn may_matter(
        &self,
        earlier: &Access<V>,
        input: &Access<V>,
        output: Option<&Answer<V>>,
    ) -> bool {
        match (input, output) {
            // Whatever was there before, afterwards it is gone.
            (Access::Write(_), _) | (Access::Delete, None | Some(Answer::Done)) => false,
            (Access::Delete, Some(Answer::Deleted(true))) => may_give(earlier, |v| v.is_some()),
            (Access::Delete, Some(Answer::Deleted(false))) => may_give(earlier, |v| v.is_none()),
            (Access::Read, Some(Answer::Value(value))) => {
                may_give(earlier, |v| v == value.as_ref())
            }
            (Access::Cas { expected, .. }, None | Some(Answer::Swapped(true))) => {
                may_give(earlier, |v| v == expected.as_ref())
            }
            (Access::Cas { expected, .. }, Some(Answer::Swapped(false))) => {
                may_give(earlier, |v| v != expected.as_ref())
            }
            (Access::Cas { expected, .. }, _) if matches!(earlier, Access::Write(_)) => {
                may_give(earlier, |v| v == expected.as_ref())
            }
            _ => true,
        }
    }

    fn needs(&self, input: &Access<V>, output: Option<&Answer<V>>) -> Option<Option<V>> {
        match (input, output) {
            (Access::Read, Some(Answer::Value(value))) => Some(value.clone()),
            (Access::Cas { expected, .. }, None | Some(Answer::Swapped(true))) => {
                Some(expected.clone())
            }
            (Access::Delete, Some(Answer::Deleted(false))) => Some(None),
            _ => None,
        }
    }

    fn leaves(&self, input: &Access<V>, _output: Option<&Answer<V>>) -> Option<Option<V>> {
        match input {
            Access::Write(value) => Some(Some(value.clone())),
            Access::Cas { new, .. } => Some(new.clone()),
            Access::Delete => Some(None),
            Access::Read | Access::Append(_) => None,
        }
    }

    /// Values that are written and that no read returned and no comparison expected are one value:
    /// nobody could tell them apart. Unknown writes of them are then interchangeable.
    fn simplify(&self, calls: &mut [(Access<V>, Option<Answer<V>>)]) {
        let mut observed = BTreeSet::new();
        for (input, output) in calls.iter() {
            match (input, output) {
                (Access::Append(_), _) => return,
                (Access::Cas { expected: Some(value), .. }, _)
                | (Access::Read, Some(Answer::Value(Some(value)))) => {
                    observed.insert(value.clone());
                }
                _ => {}
            }
        }
        let mut stand_in: Option<V> = None;
        for (input, _) in calls.iter_mut() {
            if let Access::Write(value) | Access::Cas { new: Some(value), .. } = input
                && !observed.contains(value)
            {
                *value = stand_in.get_or_insert_with(|| value.clone()).clone();
            }
        }
    }

    fn describe(&self, input: &Access<V>, output: Option<&Answer<V>>) -> String {
        let asked = match input {
            Access::Read => "read".to_owned(),
            Access::Write(value) => format!("write {value:?}"),
            Access::Cas { expected, new } => {
                format!("cas {} to {}", name(expected.as_ref()), name(new.as_ref()))
            }
            Access::Delete => "delete".to_owned(),
            Access::Append(value) => format!("append {value:?}"),
        };
        match output {
            None | Some(Answer::Done) => asked,
            Some(Answer::Value(value)) => format!("{asked} -> {}", name(value.as_ref())),
            Some(Answer::Swapped(true)) => format!("{asked} -> swapped"),
            Some(Answer::Swapped(false)) => format!("{asked} -> not swapped"),
            Some(Answer::Deleted(true)) => format!("{asked} -> deleted"),
            Some(Answer::Deleted(false)) => format!("{asked} -> was absent"),
        }
    }

    fn describe_state(&self, state: &Option<V>) -> String {
        name(state.as_ref())
    }
}

/// Whether `input`, if it does anything, may leave a value that is `wanted`.
fn may_give<V>(input: &Access<V>, wanted: impl Fn(Option<&V>) -> bool) -> bool {
    match input {
        Access::Read => false,
        Access::Write(value) => wanted(Some(value)),
        Access::Cas { new, .. } => wanted(new.as_ref()),
        Access::Delete => wanted(None),
        Access::Append(_) => true,
    }
}

fn name<V: Debug>(value: Option<&V>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| format!("{value:?}"))
}
