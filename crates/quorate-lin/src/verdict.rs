use crate::{History, Model, Operation};
use serde::Serialize;
use std::fmt::{self, Debug};

/// What a check came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict<K> {
    /// There is a legal order.
    Linearizable(Witness),
    /// There is none; the example names the first key found without one.
    NotLinearizable(Box<CounterExample<K>>),
    /// The budget ran out. Ask again with more, or record shorter histories or more keys.
    Undecided(Undecided<K>),
}

/// A legal order of the operations of each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Witness {
    orders: Vec<Vec<usize>>,
}

/// Why a history is not linearizable.
///
/// Everything that completed before the illegal operation did has a legal order; with that
/// operation there is none. [`Display`](fmt::Display) tells it in a dozen lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CounterExample<K> {
    /// The key it is about.
    pub key: K,
    /// A legal order of everything on this key that completed before the illegal operation did, and
    /// perhaps more, as indices into [`History::operations`].
    pub order: Vec<usize>,
    /// The operation that completed first of those no order can include, as such an index.
    pub illegal: usize,
    text: String,
}

/// How far an undecided check came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undecided<K> {
    /// Keys without a decision, ascending; the operations linearized in the deepest attempt, and of how many.
    /// All other keys are linearizable.
    pub keys: Vec<(K, u32, u32)>,
    /// The key, if any, that is certain to have no legal order: the budget ran out while looking for
    /// the operation at which it goes wrong. Twice the budget mostly finds it.
    pub illegal: Option<K>,
    /// Steps the budget has spent.
    pub steps: u64,
    /// Whether the caller's callback stopped it, rather than the step limit.
    pub stopped: bool,
}

impl<K> Verdict<K> {
    /// Whether a legal order was found.
    pub const fn is_linearizable(&self) -> bool {
        matches!(self, Self::Linearizable(_))
    }
}

impl Witness {
    pub(crate) const fn new(orders: Vec<Vec<usize>>) -> Self {
        Self { orders }
    }

    /// One order for each key with an operation that did not fail, keys ascending, as indices into
    /// [`History::operations`]. An operation of unknown outcome that is missing needs no effect; a
    /// read of unknown outcome is always missing.
    pub fn orders(&self) -> &[Vec<usize>] {
        &self.orders
    }

    /// Each ordered operation, by its index, with the earliest instant at which it may have taken
    /// effect in this order; on one key, earlier in the order is never later in time, and several
    /// operations may share an instant. `O(operations)`.
    ///
    /// # Panics
    /// If `history` is not the one that was checked.
    pub fn points<K, I, O>(&self, history: &History<K, I, O>) -> Vec<(usize, u64)> {
        self.orders.iter().flat_map(|order| points(history, order)).collect()
    }
}

impl<K: Clone + Debug + PartialEq> CounterExample<K> {
    pub(crate) fn new<M: Model>(
        model: &M,
        operations: &[Operation<K, M::Input, M::Output>],
        key: K,
        order: Vec<usize>,
        illegal: usize,
    ) -> Self {
        let text = tell(model, operations, &key, &order, illegal);
        Self { key, order, illegal, text }
    }
}

impl<K> CounterExample<K> {
    /// Each operation of [`order`](Self::order) with the earliest instant at which it may have taken
    /// effect, as [`Witness::points`] has them.
    ///
    /// # Panics
    /// If `history` is not the one that was checked.
    pub fn points<I, O>(&self, history: &History<K, I, O>) -> Vec<(usize, u64)> {
        points(history, &self.order).collect()
    }
}

impl<K> Undecided<K> {
    pub(crate) const fn new(
        keys: Vec<(K, u32, u32)>,
        illegal: Option<K>,
        steps: u64,
        stopped: bool,
    ) -> Self {
        Self { keys, illegal, steps, stopped }
    }
}

impl<K: Debug> fmt::Display for Verdict<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linearizable(_) => f.write_str("linearizable"),
            Self::NotLinearizable(example) => write!(f, "not linearizable: {example}"),
            Self::Undecided(undecided) => write!(f, "undecided: {undecided}"),
        }
    }
}

impl<K> fmt::Display for CounterExample<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<K: Debug> fmt::Display for Undecided<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = if self.stopped { "stopped" } else { "out of budget" };
        let open = self.keys.len();
        let keys = if open == 1 { "key" } else { "keys" };
        write!(f, "{cause} after {} steps, {open} {keys} open", self.steps)?;
        if let Some(key) = &self.illegal {
            write!(f, "\n  key {key:?} is not linearizable, but where is not found yet")?;
        }
        for (key, done, all) in self.keys.iter().take(SHOWN) {
            write!(f, "\n  key {key:?}: linearized at most {done} of {all} operations")?;
        }
        if self.keys.len() > SHOWN {
            write!(f, "\n  and {} more", self.keys.len() - SHOWN)?;
        }
        Ok(())
    }
}

fn points<K, I, O>(
    history: &History<K, I, O>,
    order: &[usize],
) -> impl Iterator<Item = (usize, u64)> {
    order.iter().scan(0, |now, &index| {
        *now = history.operations()[index].invoked.max(*now);
        Some((index, *now))
    })
}

/// The counter-example for people: the end of the longest order with the states it goes through,
/// the operation that does not fit, and what was open beside it.
fn tell<K: Debug + PartialEq, M: Model>(
    model: &M,
    operations: &[Operation<K, M::Input, M::Output>],
    key: &K,
    order: &[usize],
    illegal: usize,
) -> String {
    let hidden = order.len().saturating_sub(SHOWN);
    let mut text = format!("key {key:?}, ");
    text += &match order.len() {
        0 => "nothing comes before it".to_owned(),
        1 => "longest legal order (1 operation):".to_owned(),
        len if hidden > 0 => format!("longest legal order ({len} operations, last {SHOWN} shown):"),
        len => format!("longest legal order ({len} operations):"),
    };
    let mut state = model.initial();
    for (at, &index) in order.iter().enumerate() {
        let operation = &operations[index];
        let answer = operation.completed.and(operation.output.as_ref());
        if let Some(next) = model.step(&state, &operation.input, answer) {
            state = next;
        }
        if at >= hidden {
            text +=
                &format!("\n  {}, state: {}", line(model, operation), model.describe_state(&state));
        }
    }
    text += &format!("\nthen no order allows\n  {}", line(model, &operations[illegal]));
    text += &format!("\nin state: {}", model.describe_state(&state));
    let end = operations[illegal].completed.unwrap_or(u64::MAX);
    let beside: Vec<usize> = (0..operations.len())
        .filter(|&index| {
            let other = &operations[index];
            index != illegal
                && other.key == *key
                && other.completed.is_some_and(|completed| completed >= end)
                && other.invoked <= end
                && !order.contains(&index)
        })
        .collect();
    if !beside.is_empty() {
        text += ", nor after any of";
        for &index in beside.iter().take(SHOWN) {
            text += &format!("\n  {}", line(model, &operations[index]));
        }
    }
    text
}

fn line<K, M: Model>(model: &M, operation: &Operation<K, M::Input, M::Output>) -> String {
    let Operation { process, invoked, completed, input, output, .. } = operation;
    let what = model.describe(input, completed.and(output.as_ref()));
    match completed {
        Some(completed) => format!("process {process}: {what}  [{invoked} to {completed}]"),
        None => format!("process {process}: {what}  [{invoked}, outcome unknown]"),
    }
}

/// Lines of a list that a person still reads.
const SHOWN: usize = 10;
