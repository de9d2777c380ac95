//! How the nodes of a run are set up: drawn from the seed, with rare and tiny values among them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use quorate::AutopilotConfig;
use quorate_core::{ClusterId, Configuration, Kind, Member, NodeId, Proposal, Rng};
use quorate_dist_state::Limits;
use quorate_storage::Options;

use super::addresses::{AddressBook, PORT};
use super::drives::Drives;
use crate::{Seat, SeatSet};

/// How the nodes and clients of a run are set up.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) election: quorate_election::Config,
    pub(super) replication: quorate_replication::Config,
    pub(super) journal: Options,
    pub(super) limits: Limits,
    /// Agreed in advance; `None` where the nodes find one another through seeds.
    pub(super) founders: Option<Proposal>,
    /// How many nodes found the cluster; the others stay outside of it.
    pub(super) min_nodes: usize,
    pub(super) membership: quorate_membership::Config,
    /// How members change by themselves.
    pub(super) autopilot: Option<AutopilotConfig>,
    /// The priority of each seat.
    pub(super) priorities: Vec<u8>,
    /// The name of each seat.
    pub(super) ids: Vec<NodeId>,
    /// Where each seat is now.
    pub(super) addresses: AddressBook,
    /// What each seat's disk is called now.
    pub(super) drives: Drives,
    /// Whether the calm phase lasts until gossip has settled, too.
    pub(super) wants_views: bool,
    /// How long a session lives after its last use, in milliseconds.
    pub(super) session_ttl_ms: u64,
    /// The size of the larger values.
    value_bytes: usize,
    /// Whether a few values are huge.
    is_huge: bool,
}

impl Settings {
    /// The settings of `seed`. Not part of the plan: the seed is, and that is enough.
    ///
    /// Lease reads rest on clocks within the bound: `steady` says whether all faults keep to it.
    pub(super) fn draw(seed: u64, nodes: u8, steady: bool) -> Self {
        let mut rng = Rng::stream(seed, "settings");
        let election = draw_stabilisation(seed, draw_election(&mut rng));
        let ids: Vec<NodeId> = (0..nodes).map(|n| name(Seat(n))).collect();
        let priorities = draw_priorities(seed, nodes);
        Self {
            replication: draw_lease(seed, steady, &election, draw_replication(&mut rng)),
            election,
            journal: Options::default()
                .segment_bytes([4 << 10, 16 << 10, 64 << 10][rng.index(3)])
                .spares_max(1 + rng.index(2)),
            limits: draw_limits(&mut rng),
            founders: draw_founders(&mut rng, &ids, &priorities),
            priorities,
            membership: draw_membership(&mut rng, nodes),
            min_nodes: draw_min_nodes(seed, ids.len()),
            autopilot: draw_autopilot(seed),
            addresses: AddressBook::new(nodes),
            drives: Drives::new(nodes),
            ids,
            wants_views: rng.chance(330_000),
            session_ttl_ms: [1_000, 3_000, 60_000][rng.index(3)],
            value_bytes: [8, 200, 3_000][rng.index(3)],
            is_huge: rng.chance(20_000),
        }
    }

    /// Leaves somebody to be added later, where enough others have agreed.
    pub(super) fn leave_one_out(&mut self) {
        if let Some(founders) =
            self.founders.as_mut().filter(|it| it.configuration.members.len() > 3)
        {
            founders.configuration.members.pop_last();
        }
    }

    /// The bytes of the value named `number`. Some are larger, to fill segments and batches.
    pub(super) fn value(&self, number: u64) -> Bytes {
        let size = match number {
            // As large as is allowed.
            _ if self.is_huge && number.is_multiple_of(40) => 1 << 20,
            _ if number.is_multiple_of(5) => self.value_bytes,
            _ => 8,
        };
        let mut bytes = vec![number as u8; size];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes.into()
    }

    /// The number of a value.
    pub(super) fn number(value: &[u8]) -> u64 {
        // What is too short to be one of ours gets a number that none of ours has.
        value.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
    }

    /// What all keys of clients begin with.
    pub(super) const fn prefix() -> Bytes {
        Bytes::from_static(b"k")
    }

    /// The bytes of the key named `number`.
    pub(super) fn key(number: u8) -> Bytes {
        Bytes::from(format!("k{number}"))
    }

    pub(super) fn seat(&self, id: &NodeId) -> Option<Seat> {
        self.ids.iter().position(|known| known == id).map(|place| Seat(place as u8))
    }

    /// Whom the list of seeds leads to now.
    pub(super) fn seeds(&self) -> SeatSet {
        let found = self.membership.seeds.iter().flat_map(|seed| match seed.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolve(seed),
        });
        found.filter_map(|address| self.addresses.seat_at(address)).collect()
    }

    /// What a name service says: seats have names as well.
    pub(super) fn resolve(&self, name: &str) -> Vec<SocketAddr> {
        let seat = name.split_once(':').and_then(|(host, _)| host.parse().ok());
        let known = seat.filter(|seat: &Seat| seat.index() < self.ids.len());
        known.map(|seat| self.addresses.of(seat)).into_iter().collect()
    }
}

fn name(seat: Seat) -> NodeId {
    NodeId::new(&seat.to_string()).expect("the name of a seat is a letter and a number")
}

/// Short, so that a calm phase need not be long.
fn draw_stabilisation(seed: u64, election: quorate_election::Config) -> quorate_election::Config {
    let mut rng = Rng::stream(seed, "stabilisation");
    let drawn = Duration::from_millis([300, 1_000, 3_000][rng.index(3)]);
    quorate_election::Config { stabilisation: drawn.max(election.election_max), ..election }
}

