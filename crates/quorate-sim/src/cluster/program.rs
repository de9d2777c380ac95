//! The shipped node as a program of the engine: the same machine, codec and journal.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use quorate::{
    Answer, ConsistencyLevel, Doubt, Effect as NodeEffect, HandOverReason, NodeEvent, NodeInput,
    NodeMachine, NodeSetup, PeerMessage, ReadLevel, Request, RequestId, WriteState, WriteStatus,
};
use quorate_core::{
    Ballot, BootEpoch, ClusterId, DiskId, Instant, LogId, LogIndex, LogView as _, Machine as _,
    NodeId, Outbox, Record, Recovered, Rng, Term, Token,
};
use quorate_election::BootstrapConfig;
use quorate_membership::{Channel, Packet, Tags};
use quorate_storage::{Journal, OpenError, WriteError};
use quorate_wire::{
    DATAGRAM_HEADER_BYTES, FrameKind, Limit, Versions, decode_datagram, decode_frame,
    encode_datagram, encode_frame,
};

use super::settings::Settings;
use super::world::STRANGERS;
use crate::{Boot, BootRefused, Copies, Effects, Halt, Input, Program, Seat, SeatSet};

/// A client's request and its patience.
#[derive(Debug, Clone)]
pub(super) struct KvRequest {
    /// What it asks.
    pub(super) request: Request,
    /// How long it waits.
    pub(super) wait: Duration,
}

/// What a node did that checks must know of, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// It gave its vote away, by message.
    Granted {
        term: Term,
        to: Seat,
    },
    /// It leads.
    Led {
        term: Term,
    },
    /// These became durable, by the word of its journal.
    Ballot(Ballot),
    Entries(Vec<LogId>),
    Snapshot(LogId),
    Commit(LogIndex),
    /// The node belongs to this cluster, of these members, or was told of it.
    Born {
        cluster: ClusterId,
        /// The first members, as far as they are known.
        members: Option<SeatSet>,
    },
    /// Gossip said so.
    Member(quorate_membership::Event),
    /// It sent a datagram, which was too long or not.
    Datagram {
        over: bool,
    },
    /// A datagram of another cluster came to it, and was refused or not.
    Stranger {
        refused: bool,
    },
    /// It gave its vote to another although it heard the leader of `term`.
    Disturbed {
        term: Term,
        to: NodeId,
        ago: Duration,
    },
    /// As leader it told another to stand, which is to hold the log up to there.
    ToldToStand {
        term: Term,
        to: Seat,
        tip: LogId,
    },
    /// It hands its lead over.
    HandingOver {
        to: NodeId,
        why: HandOverReason,
    },
    /// It said, or passed on, what became of a write and who holds it.
    Told(WriteStatus),
    /// The state was replaced by a snapshot.
    Installed,
    /// Its own log was compacted.
    Compacted,
    /// The journal refused a record that its own node wrote.
    Misplaced(String),
    /// It passed a request on under this number.
    Forwarded(u64),
    /// It answered a request that it had answered, or that nobody asked.
    AnsweredTwice(u64),
    /// It served a linearizable read; whether a majority had confirmed its lead since that came.
    ServedRead {
        confirmed: bool,
    },
}

/// A node in the simulator.
pub(super) struct NodeProgram {
    pub(super) machine: NodeMachine,
    settings: Rc<Settings>,
    seat: Seat,
    /// On which disk it is: every stream of it begins with that.
    disk: DiskId,
    /// Whose messages it hears.
    cluster: ClusterId,
    journal: Journal,
    rng: Rng,
    outbox: Outbox<NodeEffect>,
    /// Names whose addresses were asked for.
    lookups: Vec<String>,
    queue: Vec<(Token, Record)>,
    /// What was handed to the file system and is not synced yet.
    written: Option<Token>,
    unsynced: Vec<Seen>,
    /// What was synced and not told to the node yet.
    synced: Option<Token>,
    pub(super) seen: Vec<Seen>,
    /// The highest term in anything it said: others may rely on it, so it must not be forgotten.
    pub(super) spoken: Term,
    /// When each peer was last heard, on the own clock.
    pub(super) heard: Vec<Instant>,
    /// When the leader of a term was last heard, by its heartbeat.
    led_by: Option<(NodeId, Term, Instant)>,
    /// The voter's term after the last input.
    term_before: Term,
    /// The own clock at the last step.
    pub(super) now: Instant,
    /// Requests without an answer, by deadline.
    open: BTreeSet<(Instant, u64)>,
    deadlines: BTreeMap<u64, Instant>,
    reads: Reads,
    /// Since when the disk has owed an answer.
    pub(super) owed_since: Option<Instant>,
    last_token: Token,
}

