//! The node as one machine, and the words it is spoken to in.

mod applier;
mod autopilot;
mod clients;
mod effect;
mod forwards;
mod levels;
mod message;
mod neighbours;
mod node;
mod pending;
mod reign;
mod request;
mod status;

pub use autopilot::AutopilotConfig;
pub use effect::{Effect, NodeEvent, NodeInput};
pub use message::PeerMessage;
pub use node::{NodeError, NodeMachine, NodeSetup};
pub use reign::HandOverReason;
pub use request::{Answer, Doubt, Failure, Found, Query, ReadLevel, Request, RequestId};
pub use status::{GossipStatus, MemberChanges, NeighbourStatus, NodeState, NodeStatus};