/// In most runs, if clocks permit it. Longer ones than nodes take, too: whoever is elected after the
/// shortest timeout must then wait, and whoever was cut off leads on until its lease ends. Two clocks
/// that are off by a twentieth each drift apart by more than a tenth.
fn draw_lease(
    seed: u64,
    steady: bool,
    election: &quorate_election::Config,
    log: quorate_replication::Config,
) -> quorate_replication::Config {
    let mut rng = Rng::stream(seed, "lease");
    let long = election.election_max * 9 / 10;
    let lease = [Duration::ZERO, election.election_min, long, long][rng.index(4)];
    let lease = if steady { lease } else { Duration::ZERO };
    quorate_replication::Config { lease, drift_millionths: 106_000, ..log }
}

const fn draw_election(rng: &mut Rng) -> quorate_election::Config {
    match rng.below(5) {
        0 => quorate_election::Config::fast(),
        1 | 2 => quorate_election::Config::lan(),
        3 => quorate_election::Config::wan(),
        _ => quorate_election::Config {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1_000),
            ..quorate_election::Config::lan()
        },
    }
}

fn draw_replication(rng: &mut Rng) -> quorate_replication::Config {
    let mut config = quorate_replication::Config::default();
    if rng.chance(500_000) {
        config.batch_bytes = [1, 100, 5_000][rng.index(3)];
        config.inflight_messages = [1, 2, 8][rng.index(3)];
    }
    // Compaction in most runs, and early: after a few entries.
    if rng.chance(700_000) {
        config.compact_log_entries = [4, 12, 50, 150][rng.index(4)];
        config.keep_log_bytes = [0, 0, 4_000][rng.index(3)];
        // Less would take longer for the largest state than the calm phase lasts (seed 1051).
        config.snapshot_chunk_bytes = [512, 1_000, 1 << 20][rng.index(3)];
        config.snapshot_chunks = [1, 4][rng.index(2)];
    }
    config.commit_notice_after = Duration::from_millis([0, 1, 20][rng.index(3)]);
    config.resend_after = Duration::from_millis([50, 200][rng.index(2)]);
    config.commit_mark_after = Duration::from_millis([20, 500][rng.index(2)]);
    // Overload in some runs: what is refused must have no effect.
    if rng.chance(200_000) {
        config.uncommitted_entries = rng.between(2, 20);
        config.waiting_reads = rng.between(1, 4) as usize;
    }
    config
}

/// In most runs all are equal; else some are preferred, and some do not want to lead.
fn draw_priorities(seed: u64, nodes: u8) -> Vec<u8> {
    let mut rng = Rng::stream(seed, "priorities");
    let differ = rng.chance(300_000);
    let draw = |_| if differ { [0, 50, 100, 200][rng.index(4)] } else { Member::PRIORITY_DEFAULT };
    (0..nodes).map(draw).collect()
}

/// In half of the runs the first members are agreed, so that those begin with a working log. With
/// many nodes in few of them: those are about the birth.
fn draw_founders(rng: &mut Rng, ids: &[NodeId], priorities: &[u8]) -> Option<Proposal> {
    let mut configuration = Configuration::of_voters(ids.iter().cloned());
    for (seat, member) in configuration.members.values_mut().enumerate() {
        member.address = AddressBook::first(Seat(seat as u8)).to_string();
        member.priority = priorities[seat];
        member.disk = Drives::first(Seat(seat as u8));
    }
    let cluster = ClusterId(u128::from(rng.next_u64()) + 1);
    // One that holds data and has no say, where enough others have.
    let watches = ids.len() > 3 && rng.chance(250_000);
    if let Some(last) = configuration.members.values_mut().last().filter(|_| watches) {
        last.kind = Kind::Observer;
    }
    let agreed = if ids.len() > 5 { 100_000 } else { 500_000 };
    rng.chance(agreed).then_some(Proposal { cluster, configuration })
}

/// In a third of the runs all nodes are first members; else few enough that, if the rest could,
/// it would make a second cluster.
fn draw_min_nodes(seed: u64, nodes: usize) -> usize {
    let mut rng = Rng::stream(seed, "min_nodes");
    if nodes < 3 || rng.chance(333_333) { nodes } else { 2 + rng.index((nodes / 2).max(2) - 1) }
}

/// In half of the runs; fast, so that something happens in short ones.
fn draw_autopilot(seed: u64) -> Option<AutopilotConfig> {
    let mut rng = Rng::stream(seed, "autopilot");
    let config = AutopilotConfig {
        max_voters: [3, 5, 7][rng.index(3)],
        stabilisation: Duration::from_millis([0, 300, 2_000][rng.index(3)]),
        replace_after: Duration::from_millis([0, 1_000, 5_000][rng.index(3)]),
    };
    rng.chance(500_000).then_some(config)
}

fn draw_membership(rng: &mut Rng, nodes: u8) -> quorate_membership::Config {
    let mut seats: Vec<Seat> = (0..nodes).map(Seat).collect();
    rng.shuffle(&mut seats);
    let count = 1 + rng.index(seats.len());
    // A node alone founds only without seeds; with them it would look for others for ever.
    let count = if nodes == 1 { 0 } else { count };
    let seeds = seats.into_iter().take(count).map(|seat| match rng.below(2) {
        0 => AddressBook::first(seat).to_string(),
        _ => format!("{seat}:{PORT}"),
    });
    quorate_membership::Config {
        cluster_name: "simulated".to_owned(),
        seeds: seeds.collect(),
        ..match rng.below(2) {
            0 => quorate_membership::Config::local(),
            _ => quorate_membership::Config::lan(),
        }
    }
}

fn draw_limits(rng: &mut Rng) -> Limits {
    let sessions_max = [3, 100_000][rng.index(2)];
    Limits { sessions_max, session_ttl_ms_min: 500, ..Limits::default() }
}
