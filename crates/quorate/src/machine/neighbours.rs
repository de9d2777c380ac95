//! What a node knows of the others outside of the log: who is there, and whether their cluster is
//! born.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_core::{
    BootEpoch, ClusterId, Configuration, Hold, Identity, Instant, Kind, Lane, LogView as _,
    Machine as _, NodeId, Outbox, Proposal, Record, Token,
};
use quorate_election::{
    Bootstrap, BootstrapInput, BootstrapMessage, BootstrapOutput, Candidate, Sight,
};
use quorate_membership::{self as membership, Membership, Tags};

use super::node::{NodeMachine, Written};
use crate::{Effect, GossipStatus, MemberChanges, NeighbourStatus, NodeEvent, PeerMessage};

/// Gossip and birth, and what the driver was told because of them.
#[derive(Debug)]
pub(super) struct Neighbours {
    pub(super) membership: Membership,
    pub(super) bootstrap: Bootstrap,
    pub(super) membership_out: Outbox<membership::Output>,
    pub(super) bootstrap_out: Outbox<BootstrapOutput>,
    /// What the bootstrap says leaves when its pledges are durable.
    pub(super) hold: Hold<Effect>,
    tags: Tags,
    boot: BootEpoch,
    /// Whom the driver keeps a stream to, and where.
    streams: BTreeMap<NodeId, String>,
    /// Who answers again since the driver was told last.
    revived: BTreeSet<NodeId>,
    /// The configuration whose members gossip was told of, and its number in the log.
    told: Configuration,
    told_change: Option<u64>,
    /// Whether gossip said something new since this was last looked at.
    changed: bool,
    /// When `view` is made anew at the latest: who was heard when is no event.
    publish_at: Instant,
    /// As published; made anew when something changed.
    pub(super) view: Arc<BTreeMap<NodeId, NeighbourStatus>>,
    pub(super) gossip: GossipStatus,
    changes: MemberChanges,
}

impl Neighbours {
    pub(super) fn new(
        membership: Membership,
        bootstrap: Bootstrap,
        tags: Tags,
        boot: BootEpoch,
    ) -> Self {
        Self {
            membership,
            bootstrap,
            membership_out: Outbox::new(),
            bootstrap_out: Outbox::new(),
            hold: Hold::new(Token(0)),
            tags,
            boot,
            streams: BTreeMap::new(),
            revived: BTreeSet::new(),
            told: Configuration::default(),
            told_change: None,
            changed: true,
            publish_at: Instant::ZERO,
            view: Arc::default(),
            gossip: GossipStatus::default(),
            changes: MemberChanges::default(),
        }
    }

    pub(super) const fn is_quiet(&self) -> bool {
        self.membership_out.is_empty() && self.bootstrap_out.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.membership.deadline(), self.bootstrap.deadline()].into_iter().flatten().min()
    }

    pub(super) fn wake(&mut self, now: Instant) {
        self.membership.wake(now, &mut self.membership_out);
        self.bootstrap.wake(now, &mut self.bootstrap_out);
    }

    fn publish(&mut self, now: Instant) {
        self.publish_at = now + PUBLISH_EVERY;
        let here = self.membership.coordinate();
        let status = |(id, member): (&NodeId, membership::MemberView<'_>)| {
            let info = member.info.clone();
            let status = NeighbourStatus {
                state: member.state,
                incarnation: info.incarnation,
                address: info.address,
                tags: info.tags,
                since: member.since,
                heard_at: member.heard_at,
                rtt: member.rtt,
                rtt_expected: member.coordinate.map(|there| here.distance(&there)),
                loss: member.loss,
                failed_at: member.failed_at,
                suspected: member.suspected,
                by_stream: member.by_stream,
            };
            (id.clone(), status)
        };
        self.view = Arc::new(self.membership.members().map(status).collect());
        self.gossip = GossipStatus {
            view_hash: self.membership.view_hash(),
            health_multiplier: self.membership.health_multiplier(),
            live: self.membership.live(),
            suspicion: self.membership.suspicion_time(),
            changes: self.changes,
            counters: *self.membership.counters(),
        };
    }

    /// Counts what happened to a member.
    const fn count(&mut self, event: &membership::Event) {
        use membership::Event;
        let changes = &mut self.changes;
        let count = match event {
            Event::Joined { .. } | Event::Reachable { .. } | Event::Restarted { .. } => {
                &mut changes.alive
            }
            Event::Unreachable { .. } => &mut changes.unreachable,
            Event::Dead { .. } => &mut changes.dead,
            Event::Left { .. } => &mut changes.left,
            // Says nothing of whether somebody is there.
            _ => return,
        };
        *count += 1;
    }
}

