//! Knows who is in the cluster, where, and who answers, without anybody in charge.
//!
//! Each node probes one other at a time and asks a few more for help when that one is silent. What
//! it finds spreads by riding on the packets that travel anyway. A silent member is *unreachable*
//! at once, which it can refute, and *dead* only when it had the time to; so others can act fast and
//! nobody is given up for a pause. Claims about a member are in a total order, so that all nodes end
//! up with the same view in whatever order they hear. A node looks for its seeds and for those it
//! lost for ever, so that islands find each other again.
//!
//! # Example
//!
//! ```
//! use quorate_core::{BootEpoch, Instant, Machine, NodeId, Outbox, Rng};
//! use quorate_membership::{Body, Config, Membership, Output, Tags};
//!
//! let config = Config {
//!     cluster_name: "shop".to_owned(),
//!     address: "10.0.0.1:7946".to_owned(),
//!     seeds: vec!["10.0.0.2:7946".to_owned()],
//!     ..Config::lan()
//! };
//! let (me, rng) = (NodeId::new("a")?, Rng::seeded(1));
//! let mut node =
//!     Membership::new(me, BootEpoch(1), 7, config, Tags::default(), rng, Instant::ZERO);
//! let mut out = Outbox::new();
//! node.wake(Instant::ZERO, &mut out);
//! let [Output::Send { to, packet, .. }] = out.as_slice() else { panic!("it asks its seed") };
//! assert_eq!(*to, "10.0.0.2:7946".parse().unwrap());
//! assert!(matches!(packet.body, Body::Announce { .. }));
//! # Ok::<(), quorate_core::InvalidNodeId>(())
//! ```
//!
//! # Invariants
//!
//! - **M1** The incarnation of a member never decreases in a view.
//! - **M2** No member dies in a view that was not suspected there for the minimum suspicion, or
//!   left by its own will.
//! - **M3** A dead incarnation never returns without a higher one.
//! - **M4** No message of a foreign cluster is accepted.
//! - **M5** Every packet fits into a datagram that no link cuts.
//! - **M6** Every crash is detected by every live node, in a small cluster within three seconds.
//! - **M7** Nobody is declared dead at up to 10 % loss while all are alive and no pause is longer
//!   than half a second.
//! - **M8** Views converge after a split is healed.
//! - **M9** Islands with a common seed find each other.
//! - **M10** (with `tokio`) A subscriber that lags is told how many events it missed.
//! - **M11** (with `tokio`) A node finds back through the peers it knew, also if all its seeds are
//!   gone.
//! - **M12** (with `tokio`) Nothing is heard from beyond loopback without keys, unless that was
//!   asked for.
//!
//! # Not here
//!
//! Sockets, clocks and names (`quorate-tokio`), bytes (`quorate-wire`), who leads
//! (`quorate-election`), who counts towards quorums (`quorate-replication`).
//!
//! # Sources
//!
//! Das, Gupta and Motivala 2002 (SWIM: probing, suspicion, dissemination by piggyback); Dadgar,
//! Phillips and Currey 2018 (Lifeguard: local health, the suspicion that rides in the probe).
//! Deviations: a death that others tell counts here only once the member was suspected here for
//! the minimum; a node that hears nobody keeps its accusations to itself; views are compared by
//! hash instead of being pushed and pulled at random.

mod agenda;
mod broadcasting;
mod claim;
mod config;
mod contacts;
mod coordinate;
mod counters;
mod courting;
mod doubting;
mod gossip;
mod health;
mod index;
mod learning;
mod leaving;
mod link;
mod membership;
mod names;
mod observing;
mod packet;
mod peer;
mod probing;
mod raw;
mod receiving;
mod relaying;
mod ring;
#[cfg(feature = "tokio")]
mod running;
mod seam;
mod spread;
mod suspicion;
mod syncing;
mod throttle;
mod vetting;
mod view;

pub use claim::{
    Accusation, HealthDigest, Incarnation, Info, Protocol, State, Tags, TagsError, Update,
};
pub use config::{Config, ConfigError};
pub use contacts::Seed;
pub use coordinate::Coordinate;
pub use counters::Counters;
pub use membership::Membership;
pub use packet::{Body, Broadcast, Class, Packet, Sum};
pub use peer::MemberView;
#[cfg(feature = "tokio")]
pub use running::{
    End, Events, LeaveError, MemberSnapshot, Members, Metrics, Options, OrderError, Running,
    StartError, Told,
};
pub use seam::{Channel, Event, Input, Output};
