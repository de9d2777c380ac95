//! Any [`Machine`](quorate_core::Machine) as a world: say how it starts, what bytes mean to it,
//! what its outputs want, and what must hold.
//!
//! Its messages cross the simulated network under a checksum, as with every transport of quorate;
//! what it persists goes through the journal of `quorate-storage` onto the simulated disk; and law
//! 5 of [`Machine`](quorate_core::Machine) is kept for it: what it wants behind something to
//! persist waits until that is durable. Patience and progress are checked in every step,
//! determinism in one life of eight, beside a twin; a panic is a violation like any other.
//!
//! # Example
//!
//! Nodes tell one another the highest number that a client gave to any of them:
//!
//! ```
//! use std::{collections::BTreeMap, time::Duration};
//! use quorate_core::{Instant, Machine, Outbox};
//! use quorate_sim::machine::{self, Happened, MachineWorld, Start, Wants};
//! use quorate_sim::{Swarm, hunt};
//!
//! struct Highest { number: u32, next: Instant }
//! enum Input { Heard(u32), Asked(u64, u32) }
//! #[derive(Debug)]
//! enum Output { Tell(u32), Save(u32), Confirm(u64, u32) }
//!
//! impl Machine for Highest {
//!     type Input = Input;
//!     type Output = Output;
//!     fn handle(&mut self, _: Instant, input: Input, out: &mut Outbox<Output>) {
//!         let (Input::Heard(number) | Input::Asked(_, number)) = input;
//!         if number > self.number {
//!             self.number = number;
//!             out.push(Output::Save(number));
//!         }
//!         if let Input::Asked(id, _) = input {
//!             out.push(Output::Confirm(id, self.number)); // waits until all before it is durable
//!         }
//!     }
//!     fn wake(&mut self, now: Instant, out: &mut Outbox<Output>) {
//!         if now >= self.next {
//!             self.next = now + Duration::from_millis(100);
//!             out.push(Output::Tell(self.number));
//!         }
//!     }
//!     fn deadline(&self) -> Option<Instant> { Some(self.next) }
//! }
//!
//! // All that the simulation adds:
//! fn number(bytes: &[u8]) -> Option<u32> { Some(u32::from_le_bytes(bytes.try_into().ok()?)) }
//! fn world() -> MachineWorld<Highest> {
//!     let start = |start: &Start| Highest {
//!         number: start.saved().and_then(number).unwrap_or(0),
//!         next: start.now,
//!     };
//!     let input = |happened: Happened<'_>| match happened {
//!         Happened::Message { bytes, .. } => Some(Input::Heard(number(bytes)?)),
//!         Happened::Asked { id, number } => Some(Input::Asked(id, number)),
//!         _ => None,
//!     };
//!     let output = |output, wants: &mut Wants| match output {
//!         Output::Tell(number) => wants.send_all(number.to_le_bytes()),
//!         Output::Save(number) => wants.save(number.to_le_bytes()),
//!         Output::Confirm(id, number) => wants.reply(id, number.to_le_bytes()),
//!     };
//!     let mut told = BTreeMap::new();
//!     MachineWorld::new(start, input, output)
//!         .always("what was confirmed is kept", move |live| {
//!             told.extend(live.told().iter().map(|told| (told.seat, number(&told.answer))));
//!             live.iter().all(|(seat, node)| told.get(&seat) <= Some(&Some(node.number)))
//!         })
//!         .eventually("all know the highest", |core| {
//!             core.iter().is_sorted_by(|(_, a), (_, b)| a.number == b.number)
//!         })
//! }
//! let hunt = hunt(machine::plans(&Swarm::default(), 0..10), |_| world());
//! assert!(hunt.found.is_none(), "{hunt}");
//! ```
//!
//! If something is caught, `hunt` says how in words, and [`Found`](crate::Found) has the plan cut
//! down to what it takes and a page to look at.

mod live;
mod node;
mod start;
mod wants;
mod world;

pub use live::{Ask, Live, Told, plan, plans};
pub use node::MachineNode;
pub use start::{Happened, Start};
pub use wants::Wants;
pub use world::MachineWorld;
