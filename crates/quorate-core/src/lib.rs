//! The words every quorate crate shares: who, when, in which order, and how many are enough.
//!
//! A protocol of quorate is a [`Machine`]: it is told the time and what happened, and answers with
//! plain data that a driver carries out. This crate holds that shape, the identities that travel
//! between protocols, the arithmetic of majorities, and the seams at which a part can be swapped.
//! It knows no protocol.
//!
//! # Example
//!
//! ```
//! use quorate_core::{Configuration, NodeId, VoteResult};
//!
//! let ids: Vec<NodeId> = ["a", "b", "c"].iter().map(|id| NodeId::new(id).unwrap()).collect();
//! let config = Configuration::of_voters(ids.clone());
//! let granted = |id: &NodeId| (*id != ids[2]).then_some(true);
//! assert_eq!(config.vote_result(granted), VoteResult::Won);
//! ```
//!
//! # Invariants
//!
//! - **Q1** Two quorums of one configuration always share a voter; while a change is joint, a
//!   quorum holds a majority of both halves.
//! - **Q2** The committed index is the highest one that a quorum has reached.
//! - **Q3** A [`Mandate`] exists only if a quorum of the configuration in the leader's own log
//!   certified it, each with a log tip not above the leader's.
//! - **Q4** A [`TermGate`] never falls.
//! - **Q5** What is held behind a record leaves only after that record is durable, in order.
//!
//! # Not here
//!
//! Bytes (`quorate-wire`), files (`quorate-storage`), sockets and clocks (`quorate-tokio`), and
//! every protocol.
//!
//! # Sources
//!
//! Ongaro and Ousterhout 2014 (terms, log matching); Ongaro 2014, section 4.3 (joint consensus);
//! Blackman and Vigna 2018 (the generator behind [`Rng`]).

mod address;
mod change;
mod configuration;
mod disk;
mod durable;
mod entry;
mod hold;
mod id;
mod laws;
mod lease;
mod machine;
mod mandate;
#[cfg(mutants)]
mod mutants;
mod quorum;
mod rare;
mod rng;
mod seam;
mod time;

pub use address::{ADDRESS_MAX, is_address};
pub use change::{Change, ChangeRefused};
pub use configuration::{Configuration, Kind, Member};
pub use disk::{Disk, DiskFile};
pub use durable::{Ballot, Identity, Pledge, PledgeBallot, Proposal, Record, Recovered, Snapshot};
pub use entry::{Entry, Payload};
pub use hold::{Hold, Token};
pub use id::{BootEpoch, ClusterId, DiskId, InvalidNodeId, LogId, LogIndex, NodeId, Term};
pub use laws::{LawBroken, check_laws};
pub use lease::LeaseTerms;
pub use machine::{Lane, Machine, Outbox};
pub use mandate::{Mandate, Tally, TermGate, VoteCertificate};
#[cfg(mutants)]
pub use mutants::{choose_mutant, mutant_active, mutant_reached};
pub use quorum::{VoteResult, committed_index, majority, vote_result};
pub use rare::rare;
#[cfg(feature = "rare")]
pub use rare::{play_rare, rare_taken};
pub use rng::Rng;
pub use seam::{Applied, BoxFuture, Clock, LogView, RestoreError, StateMachine};
pub use time::{ClusterTime, Instant};

/// `true` only in a build with `--cfg mutants` in which the named seeded bug was chosen.
///
/// A seeded bug is a line that the simulator must catch. In every other build this is the constant
/// `false`, so that the optimiser removes the wrong branch.
#[cfg(not(mutants))]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}

/// `true` only in a build with `--cfg mutants` in which the named seeded bug was chosen.
#[cfg(mutants)]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        $crate::mutant_active($name)
    };
}
