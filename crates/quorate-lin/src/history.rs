/// One call of a client and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation<K, I, O> {
    /// Who called; shown to people, never used for ordering.
    pub process: u64,
    /// The object called. Operations on different keys are checked apart; a model whose operations
    /// span keys takes one key for all.
    pub key: K,
    /// When the call was made, in any unit that never decreases.
    pub invoked: u64,
    /// When its answer arrived; `None` if it never did: then the operation took effect at any time
    /// after `invoked`, or never.
    pub completed: Option<u64>,
    /// What was asked.
    pub input: I,
    /// What was answered; `None` for success without details. Ignored without `completed`.
    pub output: Option<O>,
}

/// Operations with their order in real time: one precedes another if it completed strictly before
/// the other was invoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History<K, I, O> {
    operations: Vec<Operation<K, I, O>>,
    /// Indices of operations that failed, so that indices given out earlier stay valid.
    failed: Vec<usize>,
    clock: u64,
}

/// A call whose outcome is not recorded yet. Dropping it means the outcome is unknown.
///
/// It cannot be copied, so no call gets two outcomes.
#[derive(Debug)]
pub struct Pending(usize);

/// Why operations do not form a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// An operation ends before it begins: its two times come from different clocks.
    #[error(
        "operation {index} completed before it was invoked; take both times from one clock that never steps back"
    )]
    BackInTime {
        /// Position in the given list.
        index: usize,
    },
}

impl<K, I, O> Default for History<K, I, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K, I, O> History<K, I, O> {
    /// An empty history. Events are recorded in the order in which they happened.
    pub const fn new() -> Self {
        Self { operations: Vec::new(), failed: Vec::new(), clock: 0 }
    }

    /// A history of finished operations with times of the caller's own clock. Operations that
    /// touch (one completes at the tick at which another begins) count as concurrent.
    ///
    /// # Errors
    /// [`OperationError::BackInTime`] if an operation ends before it begins.
    pub fn from_operations(operations: Vec<Operation<K, I, O>>) -> Result<Self, OperationError> {
        for (index, operation) in operations.iter().enumerate() {
            if operation.completed.is_some_and(|completed| completed < operation.invoked) {
                return Err(OperationError::BackInTime { index });
            }
        }
        let last = |o: &Operation<K, I, O>| o.completed.unwrap_or(o.invoked).max(o.invoked);
        let clock = operations.iter().map(last).max().map_or(0, |time| time.saturating_add(1));
        Ok(Self { operations, failed: Vec::new(), clock })
    }

    /// Records a call. A process may have several open at once.
    pub fn invoke(&mut self, process: u64, key: K, input: I) -> Pending {
        let invoked = self.tick();
        self.operations.push(Operation {
            process,
            key,
            invoked,
            completed: None,
            input,
            output: None,
        });
        Pending(self.operations.len() - 1)
    }

    /// Records that the call succeeded with `output`.
    ///
    /// # Panics
    /// If `call` was begun by another history.
    pub fn ok(&mut self, call: Pending, output: O) {
        let completed = self.tick();
        let operation = self.operations.get_mut(call.0).expect("the call is of this history");
        operation.completed = Some(completed);
        operation.output = Some(output);
    }

    /// Records that the call had no effect and will never have one.
    pub fn fail(&mut self, call: Pending) {
        self.tick();
        self.failed.push(call.0);
    }

    /// Records that nobody knows what became of the call; it may still take effect.
    pub const fn info(&mut self, _call: Pending) {
        self.tick();
    }

    /// All calls in the order of their recording, those that failed included. Indices in verdicts
    /// point here.
    pub fn operations(&self) -> &[Operation<K, I, O>] {
        &self.operations
    }

    /// Indices of the calls that failed; the checker leaves them out.
    pub fn failed(&self) -> &[usize] {
        &self.failed
    }

    const fn tick(&mut self) -> u64 {
        let now = self.clock;
        self.clock += 1;
        now
    }
}
