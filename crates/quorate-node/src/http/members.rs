//! `/v1/members`: who is there, and how gossip sees each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use quorate::{DiskId, GossipState, GossipStatus, NeighbourStatus};
use quorate_core::Instant;
use serde::Serialize;

use super::App;
use super::cluster::{api_address, kind, parts};
use super::meta::ok;

#[derive(Debug, Serialize)]
struct MembersBody {
    members: Vec<MemberBody>,
    gossip: OwnBody,
}

#[derive(Debug, Serialize)]
struct MemberBody {
    node_id: String,
    address: String,
    port: u16,
    api_address: Option<String>,
    state: String,
    kind: Option<&'static str>,
    priority: Option<u8>,
    /// The one that it has its say from.
    disk: Option<String>,
    health: Option<&'static str>,
    tags: BTreeMap<String, String>,
    last_seen_ms: Option<u64>,
    gossip: Option<GossipBody>,
}

/// How this node's gossip sees a member.
#[derive(Debug, Serialize)]
struct GossipBody {
    state: &'static str,
    since_ms: u64,
    boot_epoch: u64,
    counter: u64,
    rtt_ms: Option<f64>,
    /// By the coordinates of both.
    rtt_expected_ms: Option<f64>,
    /// The share of pings that stayed unanswered lately.
    loss: f64,
    /// Since when this node itself does not reach it.
    unreached_ms: Option<u64>,
    /// Since when all suspect it.
    suspected_ms: Option<u64>,
    /// Whether enough others found it silent too.
    corroborated: bool,
    /// Whether datagrams do not get through and streams do.
    by_stream: bool,
}

impl GossipBody {
    fn of(neighbour: &NeighbourStatus, now: Instant) -> Self {
        Self {
            state: state(neighbour.state),
            since_ms: millis(now.since(neighbour.since)),
            boot_epoch: neighbour.incarnation.boot.0,
            counter: neighbour.incarnation.counter,
            rtt_ms: neighbour.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            rtt_expected_ms: neighbour.rtt_expected.map(|rtt| rtt.as_secs_f64() * 1e3),
            loss: f64::from(neighbour.loss) / 1e6,
            unreached_ms: neighbour.failed_at.map(|at| millis(now.since(at))),
            suspected_ms: neighbour.suspected.map(|(at, _)| millis(now.since(at))),
            corroborated: neighbour.suspected.is_some_and(|(_, corroborated)| corroborated),
            by_stream: neighbour.by_stream,
        }
    }
}

/// How gossip fares at this node itself.
#[derive(Debug, Serialize)]
struct OwnBody {
    /// Equal on two nodes exactly if they know the same live members in the same incarnations.
    view_hash: String,
    /// 1 is well, 8 is worst.
    health_multiplier: u32,
    live: usize,
    /// How long a member is suspected before it is given up.
    suspicion_ms: u64,
    /// Packets whose sender sees the same members as this node, and those whose sender does not.
    views_equal: u64,
    views_differ: u64,
    sent_bytes: BytesBody,
}

/// Without frames and headers, since the start.
#[derive(Debug, Serialize)]
struct BytesBody {
    probe: u64,
    gossip: u64,
    sync: u64,
    join: u64,
}

impl From<GossipStatus> for OwnBody {
    fn from(status: GossipStatus) -> Self {
        Self {
            view_hash: format!("{:016x}", status.view_hash),
            health_multiplier: status.health_multiplier,
            live: status.live,
            suspicion_ms: millis(status.suspicion),
            views_equal: status.counters.views_equal,
            views_differ: status.counters.views_differ,
            sent_bytes: BytesBody {
                probe: status.counters.probe_bytes,
                gossip: status.counters.gossip_bytes,
                sync: status.counters.sync_bytes,
                join: status.counters.join_bytes,
            },
        }
    }
}

/// `GET /v1/members`
pub(super) async fn members(State(app): State<App>) -> Response {
    let status = app.node.status();
    let now = app.node.now();
    let members = status.nodes().into_iter().map(|(id, state)| {
        let neighbour = status.neighbours.get(&id);
        let member = status.configuration.member(&id);
        // Gossip knows where a node is now; the log, where it was when it joined.
        let address = neighbour.map(|n| &n.address).or_else(|| member.map(|m| &m.address));
        let (address, port) = parts(address.map_or("", String::as_str));
        let tags = neighbour.map(|n| &n.tags);
        let itself = id == status.node;
        MemberBody {
            address,
            port,
            api_address: api_address(&app, &id),
            state: state.to_string(),
            kind: status.configuration.kind(&id).or_else(|| tags.map(|tags| tags.kind)).map(kind),
            // Of a member the one that counts, whatever its node is set to.
            priority: member.map(|m| m.priority).or_else(|| tags.map(|tags| tags.priority)),
            disk: status
                .configuration
                .disk(&id)
                .filter(|disk| *disk != DiskId::NONE)
                .map(|it| it.to_string()),
            health: None,
            tags: tags.map(|tags| tags.extra.clone()).unwrap_or_default(),
            last_seen_ms: if itself {
                Some(0)
            } else {
                neighbour.and_then(|n| n.heard_at).map(|at| millis(now.since(at)))
            },
            gossip: neighbour.map(|neighbour| GossipBody::of(neighbour, now)),
            node_id: id.to_string(),
        }
    });
    let members = members.collect();
    ok(&app, MembersBody { members, gossip: status.gossip.into() })
}

/// The word of the API for what gossip thinks of a member.
pub(super) const fn state(state: GossipState) -> &'static str {
    match state {
        GossipState::Alive => "alive",
        GossipState::Suspect => "suspect",
        GossipState::Dead => "dead",
        GossipState::Left => "left",
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
