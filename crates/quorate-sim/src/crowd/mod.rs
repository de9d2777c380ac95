//! Very many gossiping nodes at once: thousands of memberships in one thread, from one seed.
//!
//! The engine of this crate runs whole nodes and keeps everything about each message, which is
//! right for five of them and too much for five thousand. A [`Crowd`] knows members only: datagrams
//! that are late, lost, doubled or stale, nodes that crash, stall, move and are cut off. All of it
//! passes the shipped codec. What its nodes believe of each other is kept as one byte a pair, so
//! that "everybody knows" costs nothing to ask.
//!
//! It is generic over a small trait, [`Gossiper`]: a bench runs other protocols in the very same
//! network. [`Member`] is quorate's membership in it.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use quorate_sim::crowd::{Crowd, Member, Members, Weather};
//!
//! let mut crowd: Crowd<Member> = Crowd::new(7, Members::default(), Weather::LAN);
//! crowd.warm_start(20);
//! crowd.run_for(Duration::from_secs(1))?;
//! crowd.watch(3);
//! crowd.crash(3);
//! let informed = crowd.run_while(Duration::from_secs(10), |crowd| crowd.astray() > 0)?;
//! assert!(informed, "all know that 3 is gone");
//! # Ok::<(), quorate_sim::crowd::Broken>(())
//! ```

mod agenda;
mod checks;
mod control;
mod gossiper;
mod ledger;
mod member;
mod scenarios;
mod seat;
mod tally;
mod verdict;
mod weather;
mod world;

pub use checks::{Broken, Promises};
pub use gossiper::{Belief, Birth, Came, Gossiper, Held, Over, Port, address_of, number_of};
pub use ledger::Sighting;
pub use member::{Member, Members};
pub use scenarios::{Figures, Scenario, Size};
pub use seat::Stall;
pub use tally::Tally;
pub use weather::Weather;
pub use world::Crowd;
