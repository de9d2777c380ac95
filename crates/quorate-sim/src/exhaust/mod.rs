//! Every state of a small world: not a sample of what may go wrong, but all of it.
//!
//! A [`SmallWorld`] says what may happen next and what comes of it; [`explore`] follows every
//! possibility, breadth first, counts the states, and gives the shortest way to a broken promise.
//! Nodes that cannot be cloned go through a [`Memory`], which runs them anew from their beginning.
//!
//! # Example
//!
//! ```
//! use quorate_sim::exhaust::{Limits, SmallWorld, explore, fingerprint};
//! use quorate_sim::Violation;
//!
//! /// Two jugs of 3 and 5 litres: can the larger one hold exactly 4?
//! struct Jugs;
//! impl SmallWorld for Jugs {
//!     type State = [u8; 2];
//!     type Action = &'static str;
//!     fn initial(&mut self) -> [u8; 2] { [0, 0] }
//!     fn actions(&mut self, _: &[u8; 2], out: &mut Vec<&'static str>) {
//!         out.extend(["fill 5", "empty 3", "pour 5 into 3"]);
//!     }
//!     fn apply(&mut self, &[three, five]: &[u8; 2], action: &&'static str) -> Option<[u8; 2]> {
//!         let poured = five.min(3 - three);
//!         Some(match *action {
//!             "fill 5" => [three, 5],
//!             "empty 3" => [0, five],
//!             _ => [three + poured, five - poured],
//!         })
//!     }
//!     fn check(&self, state: &[u8; 2]) -> Result<(), Violation> {
//!         if state[1] == 4 { Err(Violation::new("J1", "four litres")) } else { Ok(()) }
//!     }
//!     fn describe(&self, action: &&'static str) -> String { action.to_string() }
//!     fn fingerprint(&mut self, state: &[u8; 2]) -> u128 { fingerprint(state) }
//! }
//! let found = explore(&mut Jugs, Limits::default(), |_| ());
//! assert_eq!(found.broken.unwrap().actions.len(), 6);
//! ```

mod explorer;
mod fingerprint;
mod memory;
mod report;
mod table;
mod world;

pub use explorer::{Limits, explore, replay};
pub use fingerprint::{Fingerprint, fingerprint};
pub use memory::{Actor, Memory, Origin, Step};
pub use report::{Broken, Counts, Exploration};
pub use world::SmallWorld;
