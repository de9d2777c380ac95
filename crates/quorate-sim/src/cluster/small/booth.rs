//! One node of the small election: the shipped machine, its disk, and what waits for the disk.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use quorate_core::{
    Ballot, Configuration, Hold, Instant, Machine as _, NodeId, Outbox, Rng, Term, Token,
};
use quorate_election::{Config, Input, Message, Output, Solo};

use super::mail::Packets;
use super::moment::{Doing, Moment};
use super::symmetry::Relabel;
use super::{Bounds, Pace};
use crate::exhaust::{Actor, Fingerprint};

/// Runs the nodes of the election.
#[derive(Debug)]
pub(super) struct Booths {
    config: Config,
    pace: Pace,
    configuration: Configuration,
    ids: Vec<NodeId>,
    pub(super) packets: Packets<Message>,
}

/// A node.
#[derive(Debug)]
pub(super) struct Booth {
    seat: u8,
    solo: Solo,
    now: Instant,
    disk: Ballot,
    /// Written and not synced, in order.
    writing: VecDeque<(Token, Ballot)>,
    token: Token,
    hold: Hold<u32>,
}

/// What others, or the checks, see of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fact {
    /// A message left.
    Sent(u32),
    /// This ballot is on the disk.
    Durable(Ballot),
    /// It leads this term.
    Elected(Term),
    /// It started from a disk that knows this term.
    Booted(Term),
}

/// A step.
#[derive(Debug)]
pub(super) struct Did {
    pub(super) facts: Vec<Fact>,
    /// The effects in order, and which of them write.
    pub(super) writes: Vec<bool>,
}

/// What is to be known of a node at rest.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) term: Term,
    pub(super) writing: u8,
}

enum Effect {
    Write(Token, Ballot),
    Tell(Fact),
}

impl Booths {
    pub(super) fn new(bounds: &Bounds) -> Self {
        let Bounds { nodes, pace, pre_vote, check_quorum, .. } = *bounds;
        let ids = super::ids(nodes);
        let configuration = Configuration::of_voters(ids.clone());
        Self {
            config: Config { pre_vote, check_quorum, ..nanoseconds() },
            pace,
            configuration,
            ids,
            packets: Packets::new(),
        }
    }

    /// Past every deadline.
    fn leap(&self) -> Duration {
        self.config.election_max * 3
    }

    fn boot(&self, seat: u8, disk: Ballot, now: Instant) -> Booth {
        let me = self.ids[usize::from(seat)].clone();
        let (config, members) = (self.config.clone(), self.configuration.clone());
        let rng = Rng::seeded(u64::from(seat));
        let solo = Solo::new(me, config, members, disk.clone(), rng, now);
        let (token, writing) = (Token(0), VecDeque::new());
        Booth { seat, solo, now, disk, writing, token, hold: Hold::new(token) }
    }

    /// Lets the machine act, and gives its effects in the order in which a driver carries them out.
    fn act(&mut self, booth: &mut Booth, doing: Doing, facts: &mut Vec<Fact>) -> Vec<Effect> {
        let (mut effects, mut out) = (Vec::new(), Outbox::new());
        match doing {
            Doing::Wake => {
                booth.now = booth.solo.deadline().unwrap_or(booth.now).max(booth.now);
                booth.solo.wake(booth.now, &mut out);
            }
            Doing::Oversleep => {
                booth.now += self.leap();
                booth.solo.wake(booth.now, &mut out);
            }
            // Nothing that happens to a voter alone.
            Doing::Stand | Doing::Propose(_) => {}
            Doing::Receive(number) => {
                let packet = self.packets.get(number);
                let from = self.ids[usize::from(packet.from)].clone();
                let input = Input::Received { from, message: packet.message.clone() };
                booth.solo.handle(booth.now, input, &mut out);
            }
            Doing::Sync(records) => {
                let mut last = None;
                for (token, ballot) in booth.writing.drain(..usize::from(records)) {
                    booth.disk = ballot.clone();
                    facts.push(Fact::Durable(ballot.clone()));
                    last = Some((token, ballot));
                }
                if let Some((token, ballot)) = last {
                    let tell = |number| effects.push(Effect::Tell(Fact::Sent(number)));
                    booth.hold.release(token, tell);
                    booth.solo.handle(booth.now, Input::Persisted(ballot), &mut out);
                }
            }
        }
        for output in out.drain() {
            self.perform(booth, output, &mut effects);
        }
        effects
    }