impl NodeMachine {
    pub(super) fn gossip(&mut self, now: Instant, input: membership::Input) {
        let neighbours = &mut self.neighbours;
        neighbours.membership.handle(now, input, &mut neighbours.membership_out);
    }

    pub(super) fn pledge(&mut self, now: Instant, input: BootstrapInput) {
        let neighbours = &mut self.neighbours;
        neighbours.bootstrap.handle(now, input, &mut neighbours.bootstrap_out);
    }

    pub(super) fn membership_output(
        &mut self,
        output: membership::Output,
        out: &mut Outbox<Effect>,
    ) {
        match output {
            membership::Output::Send { to, over, packet } => {
                out.push(Effect::Packet { to, over, packet });
            }
            membership::Output::Resolve { name } => out.push(Effect::Resolve { name }),
            membership::Output::Event(event) => {
                self.neighbours.changed = true;
                self.neighbours.count(&event);
                if let membership::Event::Reachable { id } = &event {
                    self.neighbours.revived.insert(id.clone());
                }
                out.push(Effect::Event(NodeEvent::Member(event)));
            }
        }
    }

    pub(super) fn bootstrap_output(
        &mut self,
        now: Instant,
        output: BootstrapOutput,
        out: &mut Outbox<Effect>,
    ) {
        match output {
            BootstrapOutput::Persist(pledge) => {
                let record = Record::Pledge(pledge.clone());
                let token = self.persist(record, Written::Pledge(pledge), out);
                self.neighbours.hold.rest_on(token);
            }
            BootstrapOutput::Send { to, message } => {
                let message = PeerMessage::Bootstrap(message);
                let send = Effect::Send { to, lane: Lane::Urgent, message };
                self.neighbours.hold.push(send, |effect| out.push(effect));
            }
            BootstrapOutput::Founded(proposal) => self.founded(now, proposal, out),
            BootstrapOutput::Conflict { ours, theirs } => {
                out.push(Effect::Event(NodeEvent::TwoClusters { ours, theirs }));
            }
        }
    }

    /// The cluster is born, and this node is one of its first members.
    pub(super) fn founded(&mut self, now: Instant, born: Proposal, out: &mut Outbox<Effect>) {
        self.belong(now, born.cluster, out);
        self.replicator.found(now, born.configuration, &mut self.log_out);
        out.push(Effect::Event(NodeEvent::Founded { cluster: born.cluster }));
    }

    /// This node belongs to `cluster` from now on.
    fn belong(&mut self, now: Instant, cluster: ClusterId, out: &mut Outbox<Effect>) {
        if cluster == ClusterId::NONE || self.cluster.is_some() {
            return;
        }
        self.cluster = Some(cluster);
        let (node, boot, disk) = (self.me.clone(), self.neighbours.boot, self.disk);
        let lease = self.lease;
        let identity = Identity { node, cluster, boot, disk, lease };
        // Entries may follow in the next record: so whoever has a configuration has this as well.
        let token = self.persist(Record::Identity(identity), Written::Identity, out);
        self.neighbours.hold.rest_on(token);
        self.neighbours.hold.push(Effect::Belong { cluster }, |effect| out.push(effect));
        self.pledge(now, BootstrapInput::Formed(cluster));
        self.neighbours.changed = true;
    }

    /// The record of the own cluster is durable. Gossip names it only now: whoever hears of a
    /// cluster founds no other, so none may be named that a crash could take back.
    pub(super) fn belongs_durably(&mut self, now: Instant) {
        self.neighbours.tags.cluster = self.cluster.unwrap_or(ClusterId::NONE);
        self.gossip(now, membership::Input::SetTags(self.neighbours.tags.clone()));
        self.neighbours.changed = true;
    }

    pub(super) fn bootstrap_received(
        &mut self,
        now: Instant,
        from: NodeId,
        message: BootstrapMessage,
    ) {
        // A node that has a configuration is never founded again, also while it does not know yet
        // which cluster it got it from.
        let asks =
            matches!(message, BootstrapMessage::Prepare { .. } | BootstrapMessage::Accept { .. });
        if self.cluster.is_some() || self.neighbours.told.is_empty() || !asks {
            self.pledge(now, BootstrapInput::Received { from, message });
        }
    }

    /// Whether the log has another configuration than the neighbours were looked at with.
    pub(super) fn has_new_configuration(&self) -> bool {
        self.neighbours.told_change != Some(self.replicator.log().configuration_changes())
    }

