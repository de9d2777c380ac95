//! The birth of a cluster: its first members, decided once.
//!
//! A single decree of Paxos (Lamport 2001). Its acceptors are the nodes of the seed list, of which
//! every quorum is more than half, so that two decrees share an acceptor. Besides, a decree is only
//! proposed when every node that it names has promised, and takes effect when a quorum of them has
//! accepted, so that whoever is born can also live.

mod message;
mod pledging;
mod proposing;
mod sight;
mod starter;

pub use message::BootstrapMessage;
pub use sight::{Candidate, Sight};
pub use starter::{Bootstrap, BootstrapConfig, BootstrapInput, BootstrapOutput, BootstrapStatus};
