//! Terms, votes and leaders.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate::HandOverReason;
use quorate_core::{Ballot, DiskId, Instant, NodeId, Term};
use quorate_election::Role;

use super::majority;
use super::views::View;
use crate::cluster::program::NodeProgram;
use crate::cluster::settings::Settings;
use crate::{Seat, SeatSet, Violation};

#[derive(Debug)]
pub(super) struct ElectionCheck {
    leaders: BTreeMap<Term, (Seat, DiskId)>,
    /// Whom each voter gave its vote to, by message.
    grants: BTreeMap<(Term, Seat, DiskId), Seat>,
    /// Whom each voter's durable ballot names.
    ballots: BTreeMap<(Term, Seat, DiskId), NodeId>,
    nodes: Vec<Spoken>,
    /// The longest that a leader may lead unheard, in nanoseconds of its own clock.
    unheard_max: u64,
    heard: Vec<u64>,
    /// Those who believe to lead.
    leading: SeatSet,
    /// Who was told to stand by the leader of a term.
    told: BTreeSet<(Term, Seat)>,
    /// When each node began to lead, on its own clock.
    led_at: Vec<Instant>,
    election: quorate_election::Config,
    priorities: Vec<u8>,
    /// For each node, when it can next have heard too little: until then no look is needed.
    look_again: Vec<Instant>,
}

/// The terms of one node.
#[derive(Debug, Clone, Copy, Default)]
struct Spoken {
    /// The highest it has spoken of to others, over all its lives.
    spoken: Term,
    /// Its term at its last step; zero in a new life.
    current: Term,
}

impl ElectionCheck {
    pub(super) fn new(settings: &Settings) -> Self {
        let timeout = settings.election.election_max + settings.election.heartbeat;
        Self {
            leaders: BTreeMap::new(),
            grants: BTreeMap::new(),
            ballots: BTreeMap::new(),
            nodes: vec![Spoken::default(); settings.ids.len()],
            unheard_max: 2 * timeout.as_nanos() as u64,
            heard: Vec::new(),
            leading: SeatSet::NONE,
            told: BTreeSet::new(),
            led_at: vec![Instant::ZERO; settings.ids.len()],
            election: settings.election.clone(),
            priorities: settings.priorities.clone(),
            look_again: vec![Instant::ZERO; settings.ids.len()],
        }
    }

    /// The disk of `seat` is an empty one: what was said from the one before binds it no longer.
    pub(super) fn replaced(&mut self, seat: Seat) {
        self.nodes[seat.index()] = Spoken::default();
    }

    /// A term that others may know of must not be forgotten.
    pub(super) fn booted(&mut self, seat: Seat, term: Term) -> Result<(), Violation> {
        let node = &mut self.nodes[seat.index()];
        node.current = term;
        self.leading = self.leading.minus(SeatSet::only(seat));
        self.look_again[seat.index()] = Instant::ZERO;
        if term < node.spoken {
            let message =
                format!("{seat} had spoken of {:?} and came back in {term:?}", node.spoken);
            return Err(Violation::new("E5", message));
        }
        Ok(())
    }

    /// Whether it leads.
    pub(super) fn stepped(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        view: Option<&View>,
        since: Instant,
    ) -> Result<bool, Violation> {
        let node = &mut self.nodes[seat.index()];
        let voter = program.machine.voter();
        node.spoken = node.spoken.max(program.spoken);
        if voter.term() < node.current {
            let message = format!("{seat} fell from {:?} to {:?}", node.current, voter.term());
            return Err(Violation::new("E5", message));
        }
        node.current = voter.term();
        let leads = voter.role() == Role::Leader;
        if leads {
            self.leading = self.leading.with(seat);
        } else {
            self.leading = self.leading.minus(SeatSet::only(seat));
            self.look_again[seat.index()] = Instant::ZERO;
        }
        if leads {
            self.disk_works(seat, program)?;
        }
        if leads && program.now >= self.look_again[seat.index()] {
            self.heard_enough(seat, program, view, since)?;
        } else if !leads && program.machine.replicator().is_leading() {
            let message = format!("{seat} has stepped down, and its log leads on");
            return Err(Violation::new("E11", message));
        }
        Ok(leads)
    }

    /// A leader that hears no quorum steps down.
    fn heard_enough(
        &mut self,
        seat: Seat,
        program: &NodeProgram,
        view: Option<&View>,
        since: Instant,
    ) -> Result<(), Violation> {
        let now = program.now;
        let Some(view) = view else { return Ok(()) };
        let mut silence = 0;
        for half in &view.halves {
            self.heard.clear();
            let peers = half.minus(SeatSet::only(seat));
            let heard = peers.iter().map(|peer| program.heard[peer.index()]);
            self.heard.extend(heard.map(|heard| now.since(heard).as_nanos() as u64));
            self.heard.sort_unstable();
            // Itself counts too, if it votes, so this is the peer that completes a majority.
            let wanted = majority(*half) - usize::from(half.contains(seat));
            let completes = wanted.checked_sub(1).and_then(|place| self.heard.get(place));
            silence = silence.max(completes.copied().unwrap_or(0));
        }
        // Of new members more cannot be asked than since they count.
        let silence = &silence.min(now.since(since).as_nanos() as u64);
        if *silence > self.unheard_max {
            let millis = silence / 1_000_000;
            let message = format!("{seat} leads and has heard no majority for {millis} ms");
            return Err(Violation::new("E11", message));
        }
        // What is heard meanwhile only makes it later.
        self.look_again[seat.index()] = now + Duration::from_nanos(self.unheard_max - silence);
        Ok(())
    }