    /// After gossip may have learnt something: tells the bootstrap and the driver what is new.
    pub(super) fn look_around(&mut self, now: Instant, out: &mut Outbox<Effect>) {
        if self.has_new_configuration() {
            let change = Some(self.replicator.log().configuration_changes());
            let configuration = self.replicator.log().configuration().clone();
            self.neighbours.told_change = change;
            for (id, member) in &configuration.members {
                if *id != self.me && !member.address.is_empty() {
                    let (id, address) = (id.clone(), member.address.clone());
                    self.gossip(now, membership::Input::Known { id, address });
                }
            }
            self.neighbours.told = configuration;
            self.neighbours.changed = true;
        }
        // Until there is a cluster also what makes no event counts: which seed answers.
        let unborn = self.cluster.is_none();
        if now >= self.neighbours.publish_at {
            self.neighbours.publish(now);
        }
        if !(unborn || self.neighbours.changed) {
            return;
        }
        let sight = self.sight();
        if let Some(cluster) = self.cluster_of_the_log().filter(|_| unborn) {
            // The log came from a leader before the word of the birth did.
            self.belong(now, cluster, out);
        }
        self.pledge(now, BootstrapInput::Saw(sight));
        if std::mem::take(&mut self.neighbours.changed) {
            self.neighbours.publish(now);
            self.meet(out);
        }
    }

    /// The cluster that the members of the log belong to, by their own word. Not what this node
    /// has accepted itself, which need not be what was decided, nor any other cluster of which
    /// there is a rumour.
    fn cluster_of_the_log(&self) -> Option<ClusterId> {
        let others = self.neighbours.told.ids().filter(|id| **id != self.me);
        let known = others.filter_map(|id| self.neighbours.membership.member(id));
        let mut clusters = known.map(|member| member.info.tags.cluster);
        let first = clusters.find(|cluster| *cluster != ClusterId::NONE)?;
        // If they do not agree, one of them will tell what was decided.
        clusters.all(|other| other == ClusterId::NONE || other == first).then_some(first)
    }

    /// What the bootstrap may know.
    fn sight(&self) -> Sight {
        let membership = &self.neighbours.membership;
        let seeds = membership.seeds().into_iter().map(|seed| seed.node).collect();
        let mut sight = Sight { seeds, ..Sight::default() };
        if self.cluster.is_none() && !self.neighbours.told.is_empty() {
            return sight;
        }
        for (id, member) in membership.members() {
            let tags = &member.info.tags;
            if tags.cluster != ClusterId::NONE {
                sight.cluster.get_or_insert(tags.cluster);
            } else if member.state == membership::State::Alive
                && tags.kind == Kind::Voter
                && (*id == self.me || self.connected.contains_key(id))
            {
                let (priority, address) = (tags.priority, member.info.address.clone());
                let disk = self.connected.get(id).copied().unwrap_or(self.disk);
                let candidate = Candidate { priority, address, disk, kind: tags.kind };
                sight.candidates.insert(id.clone(), candidate);
            }
        }
        sight
    }

    /// Has the driver keep a stream to every member of the log and every live neighbour, where
    /// gossip says that it is.
    fn meet(&mut self, out: &mut Outbox<Effect>) {
        let membership = &self.neighbours.membership;
        let live = membership.members().filter(|(_, member)| member.state.is_live());
        let ids: BTreeSet<&NodeId> =
            live.map(|(id, _)| id).chain(self.neighbours.told.ids()).collect();
        let mut streams = BTreeMap::new();
        for id in ids.into_iter().filter(|id| **id != self.me) {
            let known = membership.member(id).map(|member| member.info.address.clone());
            let listed = || Some(self.neighbours.told.member(id)?.address.clone());
            if let Some(address) = known.or_else(listed).filter(|address| !address.is_empty()) {
                streams.insert(id.clone(), address);
            }
        }
        for id in self.neighbours.streams.keys().filter(|id| !streams.contains_key(*id)) {
            out.push(Effect::Disconnect { peer: id.clone() });
        }
        let revived = std::mem::take(&mut self.neighbours.revived);
        for (id, address) in &streams {
            let revived = revived.contains(id) && !self.connected.contains_key(id);
            if revived || self.neighbours.streams.get(id) != Some(address) {
                let (peer, address) = (id.clone(), address.clone());
                out.push(Effect::Connect { peer, address });
            }
        }
        self.neighbours.streams = streams;
    }
}

/// How old the published times may be.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
