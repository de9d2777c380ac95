//! What clients do: part of a plan.

use quorate_core::Rng;
use serde::{Deserialize, Serialize};

use super::Profile;
use crate::{FaultKind, FaultSet, Plan, PlannedOperation};

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
    /// Whether the write wants every copy.
    #[serde(default, skip_serializing_if = "is_default")]
    pub strong: bool,
    /// Whether it is one of many at once.
    #[serde(default, skip_serializing_if = "is_default")]
    pub burst: bool,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// Reads the key.
    Get,
    /// Puts a value that nothing else puts.
    Set,
    /// Removes the key.
    Delete,
    /// Puts a value if the key is as the client last saw it.
    Cas,
    /// Asks a node for what it has applied, which may be old.
    Peek,
    /// Reads all keys at one moment.
    List,
    /// Uses the client's session, so that it lives on.
    KeepAlive,
    /// Ends the client's session, without telling the client.
    Close,
    /// Wants another node to lead: the one whose number is the key, or with key 0 the best.
    HandOver,
    /// Asks what became of a write whose outcome was not known, or waits for it; of a client's own
    /// accord, never planned.
    Follow,
}

impl Act {
    /// Its place among the kinds of operations in the report.
    pub(super) const fn kind(self) -> usize {
        match self {
            Self::Get => 0,
            Self::Set => 1,
            Self::Delete => 2,
            Self::Cas => 3,
            Self::Peek => 4,
            Self::List => 5,
            Self::KeepAlive => 6,
            Self::Close => 7,
            Self::HandOver => 8,
            Self::Follow => 9,
        }
    }

    /// Whether it is asked once, beside what the client is about.
    pub(super) const fn is_errand(self) -> bool {
        matches!(
            self,
            Self::Peek | Self::List | Self::KeepAlive | Self::Close | Self::HandOver | Self::Follow
        )
    }
}

/// The names of the kinds, in the order of [`Act::kind`].
pub(super) const KINDS: &[&str] =
    &["get", "set", "delete", "cas", "peek", "list", "keep-alive", "close", "hand-over", "follow"];

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const MILLISECOND: u64 = 1_000_000;

/// So many hand-overs are enough.
const WISHES_MAX: usize = 1_000;

/// How many clients only read, around partitions.
const READERS: u8 = 3;
/// How often each of them reads, and how long after a cut.
const READ_GAP: u64 = 60 * MILLISECOND;
const READ_TIME: u64 = 600 * MILLISECOND;

/// Draws the operations of a run: some at any time, and some around each of its faults, where
/// promises are broken if they are.
pub(super) fn draw(
    profile: &Profile,
    kinds: FaultSet,
    plan: &Plan<KvOperation>,
) -> Vec<PlannedOperation<KvOperation>> {
    let mut draw = Draw::new(profile, kinds, plan.seed);
    let mut operations = Vec::new();
    let mut at = 300 * MILLISECOND;
    let gap = draw.rng.between(profile.operation_gap.0, profile.operation_gap.1);
    while at < plan.calm_at && operations.len() < profile.operations_max {
        draw.some(at, &mut operations);
        at += 1 + draw.rng.below(2 * gap);
    }
    let strikes = plan.faults.iter().map(|fault| fault.at).filter(|at| *at > 300 * MILLISECOND);
    for strike in strikes {
        let spread = [50 * MILLISECOND, 400 * MILLISECOND, 1_500 * MILLISECOND][draw.rng.index(3)];
        for _ in 0..draw.rng.below(profile.operations_per_fault) {
            // Some a little before: they are under way when it strikes.
            let at = strike.saturating_sub(20 * MILLISECOND) + draw.rng.below(spread);
            operations.push(PlannedOperation { at, operation: draw.one(false) });
        }
    }
    let cuts = plan.faults.iter().filter(|fault| fault.fault.kind() == FaultKind::Partition);
    for cut in cuts.filter(|fault| fault.at > 300 * MILLISECOND) {
        draw.readers(cut.at, &mut operations);
    }
    if kinds.contains(FaultKind::HandOver) {
        draw.hand_overs(plan, &mut operations);
    }
    operations.sort_by_key(|planned| planned.at);
    operations
}

/// The habits of the clients of a run.
struct Draw {
    rng: Rng,
    /// Which writes want every copy; of its own, so that all else is as it would be without.
    levels: Rng,
    /// How many of them, in millionths.
    strong: u32,
    clients: u8,
    keys: u8,
    retries_max: u64,
    /// Clients below this number have sessions: half of a run's clients or so.
    sessions: u8,
    is_unruly: bool,
    has_bursts: bool,
}

