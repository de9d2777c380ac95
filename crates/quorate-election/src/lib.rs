//! Elects at most one leader per term among nodes that may crash, stall or be cut off.
//!
//! A node that misses its leader asks every voter first whether standing makes sense, then for its
//! vote; a quorum of grants makes it leader. Two quorums always share a voter, and a voter grants
//! once per term and remembers it, so no two leaders share a term. A leader that no quorum answers
//! steps down by itself.
//!
//! A [`Voter`] borrows the log in each step, because a vote depends on how fresh it is; [`Solo`] is
//! an election without a log. Both are told the time and what happened, and answer with plain data.
//! Who may vote at first is decided by [`Bootstrap`], once in the life of a cluster.
//!
//! # Example
//!
//! ```
//! use quorate_core::{Ballot, Configuration, Instant, Machine, NodeId, Outbox, Rng, Term};
//! use quorate_election::{Config, Input, Output, Role, Solo};
//!
//! let me = NodeId::new("a")?;
//! let members = Configuration::of_voters([me.clone()]);
//! let (ballot, rng) = (Ballot::default(), Rng::seeded(1));
//! let mut solo = Solo::new(me, Config::lan(), members, ballot, rng, Instant::ZERO);
//! let mut out = Outbox::new();
//! solo.wake(Instant::from_millis(300), &mut out); // nobody spoke for a whole timeout
//! let vote = solo.voter().ballot().clone(); // ordered as `Output::Persist`; once it is durable:
//! solo.handle(Instant::from_millis(301), Input::Persisted(vote), &mut out);
//! assert_eq!((solo.voter().role(), solo.voter().term()), (Role::Leader, Term(1)));
//! # Ok::<(), quorate_core::InvalidNodeId>(())
//! ```
//!
//! # Invariants
//!
//! - **E1** At most one leader per term.
//! - **E3** A voter grants at most one candidate per term, also across crashes: the vote is durable
//!   before it is spoken, the own one before it is counted.
//! - **E4** The leader has every committed entry.
//! - **E5** Terms never decrease across restarts.
//! - **E6** Nobody leads without the votes of a quorum of the configuration in its own log.
//! - **E7** Witnesses, learners and observers never lead; a voter of priority 0 only while no
//!   electable voter that answers has its log.
//! - **E9** The lead goes to the healthy voter of the highest priority, by at most one hand-over.
//! - **E10** A node that returns from a partition disturbs nobody.
//! - **E11** A leader that hears no quorum steps down within an election timeout.
//! - **E12** At most one first configuration is ever decided among nodes that share a seed list.
//!
//! # Not here
//!
//! Sockets, timers and files (`quorate-tokio`, `quorate-storage`), the log
//! (`quorate-replication`), who is alive (`quorate-membership`).
//!
//! # Sources
//!
//! Ongaro and Ousterhout 2014, sections 5.2 and 5.4.1; Ongaro 2014, sections 3.10 (handing over),
//! 4.2.3 (keeping a working leader), 6.2 (a leader without a quorum) and 9.6 (pre-vote); Lamport 2001 (the single
//! decree of the bootstrap). A deviation: messages of
//! the pre-vote carry the sender's own term and never the one it would stand in, so that no reader
//! can mistake a term that was only asked about for one that was reached.

mod answers;
mod bootstrap;
mod campaign;
mod config;
mod fingerprint;
mod grant;
mod handover;
mod message;
mod patience;
mod preference;
mod reign;
mod seam;
mod solo;
mod voter;

pub use bootstrap::{
    Bootstrap, BootstrapConfig, BootstrapInput, BootstrapMessage, BootstrapOutput, BootstrapStatus,
    Candidate, Sight,
};
pub use config::{Config, ConfigError};
pub use message::Message;
pub use preference::{Preference, Standing};
pub use seam::{Event, Input, Output, Role};
pub use solo::{EmptyLog, Solo};
pub use voter::Voter;