/// Reads that wait, and who confirmed a lead when: on the own clock.
#[derive(Debug, Default)]
struct Reads {
    /// When each came, by its number, from a client or the node that passed it on.
    came: BTreeMap<(Option<NodeId>, u64), Instant>,
    /// When each of the last rounds of questions began.
    rounds: BTreeMap<(Term, u64), Instant>,
    /// For each peer, when the newest round began that it answered.
    confirmed: BTreeMap<NodeId, Instant>,
    /// Whether the answer of another node is being handled, which answers for this one.
    is_told: bool,
}

/// So many rounds of questions are remembered; no answer to an older one counts.
const ROUNDS_MAX: usize = 8;

impl std::fmt::Debug for NodeProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeProgram").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl NodeProgram {
    /// Opens the journal and starts the node on what it holds.
    pub(super) fn boot(
        boot: &Boot,
        settings: Rc<Settings>,
        out: &mut Effects<Answer>,
    ) -> Result<(Self, Recovered), BootRefused> {
        let opened = Journal::open(boot.disk.attach(), settings.journal.clone());
        let (journal, recovered) = opened.map_err(|error| match error {
            OpenError::Full { .. } | OpenError::Disk { .. } => {
                BootRefused::Later(format!("{error:?}"))
            }
            error => BootRefused::Damaged(error.to_string()),
        })?;
        let priority = settings.priorities[boot.seat.index()];
        let setup = NodeSetup {
            me: settings.ids[boot.seat.index()].clone(),
            election: quorate_election::Config { priority, ..settings.election.clone() },
            replication: settings.replication.clone(),
            limits: settings.limits.clone(),
            membership: quorate_membership::Config {
                address: settings.addresses.of(boot.seat).to_string(),
                ..settings.membership.clone()
            },
            tags: Tags { priority, ..Tags::default() },
            bootstrap: BootstrapConfig::new(settings.min_nodes),
            boot: BootEpoch(u64::from(boot.life) + 1),
            disk: settings.drives.of(boot.seat),
            instance: boot.seed,
            founders: settings.founders.clone(),
            autopilot: settings.autopilot.clone(),
        };
        let mut outbox = Outbox::new();
        let machine = NodeMachine::new(setup, &recovered, boot.seed, boot.now, &mut outbox)
            .map_err(|error| BootRefused::Never(error.to_string()))?;
        let mut program = Self {
            machine,
            seat: boot.seat,
            disk: settings.drives.of(boot.seat),
            cluster: ClusterId::NONE,
            journal,
            rng: Rng::stream(boot.seed, "storage thread"),
            outbox,
            lookups: Vec::new(),
            queue: Vec::new(),
            written: None,
            unsynced: Vec::new(),
            synced: None,
            seen: Vec::new(),
            spoken: Term::ZERO,
            led_by: None,
            term_before: Term::ZERO,
            heard: vec![boot.now; settings.ids.len()],
            now: boot.now,
            open: BTreeSet::new(),
            deadlines: BTreeMap::new(),
            reads: Reads::default(),
            owed_since: None,
            last_token: Token(0),
            settings,
        };
        program.pass_on(out);
        Ok((program, recovered))
    }

    /// Turns what the node wants into effects of the engine.
    fn pass_on(&mut self, out: &mut Effects<Answer>) {
        let mut outbox = std::mem::take(&mut self.outbox);
        for effect in outbox.drain() {
            match effect {
                NodeEffect::Persist { token, record } => {
                    if let Record::Ballot(ballot) = &record {
                        self.voted(ballot);
                    }
                    self.owed_since.get_or_insert(self.now);
                    self.last_token = token;
                    self.queue.push((token, record));
                    out.persist();
                }
                NodeEffect::Send { to, lane, message } => {
                    let Some(to) = self.settings.seat(&to) else { continue };
                    self.spoke(to, &message);
                    let (cluster, disk) = (self.cluster, self.disk);
                    out.send(to, lane, copies(&message), |bytes| {
                        let encoded =
                            encode_frame(FrameKind::Message, cluster, &(disk, &message), bytes);
                        encoded.expect("a message of a simulated node is within the limit");
                    });
                }
                NodeEffect::Packet { to, packet, .. } => {
                    let Some(to) = self.settings.addresses.seat_at(to) else { continue };
                    let mut size = 0;
                    out.datagram(to, |bytes| {
                        let encoded = encode_datagram(&packet, bytes);
                        encoded.expect("a packet of a simulated node is within the limit");
                        size = bytes.len();
                    });
                    let over = size > Packet::BYTES_MAX + DATAGRAM_HEADER_BYTES;
                    self.seen.push(Seen::Datagram { over });
                }
                NodeEffect::Resolve { name } => self.lookups.push(name),
                // The engine keeps streams between all nodes, and runs one cluster.
                NodeEffect::Connect { .. } | NodeEffect::Disconnect { .. } => {}
                NodeEffect::Belong { cluster } => {
                    self.cluster = cluster;
                    self.born(cluster);
                }
                NodeEffect::Reply { id, answer } => {
                    self.answered((None, id.0), &answer);
                    self.seen.extend(told(&answer).map(Seen::Told));
                    match self.deadlines.remove(&id.0) {
                        Some(deadline) => _ = self.open.remove(&(deadline, id.0)),
                        None => self.seen.push(Seen::AnsweredTwice(id.0)),
                    }
                    out.reply(id.0, answer);
                }
                NodeEffect::Event(event) => match event {
                    NodeEvent::BecameLeader { term } => self.seen.push(Seen::Led { term }),
                    NodeEvent::Founded { cluster }
                    | NodeEvent::TwoClusters { theirs: cluster, .. } => self.born(cluster),
                    NodeEvent::HandingOver { to, why } => {
                        self.seen.push(Seen::HandingOver { to, why });
                    }
                    NodeEvent::Member(event) => self.seen.push(Seen::Member(event)),
                    NodeEvent::Installed { .. } => self.seen.push(Seen::Installed),
                    NodeEvent::Compacted { .. } => self.seen.push(Seen::Compacted),
                    _ => {}
                },
            }
        }
        self.outbox = outbox;
    }

    fn born(&mut self, cluster: ClusterId) {
        let log = self.machine.log();
        let first = log.configuration_at(LogIndex(1)).filter(|_| log.first_index().0 == 1);
        let seats = |it: &quorate_core::Configuration| {
            it.voters().filter_map(|id| self.settings.seat(id)).collect()
        };
        let members = first.map(seats);
        self.seen.push(Seen::Born { cluster, members });
    }

    /// Answers what was asked of the name service, which fails now and then.
    fn look_up(&mut self, now: Instant, out: &mut Effects<Answer>) {
        while let Some(name) = self.lookups.pop() {
            let fails = self.rng.chance(100_000);
            let addresses = if fails { Vec::new() } else { self.settings.resolve(&name) };
            let input = NodeInput::Resolved { name, addresses };
            self.machine.handle(now, input, &mut self.outbox);
            self.pass_on(out);
        }
    }

    /// A request whose deadline is over and that has no answer.
    pub(super) fn overdue(&self) -> Option<u64> {
        self.open.first().filter(|(deadline, _)| *deadline < self.now).map(|(_, id)| *id)
    }

    /// The term that its log leads.
    pub(super) fn leads_term(&self) -> Option<Term> {
        self.machine.replicator().is_leading().then(|| self.machine.voter().term())
    }

    /// Its name.
    pub(super) fn id(&self) -> &NodeId {
        &self.settings.ids[self.seat.index()]
    }

    /// The name of another.
    pub(super) fn id_of(&self, seat: Seat) -> &NodeId {
        &self.settings.ids[seat.index()]
    }

    /// On which disk it is.
    pub(super) const fn disk(&self) -> DiskId {
        self.disk
    }

    /// On which disk another is.
    pub(super) fn disk_of(&self, seat: Seat) -> DiskId {
        self.settings.drives.of(seat)
    }

    /// Who bears a name.
    pub(super) fn seat_of(&self, id: &NodeId) -> Option<Seat> {
        self.settings.seat(id)
    }

    /// A vote for another node is on its way to the disk. Whoever hears a leader gives none: so a
    /// node that comes back from a partition cannot depose it.
    fn voted(&mut self, ballot: &Ballot) {
        let Some(vote) = ballot.vote.as_ref().filter(|vote| *vote != self.id()) else { return };
        let Some((leader, term, at)) = &self.led_by else { return };
        let ago = self.now.since(*at);
        // The leader itself asks only when it leads no longer.
        if *term == self.term_before && leader != vote && ago < self.settings.election.election_min
        {
            self.seen.push(Seen::Disturbed { term: *term, to: vote.clone(), ago });
        }
    }

    /// What a message means for reads: one came, or somebody confirmed the lead.
    fn hear_of_reads(&mut self, from: &NodeId, message: &PeerMessage) {
        use quorate_replication::Message as Log;
        match message {
            PeerMessage::Forward { id, request, .. } if is_linearizable(request) => {
                self.reads.came.insert((Some(from.clone()), *id), self.now);
            }
            PeerMessage::Replication(Log::ProbeReply { term, seq, .. }) => {
                if let Some(began) = self.reads.rounds.get(&(*term, *seq)) {
                    let confirmed = self.reads.confirmed.entry(from.clone()).or_insert(*began);
                    *confirmed = (*confirmed).max(*began);
                }
            }
            _ => {}
        }
    }

    /// A read is answered: by this node as leader only if a majority says that it led since the
    /// read came.
    fn answered(&mut self, read: (Option<NodeId>, u64), answer: &Answer) {
        let Some(came) = self.reads.came.remove(&read) else { return };
        if self.reads.is_told || !matches!(answer, Answer::Found { .. }) {
            return;
        }
        let configuration = self.machine.log().configuration();
        let mut halves = std::iter::once(&configuration.members).chain(&configuration.outgoing);
        let confirmed = halves.all(|half| {
            let (mut voters, mut confirmed) = (0, 0);
            for (id, _) in half.iter().filter(|(_, member)| member.kind.votes()) {
                let at = self.reads.confirmed.get(id);
                voters += 1;
                confirmed += usize::from(id == self.id() || at.is_some_and(|at| *at >= came));
            }
            2 * confirmed > voters
        });
        self.seen.push(Seen::ServedRead { confirmed });
    }

    fn spoke(&mut self, to: Seat, message: &PeerMessage) {
        use quorate_election::Message as Vote;
        use quorate_replication::Message as Log;
        match message {
            PeerMessage::Election(Vote::StandNow { term, tip }) => {
                self.seen.push(Seen::ToldToStand { term: *term, to, tip: *tip });
            }
            PeerMessage::Election(Vote::Vote { term, .. } | Vote::VoteAtOnce { term, .. }) => {
                self.seen.push(Seen::Granted { term: *term, to: self.seat });
            }
            PeerMessage::Election(Vote::VoteReply { term, granted: true, .. }) => {
                self.seen.push(Seen::Granted { term: *term, to });
            }
            // It overtakes the ballot of its term: see why at `Output::Send` of the log.
            PeerMessage::Replication(Log::ProbeReply { .. }) => return,
            PeerMessage::Replication(Log::Probe { term, seq }) => {
                self.reads.rounds.entry((*term, *seq)).or_insert(self.now);
                if self.reads.rounds.len() > ROUNDS_MAX {
                    self.reads.rounds.pop_first();
                }
            }
            PeerMessage::Forward { id, .. } => self.seen.push(Seen::Forwarded(*id)),
            PeerMessage::Answer { id, answer } => {
                self.seen.extend(told(answer).map(Seen::Told));
                self.answered((Some(self.settings.ids[to.index()].clone()), *id), answer);
            }
            _ => {}
        }
        if let Some(term) = message.term() {
            self.spoken = self.spoken.max(term);
        }
    }

    fn halt(&mut self, error: &WriteError) -> Halt {
        if let WriteError::Misplaced { .. } | WriteError::TooLarge { .. } = error {
            self.seen.push(Seen::Misplaced(error.to_string()));
        }
        Halt(format!("{error:?}"))
    }
}

