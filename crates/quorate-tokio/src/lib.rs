//! Drives machines on tokio: sockets, the storage thread, the clock, the loop.
//!
//! A protocol of quorate is a [`Machine`](quorate_core::Machine) that neither reads a clock nor
//! waits. This crate does both for it, and knows no protocol: [`drive`] turns a machine,
//! [`Transport`] carries encoded messages between nodes, [`StorageThread`] makes records durable,
//! [`BootClock`] tells the time. None of them makes the machine's task wait.
//!
//! # Example
//!
//! ```
//! use quorate_core::{Instant, Machine, Outbox};
//! use quorate_tokio::{BootClock, Pulse, drive};
//!
//! struct Echo;
//! impl Machine for Echo {
//!     type Input = u32;
//!     type Output = u32;
//!     fn handle(&mut self, _: Instant, n: u32, out: &mut Outbox<u32>) { out.push(n) }
//!     fn wake(&mut self, _: Instant, _: &mut Outbox<u32>) {}
//!     fn deadline(&self) -> Option<Instant> { None }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let (inputs, mut received) = tokio::sync::mpsc::channel(8);
//! inputs.send(7).await.unwrap();
//! let mut print = |_, n| if n == 7 { Err("seven") } else { Ok(()) };
//! let never = std::future::pending();
//! let end = drive(&mut Echo, &BootClock, &mut received, &mut print, &Pulse::new(), never).await;
//! assert_eq!(end, Err("seven"));
//! # });
//! ```
//!
//! # Invariants
//!
//! - **T1** A token is reported only after the sync that made its record durable.
//! - **T2** Nothing is reported after an error of the disk.
//! - **T3** No bytes on either port end anything but the connection they came on.
//! - **T4** What a peer makes us hold is bounded; so is what waits for a peer.
//! - **T5** A message is delivered as it was sent, under the name its sender shook hands with, in
//!   the order of its lane, at most once; or it is lost.
//! - **T6** A node of another cluster, or one with a name that is taken, is told so and not heard.
//! - **T7** A driven machine sees time that never falls, every deadline, and every input in order.
//! - **T8** With a keyring, nothing is heard that no key of it sealed for this cluster, unless plain
//!   packets are accepted on purpose.
//! - **T9** What is sent over a stream to where a packet came from over one goes back on the same.
//! - **T10** A lookup of a name ends in time, whatever the name service does, and too many at once
//!   are refused.
//! - **T11** A value in a folder is, after a crash, the old one or the new one; damage is told.
//!
//! # Not here
//!
//! What messages mean (the protocol crates), their bytes (`quorate-wire`), files
//! (`quorate-storage`), the node that puts it together (`quorate`), HTTP (`quorate-node`).
//!
//! # Sources
//!
//! Hagmann 1987 (group commit); Ongaro 2014, section 10.2.1 (writing to the disk while messages
//! travel); Rebello et al. 2020 (a failed fsync is final).

mod clock;
mod drive;
mod folder;
mod keyring;
mod names;
mod start;
mod storage;
mod transport;

pub use clock::{BootClock, sleep_until};
pub use drive::{DriveEnd, IDLE_MAX, Perform, Pulse, drive};
pub use folder::{ReadError, StateFolder};
pub use keyring::{Key, KeyError, KeyId, Keyring, KeyringError, OpenError, Plain, SealError};
pub use names::{ResolveError, Resolver};
pub use quorate_storage::FolderError;
pub use quorate_wire::{DecodeError, EncodeError};
pub use start::{boot_by_clock, entropy};
pub use storage::{StorageEnded, StorageError, StorageStats, StorageThread};
pub use transport::{
    BindError, PACKET_BYTES_MAX, Room, SendError, Transport, TransportConfig, TransportEvent,
    TransportLimits, TransportStats, decode_packet, encode_packet,
};