impl Draw {
    fn new(profile: &Profile, kinds: FaultSet, seed: u64) -> Self {
        let mut rng = Rng::stream(seed, "operations");
        let mut levels = Rng::stream(seed, "levels");
        let clients = rng.between(2, profile.clients_max.into()) as u8;
        Self {
            clients,
            keys: rng.between(1, 4) as u8,
            retries_max: [0, 2, 5][rng.index(3)],
            sessions: rng.below(u64::from(clients) + 1) as u8,
            is_unruly: kinds.contains(FaultKind::Clients),
            has_bursts: kinds.contains(FaultKind::Burst),
            strong: [0, 150_000, 500_000][levels.index(3)],
            levels,
            rng,
        }
    }

    /// One operation, or a burst of them.
    fn some(&mut self, at: u64, operations: &mut Vec<PlannedOperation<KvOperation>>) {
        let burst = self.has_bursts && self.rng.chance(20_000);
        let count = if burst { 5 + self.rng.below(20) } else { 1 };
        for _ in 0..count {
            operations.push(PlannedOperation { at, operation: self.one(burst) });
        }
    }

    /// Readers who ask on while a leader is cut off. What it says is old from the moment on at
    /// which the others follow a new one, and until it steps down: a short while, soon after the
    /// cut.
    fn readers(&mut self, cut: u64, operations: &mut Vec<PlannedOperation<KvOperation>>) {
        for reader in 0..READERS {
            let mut at = cut + self.rng.below(READ_GAP);
            while at < cut + READ_TIME {
                let operation = KvOperation {
                    client: self.clients + reader,
                    act: Act::Get,
                    key: self.rng.below(self.keys.into()) as u8,
                    wait_ms: 50,
                    retries: 0,
                    stall_ms: 0,
                    tagged: false,
                    dies: false,
                    strong: false,
                    burst: false,
                };
                operations.push(PlannedOperation { at, operation });
                at += READ_GAP;
            }
        }
    }

    /// Now and then somebody wants another node to lead, and often when links are about to fail: so
    /// that the one who gives the lead away does not hear who has it.
    fn hand_overs(
        &self,
        plan: &Plan<KvOperation>,
        operations: &mut Vec<PlannedOperation<KvOperation>>,
    ) {
        // Draws of its own, so that all others are as they would be without.
        let mut rng = Rng::stream(plan.seed, "hand-overs");
        let gap = [500 * MILLISECOND, 3_000 * MILLISECOND][rng.index(2)];
        let mut at = 1_000 * MILLISECOND + rng.below(gap);
        let mut wishes = Vec::new();
        while at < plan.calm_at && wishes.len() < WISHES_MAX {
            wishes.push(at);
            at += 1 + rng.below(2 * gap);
        }
        for fault in plan.faults.iter().filter(|fault| fault.at > 300 * MILLISECOND) {
            if matches!(fault.fault.kind(), FaultKind::Partition | FaultKind::Clog) {
                wishes.push(fault.at - rng.below(60 * MILLISECOND));
            }
        }
        for at in wishes {
            let operation = KvOperation {
                client: 0,
                act: Act::HandOver,
                key: rng.below(self.keys.into()) as u8,
                wait_ms: 1_000,
                retries: 0,
                stall_ms: 0,
                tagged: false,
                dies: false,
                strong: false,
                burst: false,
            };
            operations.push(PlannedOperation { at, operation });
        }
    }

    const fn one(&mut self, burst: bool) -> KvOperation {
        let rng = &mut self.rng;
        let client = rng.below(self.clients as u64) as u8;
        let unruly = self.is_unruly;
        KvOperation {
            client,
            act: draw_act(rng),
            key: if burst { 0 } else { rng.below(self.keys as u64) as u8 },
            wait_ms: [50, 300, 1_000, 3_000][rng.index(4)],
            retries: rng.below(self.retries_max + 1) as u8,
            stall_ms: if unruly && rng.chance(100_000) { rng.below(4_000) as u32 } else { 0 },
            tagged: client < self.sessions,
            dies: unruly && rng.chance(30_000),
            strong: self.levels.chance(self.strong),
            burst,
        }
    }
}

const fn draw_act(rng: &mut Rng) -> Act {
    match rng.below(200) {
        0..60 => Act::Get,
        60..120 => Act::Set,
        120..140 => Act::Delete,
        140..180 => Act::Cas,
        180..186 => Act::Peek,
        186..191 => Act::List,
        191..196 => Act::KeepAlive,
        _ => Act::Close,
    }
}
