//! What Prometheus reads of the membership.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use quorate::NodeStatus;

use super::members;
use super::metrics::Peer;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct What {
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Agreement {
    agrees: &'static str,
}

type Float = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The metrics of one node's membership.
#[derive(Debug, Default)]
pub(super) struct GossipMetrics {
    changes: Family<State, Counter>,
    nodes: Family<State, Gauge>,
    health: Gauge,
    rtt: Family<Peer, Float>,
    silence: Family<Peer, Float>,
    packets_sent: Counter,
    packets_received: Counter,
    bytes_sent: Family<Class, Counter>,
    views: Family<Agreement, Counter>,
    loss: Family<Peer, Float>,
    suspected: Family<Peer, Float>,
    events: Family<What, Counter>,
    refused: Family<What, Counter>,
}

impl GossipMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register(
            "quorate_membership_changes",
            "members that came into a state, as this node saw it",
            self.changes.clone(),
        );
        r.register(
            "quorate_membership_nodes",
            "known nodes by what gossip thinks of them, this one included",
            self.nodes.clone(),
        );
        r.register(
            "quorate_membership_health_multiplier",
            "by how much this node stretches its patience: 1 is well, 8 is worst",
            self.health.clone(),
        );
        r.register_with_unit(
            "quorate_membership_rtt",
            "smoothed round trip to a member",
            Unit::Seconds,
            self.rtt.clone(),
        );
        r.register_with_unit(
            "quorate_membership_silence",
            "since when nothing came from a member",
            Unit::Seconds,
            self.silence.clone(),
        );
        r.register(
            "quorate_membership_packets_sent",
            "packets of the gossip sent",
            self.packets_sent.clone(),
        );
        r.register(
            "quorate_membership_packets_received",
            "packets of the gossip received, good and bad",
            self.packets_received.clone(),
        );
        r.register(
            "quorate_membership_sent_bytes",
            "bytes of the packets sent, without frames and headers, by what they are for",
            self.bytes_sent.clone(),
        );
        r.register(
            "quorate_membership_views",
            "packets by whether their sender sees the same members as this node",
            self.views.clone(),
        );
        r.register(
            "quorate_membership_loss_ratio",
            "share of pings to a member that stayed unanswered lately",
            self.loss.clone(),
        );
        r.register_with_unit(
            "quorate_membership_suspected",
            "since when a member is suspected; absent if it is not",
            Unit::Seconds,
            self.suspected.clone(),
        );
        r.register(
            "quorate_membership_events",
            "what gossip did, by what it was",
            self.events.clone(),
        );
        r.register(
            "quorate_membership_refused",
            "packets and claims of others that were refused, by why",
            self.refused.clone(),
        );
    }

    /// Brings everything up to date.
    pub(super) fn observe(&self, status: &NodeStatus, now: quorate_core::Instant) {
        let gossip = &status.gossip;
        let changes = &gossip.changes;
        for (state, count) in [
            ("alive", changes.alive),
            ("unreachable", changes.unreachable),
            ("dead", changes.dead),
            ("left", changes.left),
        ] {
            set(&self.changes.get_or_create(&State { state }), count);
        }
        for state in ["alive", "suspect", "dead", "left"] {
            let those = status.neighbours.values();
            let count = those.filter(|n| members::state(n.state) == state).count();
            self.nodes.get_or_create(&State { state }).set(count.try_into().unwrap_or(i64::MAX));
        }
        self.health.set(gossip.health_multiplier.into());
        self.rtt.clear();
        self.silence.clear();
        self.loss.clear();
        self.suspected.clear();
        for (id, neighbour) in &*status.neighbours {
            let peer = Peer { node: id.to_string() };
            if let Some(rtt) = neighbour.rtt {
                self.rtt.get_or_create(&peer).set(rtt.as_secs_f64());
            }
            if let Some(at) = neighbour.heard_at {
                self.silence.get_or_create(&peer).set(now.since(at).as_secs_f64());
                self.loss.get_or_create(&peer).set(f64::from(neighbour.loss) / 1e6);
            }
            if let Some((at, _)) = neighbour.suspected {
                self.suspected.get_or_create(&peer).set(now.since(at).as_secs_f64());
            }
        }
        let counters = &gossip.counters;
        set(&self.packets_sent, counters.sent);
        set(&self.packets_received, counters.received);
        for (class, bytes) in [
            ("probe", counters.probe_bytes),
            ("gossip", counters.gossip_bytes),
            ("sync", counters.sync_bytes),
            ("join", counters.join_bytes),
        ] {
            set(&self.bytes_sent.get_or_create(&Class { class }), bytes);
        }
        for (agrees, packets) in [("yes", counters.views_equal), ("no", counters.views_differ)] {
            set(&self.views.get_or_create(&Agreement { agrees }), packets);
        }
        for (what, count) in [
            ("probes", counters.probes),
            ("probes_failed", counters.probes_failed),
            ("relayed", counters.relayed),
            ("by_stream", counters.by_stream),
            ("inquiries", counters.inquiries),
            ("inquiries_cleared", counters.inquiries_cleared),
            ("vetted", counters.vetted),
            ("accusations", counters.accusations),
            ("deaths", counters.deaths),
            ("refutations", counters.refutations),
            ("syncs", counters.syncs),
            ("stalls", counters.stalls),
        ] {
            set(&self.events.get_or_create(&What { what }), count);
        }
        for (what, count) in [
            ("other_version", counters.other_version),
            ("foreign_name", counters.foreign_name),
            ("foreign_cluster", counters.foreign_cluster),
            ("malformed", counters.malformed),
            ("twins", counters.twins),
            ("duplicate_id", counters.refused),
            ("over_limit", counters.over_limit),
            ("broadcasts", counters.broadcasts_dropped),
            ("no_room", counters.no_room),
        ] {
            set(&self.refused.get_or_create(&What { what }), count);
        }
    }
}

/// The machine counts, and never down.
fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}