impl Program for NodeProgram {
    type Request = KvRequest;
    type Answer = Answer;

    fn input(&mut self, now: Instant, input: Input<'_, KvRequest>, out: &mut Effects<Answer>) {
        self.now = now;
        // What was refused of strangers before a packet of one came.
        let mut stranger = None;
        let input = match input {
            Input::Message { from, bytes } => {
                self.heard[from.index()] = now;
                // As in every driver, what makes no sense ends the stream.
                let Some((disk, message)) = read_message(bytes, self.cluster) else {
                    return out.hang_up(from);
                };
                let from = self.settings.ids[from.index()].clone();
                NodeInput::Message { from, disk, message }
            }
            Input::Datagram { from, bytes } => {
                let Ok(content) = decode_datagram(bytes) else { return };
                let Ok(packet) = Limit::Datagram.decode::<Packet>(content) else { return };
                let gossip = self.machine.membership();
                if gossip.own().tags.cluster != ClusterId::NONE && packet.cluster == STRANGERS {
                    stranger = Some(gossip.counters().foreign_cluster);
                }
                NodeInput::Packet {
                    from: self.settings.addresses.of(from),
                    over: Channel::Datagram,
                    packet,
                }
            }
            Input::PeerConnected(peer) => {
                let disk = self.settings.drives.of(peer);
                NodeInput::PeerConnected { peer: self.settings.ids[peer.index()].clone(), disk }
            }
            Input::PeerLost { peer, refused } => {
                let peer = self.settings.ids[peer.index()].clone();
                // Whose host says that its process is gone need not be kept.
                if refused && self.led_by.as_ref().is_some_and(|(leader, ..)| *leader == peer) {
                    self.led_by = None;
                }
                NodeInput::PeerLost { peer, refused }
            }
            Input::Stop => NodeInput::Stop,
            Input::Persisted => match self.synced.take() {
                Some(token) => {
                    self.owed_since = (token < self.last_token).then_some(now);
                    NodeInput::Persisted(token)
                }
                None => return,
            },
            Input::Request { id, request: KvRequest { request, wait } } => {
                if is_linearizable(&request) {
                    self.reads.came.insert((None, id), now);
                }
                self.deadlines.insert(id, now + wait);
                self.open.insert((now + wait, id));
                NodeInput::Request { id: RequestId(id), deadline: now + wait, request }
            }
        };
        // Of whomever it asked: it may not know yet who are members.
        self.reads.is_told =
            matches!(&input, NodeInput::Message { message: PeerMessage::Answer { .. }, .. });
        if let NodeInput::Message { from, disk, message } = &input
            && self.machine.log().configuration().speaks_for(from, *disk)
        {
            self.hear_of_reads(from, message);
        }
        let leader = match &input {
            NodeInput::Message { from, message: PeerMessage::Election(beat), .. } => {
                let term = beat.term();
                matches!(beat, quorate_election::Message::Heartbeat { .. })
                    .then(|| (from.clone(), term))
            }
            _ => None,
        };
        self.machine.handle(now, input, &mut self.outbox);
        if let Some(before) = stranger {
            let refused = self.machine.membership().counters().foreign_cluster > before;
            self.seen.push(Seen::Stranger { refused });
        }
        self.pass_on(out);
        self.look_up(now, out);
        let voter = self.machine.voter();
        if let Some((leader, term)) = leader
            && voter.term() == term
            && voter.leader() == Some(&leader)
        {
            self.led_by = Some((leader, term, now));
        }
        self.term_before = voter.term();
    }