    fn perform(&mut self, booth: &mut Booth, output: Output, effects: &mut Vec<Effect>) {
        match output {
            Output::Persist(ballot) => {
                booth.token = Token(booth.token.0 + 1);
                booth.hold.rest_on(booth.token);
                effects.push(Effect::Write(booth.token, ballot));
            }
            Output::Send { to, message, overtakes } => {
                let to = super::seat(&to);
                let number = self.packets.number(booth.seat, to, message);
                let mut tell = |number| effects.push(Effect::Tell(Fact::Sent(number)));
                if overtakes {
                    tell(number);
                } else if !booth.hold.held().any(|(_, held)| *held == number) {
                    // The same message twice behind the disk is one: mail is a set.
                    booth.hold.push(number, tell);
                }
            }
            Output::Elected(mandate) => {
                effects.push(Effect::Tell(Fact::Elected(mandate.term())));
            }
            Output::Event(_) => {}
        }
    }

    /// Ends the process; the first `kept` of the records that were not synced are on the disk all
    /// the same. What comes back knows no more than the disk.
    fn crash(&self, booth: &mut Booth, kept: u8, facts: &mut Vec<Fact>) {
        for (_, ballot) in booth.writing.drain(..).take(usize::from(kept)) {
            booth.disk = ballot.clone();
            facts.push(Fact::Durable(ballot));
        }
        facts.push(Fact::Booted(booth.disk.term));
        *booth = self.boot(booth.seat, booth.disk.clone(), booth.now);
    }
}

impl Booth {
    fn carry_out(&mut self, effect: Effect, facts: &mut Vec<Fact>) {
        match effect {
            Effect::Write(token, ballot) => self.writing.push_back((token, ballot)),
            Effect::Tell(fact) => facts.push(fact),
        }
    }
}

impl Actor for Booths {
    type Machine = Booth;
    type Start = u8;
    type Input = Moment;
    type Output = Did;
    type View = Rest;

    fn start(&mut self, seat: &u8) -> Booth {
        self.boot(*seat, Ballot::default(), Instant::ZERO)
    }

    fn step(&mut self, booth: &mut Booth, moment: Moment) -> Did {
        let mut facts = Vec::new();
        let act = |doing| self.act(booth, doing, &mut facts);
        let effects = moment.doing().map_or_else(Vec::new, act);
        let writes = effects.iter().map(|effect| matches!(effect, Effect::Write(..))).collect();
        let done = match moment {
            Moment::Whole(_) => effects.len(),
            Moment::Cut { after, .. } => usize::from(after),
            Moment::Crash { .. } => 0,
        };
        for effect in effects.into_iter().take(done) {
            booth.carry_out(effect, &mut facts);
        }
        if let Moment::Cut { kept, .. } | Moment::Crash { kept } = moment {
            self.crash(booth, kept, &mut facts);
        }
        Did { facts, writes }
    }

    fn fingerprint(&self, booth: &Booth) -> u128 {
        let mut hasher = Fingerprint::new();
        let Booth { seat, solo, now, disk, writing, token, hold } = booth;
        (seat, disk, writing.len()).hash(&mut hasher);
        let seen_at = match self.pace {
            // At rest no moment is older than the last leap, and the next one passes all: whether
            // they are there is all that counts, so they are seen from behind it.
            Pace::Leaps => *now + self.leap(),
            Pace::Steps => *now,
        };
        solo.voter().fingerprint(seen_at, &mut hasher);
        // Tokens are names; how far they lie behind the last one is all that counts.
        let behind = |earlier: Token| token.0 - earlier.0;
        for (token, ballot) in writing {
            (behind(*token), ballot).hash(&mut hasher);
        }
        held(hold, behind).hash(&mut hasher);
        hasher.value()
    }

    fn view(&self, booth: &Booth) -> Rest {
        let voter = booth.solo.voter();
        let writing = booth.writing.len() as u8;
        Rest { term: voter.term(), writing }
    }
}

/// What is held, apart from the order behind one record: it leaves together, and mail is a set.
pub(super) fn held(hold: &Hold<u32>, behind: impl Fn(Token) -> u64) -> Vec<(u64, u32)> {
    let mut held: Vec<(u64, u32)> =
        hold.held().map(|(token, packet)| (behind(token), *packet)).collect();
    held.sort_unstable();
    held
}

/// Time in single nanoseconds, so that few moments differ: the presets' proportions, a heartbeat
/// of one.
pub(super) const fn nanoseconds() -> Config {
    Config {
        heartbeat: Duration::from_nanos(1),
        election_min: Duration::from_nanos(3),
        election_max: Duration::from_nanos(4),
        ..Config::lan()
    }
}

impl Relabel for Booths {
    fn relabel(&mut self, packet: u32, order: &[u8]) -> u32 {
        self.packets.relabel(packet, order)
    }
}
