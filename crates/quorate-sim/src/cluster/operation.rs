//! What clients do: part of a plan.

use quorate_core::Rng;
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{FaultKind, FaultSet, PlannedOperation};

/// One operation of a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvOperation {
    /// Which client; it does one thing after the other.
    pub client: u8,
    /// What.
    pub act: Act,
    /// Under which key.
    pub key: u8,
    /// How long each try may take, in milliseconds.
    pub wait_ms: u32,
    /// How often it is tried again.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retries: u8,
    /// How long the client stands still before a retry, in milliseconds.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stall_ms: u32,
    /// Whether the write bears a session's tag, so that retries act once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tagged: bool,
    /// Whether the client dies right after its first try; another takes its place.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dies: bool,
    /// Whether it is one of many at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub burst: bool,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Reads the key.
    Get,
    /// Puts a value that nothing else puts.
    Set,
    /// Removes the key.
    Delete,
    /// Puts a value if the key is as the client last saw it.
    Cas,
}

impl Act {
    /// Its place among the kinds of operations in the report.
    pub(super) const fn kind(self) -> usize {
        match self {
            Self::Get => 0,
            Self::Set => 1,
            Self::Delete => 2,
            Self::Cas => 3,
        }
    }
}

/// The names of the kinds, in the order of [`Act::kind`].
pub(super) const KINDS: &[&str] = &["get", "set", "delete", "cas"];

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const MILLISECOND: u64 = 1_000_000;

/// Draws the operations of `seed` until `end`.
pub(super) fn draw(
    seed: u64,
    profile: &Profile,
    kinds: FaultSet,
    end: u64,
) -> Vec<PlannedOperation<KvOperation>> {
    let mut rng = Rng::stream(seed, "operations");
    let clients = rng.between(2, profile.clients_max.into()) as u8;
    let keys = rng.between(1, 4) as u8;
    let gap = rng.between(profile.operation_gap.0, profile.operation_gap.1);
    let retries_max = [0, 2, 5][rng.index(3)];
    let unruly = kinds.contains(FaultKind::Clients);
    let bursts = kinds.contains(FaultKind::Burst);
    // Half of the clients of a run at most have sessions: plain clients find other bugs.
    let sessions = rng.below(u64::from(clients) + 1) as u8;
    let mut operations = Vec::new();
    let mut at = 300 * MILLISECOND;
    while at < end && operations.len() < profile.operations_max {
        let burst = bursts && rng.chance(20_000);
        let count = if burst { 5 + rng.below(20) } else { 1 };
        for _ in 0..count {
            let client = rng.below(clients.into()) as u8;
            let operation = KvOperation {
                client,
                act: draw_act(&mut rng),
                key: if burst { 0 } else { rng.below(keys.into()) as u8 },
                wait_ms: [50, 300, 1_000, 3_000][rng.index(4)],
                retries: rng.below(retries_max + 1) as u8,
                stall_ms: if unruly && rng.chance(100_000) { rng.below(4_000) as u32 } else { 0 },
                tagged: client < sessions,
                dies: unruly && rng.chance(30_000),
                burst,
            };
            operations.push(PlannedOperation { at, operation });
        }
        at += 1 + rng.below(2 * gap);
    }
    operations
}

const fn draw_act(rng: &mut Rng) -> Act {
    match rng.below(20) {
        0..7 => Act::Get,
        7..14 => Act::Set,
        14..16 => Act::Delete,
        _ => Act::Cas,
    }
}