    fn wake(&mut self, now: Instant, out: &mut Effects<Answer>) {
        self.now = now;
        self.reads.is_told = false;
        self.machine.wake(now, &mut self.outbox);
        self.pass_on(out);
        self.look_up(now, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    fn write(&mut self) -> Result<(), Halt> {
        for (token, record) in std::mem::take(&mut self.queue) {
            if let Err(error) = self.journal.write(&record) {
                return Err(self.halt(&error));
            }
            self.written = Some(token);
            match record {
                Record::Ballot(ballot) => self.unsynced.push(Seen::Ballot(ballot)),
                Record::Entries(entries) => {
                    let ids = entries.iter().map(|entry| entry.id).collect();
                    self.unsynced.push(Seen::Entries(ids));
                }
                Record::Snapshot(snapshot) => self.unsynced.push(Seen::Snapshot(snapshot.last)),
                Record::Commit(index) => self.unsynced.push(Seen::Commit(index)),
                Record::Identity(_) | Record::Pledge(_) => {}
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Halt> {
        // The storage thread settles the journal when nothing waits for a while.
        let settles = self.queue.is_empty() && self.rng.chance(60_000);
        let result = match self.journal.sync() {
            Ok(()) if settles => self.journal.settle(),
            result => result,
        };
        match result {
            Ok(()) | Err(WriteError::Full { .. }) => {}
            Err(error) => return Err(self.halt(&error)),
        }
        self.synced = self.written;
        self.seen.append(&mut self.unsynced);
        Ok(())
    }

    fn leads(&self) -> bool {
        self.machine.voter().role() == quorate_election::Role::Leader
    }
}

/// What an answer says of a write.
fn told(answer: &Answer) -> Option<WriteStatus> {
    let (log_id, reached, acked) = match answer {
        Answer::Status(status) => return Some(status.clone()),
        Answer::Written { at, reached, acked, .. } => (*at, Some(*reached), acked.clone()),
        Answer::Unknown(Doubt::Indeterminate { log_id, reached, acked, .. }) => {
            (*log_id, *reached, acked.clone())
        }
        _ => return None,
    };
    let is_committed = reached >= Some(ConsistencyLevel::Quorum);
    let state = if is_committed { WriteState::Committed } else { WriteState::Pending };
    Some(WriteStatus { log_id, state, reached, acked, missing: Vec::new() })
}

const fn is_linearizable(request: &Request) -> bool {
    matches!(request, Request::Read { level: ReadLevel::Linearizable, .. })
}

/// The message in a frame of a stream, and the disk of who sent it; `None` if there is none.
/// Streams of the engine shake no hands: each frame tells instead.
fn read_message(bytes: &[u8], cluster: ClusterId) -> Option<(DiskId, PeerMessage)> {
    let frame = decode_frame(bytes, cluster, Versions::SUPPORTED).ok()?;
    if frame.head.kind == FrameKind::Message { frame.read().ok() } else { None }
}

/// What is passed on for clients acts each time it arrives: its stream must not repeat it. The
/// protocols bear any repetition.
const fn copies(message: &PeerMessage) -> Copies {
    match message {
        PeerMessage::Forward { .. } | PeerMessage::Answer { .. } => Copies::AtMostOnce,
        _ => Copies::Any,
    }
}
