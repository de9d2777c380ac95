//! Decides whether a recorded history of a concurrent object is linearizable.
//!
//! A history is linearizable if every operation can be given one instant between its invocation
//! and its completion such that, executed in that order, a plain sequential object gives the
//! answers that were recorded. The checker searches for such an order, one key at a time. An
//! operation whose outcome is unknown (a timeout, a lost answer) may have taken effect at any time
//! after its invocation, or never: the search inserts it only where it makes a difference, so that
//! hundreds of them cost almost nothing. The answer is *yes* with a witness, *no* with a
//! counter-example, or *undecided* when the budget ran out; it is never a guess.
//!
//! # Example
//! ```
//! use quorate_lin::{Access, Answer, Budget, History, Register, Verdict, check};
//!
//! let mut history = History::new();
//! let write = history.invoke(1, "color", Access::Write("red"));
//! let read = history.invoke(2, "color", Access::Read);
//! history.ok(read, Answer::Value(Some("red")));
//! history.info(write); // the answer was lost, yet somebody saw the value
//! let late = history.invoke(2, "color", Access::Read);
//! history.ok(late, Answer::Value(None)); // and now it is gone
//! let verdict = check(&Register::new(), &history, &mut Budget::default());
//! assert!(matches!(verdict, Verdict::NotLinearizable(_)));
//! ```
//!
//! # Invariants
//! - **V1** A decided verdict is the one an exhaustive search gives.
//! - **V2** An operation with an unknown outcome may take effect at any time after its invocation,
//!   also long after its process went on, or never.
//! - **V3** A budget that runs out gives `Undecided`; a larger one turns that into a decision and
//!   never changes a decision.
//! - **V4** Equal histories and budgets give equal verdicts after an equal number of steps.
//! - **V5** A witness replays: every answer is legal, and real-time order is kept.
//! - **V6** The illegal operation of a counter-example completed first of those that no order can
//!   include: what completed before it has a legal order, and with it there is none.
//! - **V7** No bytes in a history file make the reader panic; an error names the line.
//!
//! # Not here
//! Strict serializability of transactions over several keys (give them all one key, or another
//! checker), session guarantees, and recording: who runs the clients writes the history.
//!
//! # Sources
//! Wing and Gong 1993 (the search); Lowe 2017, "Testing for linearizability" (memoising pairs of
//! linearized operations and state, linearizing just in time, partitions); Horn and Kroening 2015
//! (partitioning per key); Gibbons and Korach 1997 (a register whose values differ is easy, because
//! each read names its write). Ours: unknown operations stay out of the search until one changes
//! what the next operation may answer, and are compared by inclusion (see `search.rs`); the search
//! counts who can still bring a state about that somebody needs, which makes of Gibbons and Korach's
//! rule one for all models (see `demand.rs`).

mod bits;
mod budget;
mod check;
mod decision;
mod demand;
mod effects;
mod hidden;
mod history;
mod model;
mod models;
mod ndjson;
mod partition;
mod search;
mod verdict;

pub use budget::Budget;
pub use check::check;
pub use history::{History, Operation, OperationError, Pending};
pub use model::Model;
pub use models::{
    Access, Answer, Grants, Mutex, MutexCall, Register, TokenAnswer, TokenCall, TokenLock,
};
pub use ndjson::{LineProblem, MODEL_NAMES, ReadError, Report, Value, check_ndjson};
pub use verdict::{CounterExample, Undecided, Verdict, Witness};