    /// A leader whose disk hangs, and whom others could replace, leads no longer.
    fn disk_works(&self, seat: Seat, program: &NodeProgram) -> Result<(), Violation> {
        let election = &self.election;
        let hangs = program.owed_since.map_or(Duration::ZERO, |since| program.now.since(since));
        // Others that are as slow would do no better, and a snapshot takes its time.
        let patience = program.machine.disk_patience(program.now).max(election.election_max);
        if hangs <= patience * 2 + election.heartbeat {
            return Ok(());
        }
        let status = program.machine.status();
        let can_lead = |id: &NodeId| {
            let counts = *id != status.node && !status.another_disk.contains_key(id);
            counts && status.configuration.is_electable(id)
        };
        if !status.connected.iter().any(can_lead) {
            return Ok(());
        }
        let message = format!("{seat} leads, and its disk has done nothing for {hangs:?}");
        Err(Violation::new("E11", message))
    }

    /// The leader of `term` told `to` to stand.
    pub(super) fn told(&mut self, term: Term, to: Seat) {
        self.told.insert((term, to));
    }

    /// Whether the leader of `term`, or of a later one, told `to` to stand.
    pub(super) fn was_told(&self, term: Term, to: Seat) -> bool {
        self.told.range((term, Seat(0))..).any(|(_, told)| *told == to)
    }

    /// A leader gives its lead away: by itself only to a better one, and not as soon as it leads.
    pub(super) fn hands_over(
        &self,
        seat: Seat,
        program: &NodeProgram,
        to: &NodeId,
        why: HandOverReason,
    ) -> Result<(), Violation> {
        let Some(heir) = program.seat_of(to) else { return Ok(()) };
        let [own, other] = [seat, heir].map(|seat| self.priorities[seat.index()]);
        if why != HandOverReason::Preferred {
            return Ok(());
        }
        if other <= own {
            let message = format!("{seat} of priority {own} prefers {heir} of {other}");
            return Err(Violation::new("E9", message));
        }
        let led_for = program.now.since(self.led_at[seat.index()]);
        if own > 0 && led_for < self.election.stabilisation {
            let message = format!("{seat} gave its lead away after {led_for:?}");
            return Err(Violation::new("E9", message));
        }
        Ok(())
    }

    /// Whether another node still believes to lead.
    pub(super) const fn another_leads(&self, seat: Seat) -> bool {
        !self.leading.minus(SeatSet::only(seat)).is_empty()
    }

    pub(super) fn granted(
        &mut self,
        (seat, disk): (Seat, DiskId),
        term: Term,
        to: Seat,
    ) -> Result<(), Violation> {
        let earlier = *self.grants.entry((term, seat, disk)).or_insert(to);
        if earlier != to {
            let message = format!("{seat} granted {term:?} to {earlier} and to {to}");
            return Err(Violation::new("E3", message));
        }
        Ok(())
    }

    pub(super) fn ballot(
        &mut self,
        (seat, disk): (Seat, DiskId),
        ballot: &Ballot,
    ) -> Result<(), Violation> {
        let Some(vote) = &ballot.vote else { return Ok(()) };
        let earlier = self.ballots.entry((ballot.term, seat, disk)).or_insert_with(|| vote.clone());
        if earlier != vote {
            let term = ballot.term;
            let message = format!("in {term:?} {seat} wrote a vote for {earlier}, then for {vote}");
            return Err(Violation::new("E3", message));
        }
        Ok(())
    }

    pub(super) fn led(
        &mut self,
        program: &NodeProgram,
        seat: Seat,
        term: Term,
        view: Option<&View>,
        may_lead: bool,
    ) -> Result<(), Violation> {
        self.led_at[seat.index()] = program.now;
        let Some(view) = view else {
            let message = format!("{seat} leads {term:?} and knows of no member");
            return Err(Violation::new("E6", message));
        };
        if !may_lead {
            let message = format!("{seat} leads {term:?} and has no vote");
            return Err(Violation::new("E7", message));
        }
        if let Some(earlier) = self.leaders.insert(term, (seat, program.disk())) {
            let message = format!("{earlier:?} led {term:?}, and now {seat} does");
            return Err(Violation::new("E1", message));
        }
        // Its own vote is in its ballot only, if nobody else has to be asked.
        let votes: SeatSet = self
            .grants
            .range((term, Seat(0), DiskId::NONE)..(term.next(), Seat(0), DiskId::NONE))
            .filter(|((_, voter, disk), to)| {
                **to == seat && view.configuration.speaks_for(program.id_of(*voter), *disk)
            })
            .map(|((_, voter, _), _)| *voter)
            .collect();
        if !view.configuration.speaks_for(program.id(), program.disk()) {
            let message = format!("{seat} leads {term:?} and lost the disk that has its vote");
            return Err(Violation::new("S9", message));
        }
        let votes = votes.with(seat);
        if !view.has_quorum(votes) {
            let halves = &view.halves;
            let message =
                format!("{seat} leads {term:?} with the votes of {votes:?}, of {halves:?}");
            return Err(Violation::new("E6", message));
        }
        Ok(())
    }
}
