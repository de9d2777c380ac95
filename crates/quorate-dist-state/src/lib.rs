//! A linearizable key-value store as a deterministic state machine over a replicated log.
//!
//! Commands come in the order of the log; every replica that applies the same ones holds the same
//! state and gives the same answers. Each change of a key takes the next *revision* of the whole
//! store, so a revision names one moment of its history. A client that lost an answer sends its
//! command again under the same number of its *session*: the store, which remembers the answers in
//! its own replicated state, repeats the first one instead of acting twice. Snapshots share
//! structure with the living store: taking one costs the same for ten keys and for ten million.
//!
//! # Example
//!
//! ```
//! use quorate_core::{Applied, ClusterTime, LogId};
//! use quorate_dist_state::{Command, Limits, Op, Reply, Store, Tag};
//!
//! let mut store = Store::new(Limits::default());
//! let at = |index| Applied { id: LogId::new(1, index), time: ClusterTime(0) };
//! let open = Command { tag: None, op: Op::OpenSession { ttl_ms: 60_000 } };
//! let Reply::Session { session, .. } = store.apply(at(1), open) else { unreachable!() };
//! let tag = Some(Tag { session, seq: 1, acked: 0 });
//! let put = Command { tag, op: Op::Set { key: "color".into(), value: "blue".into() } };
//! let first = store.apply(at(2), put.clone());
//! assert_eq!(store.apply(at(3), put), first); // sent again: answered again, done once
//! assert_eq!(store.get(b"color").unwrap().version, 1);
//! ```
//!
//! # Invariants
//!
//! - **K1** Commands act one after another, each on what the one before it left; answers and reads
//!   are those of a plain sorted map (the store's share of linearizability).
//! - **K5** The same commands give the same state, answers and digest; states that differ have
//!   different digests, but for a chance of 2^-64.
//! - **X1** A tagged command takes effect at most once. Every later one with the same tag and body
//!   gets the first answer or an explicit unknown.
//! - **X2** A number used again with another body is refused and changes no key.
//! - **X3** A refused command does not use up its number.
//! - **X4** A session's id is never given out again. A session lives at least its time to live
//!   after its last use; once it is gone, its commands are an explicit unknown without effect.
//! - **X5** A store restored from an image equals the one that the image was taken of, and answers
//!   alike from there on, retries included. An image is not touched by later commands.
//! - **X6** The revision rises by one with each change of a key and stands still otherwise.
//!   `version` counts the puts of a key since it was created; deletion starts it anew.
//! - **X7** What sessions make the store remember is bounded by [`Limits`] and [`WINDOW`]; a
//!   command beyond a limit is refused with the limit, and changes nothing.
//!
//! # Not here
//!
//! Bytes on wire and disk (`quorate-wire`; the types here are `serde`), the log and its order
//! (`quorate-replication`), who may read when (`quorate`). Transactions, leases, locks, watches
//! and reads at an old revision are to come.
//!
//! # Sources
//!
//! Ongaro 2014, section 6.3 (sessions, exactly once); Lee et al. 2015, RIFL (acknowledged answers
//! are forgotten); the data model of etcd 3 (revision, create and mod revision, version).

mod answers;
mod command;
mod digest;
mod image;
mod item;
mod keys;
mod limits;
mod reply;
mod sessions;
mod sorted;
mod store;

pub use answers::WINDOW;
pub use command::{Command, Expected, Op, SessionId, Tag};
pub use image::{Image, RestoreError};
pub use item::{Item, Page, Revision};
pub use limits::{EXPIRE_MAX, Limits};
pub use reply::{Bounded, Rejection, Reply};
pub use sessions::Session;
pub use store::Store;
