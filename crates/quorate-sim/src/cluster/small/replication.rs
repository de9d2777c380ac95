//! The small replication: every way in which a few logs may follow a few leaders, crash and come
//! back.
//!
//! Elections are one action here, of a candidate and one voter whose disks answer at once; what may
//! happen within one is what the small election shows. All that happens to the logs between two
//! elections is looked at one message, one record and one effect at a time.

use std::hash::Hash;
use std::rc::Rc;

use quorate_core::{LogId, LogIndex, Term, majority};

use quorate_replication::Message;

use super::mail::Mail;
use super::moment::{Doing, Moment};
use super::replica::{Did, Fact, Note, Replicas};
use super::symmetry::{Symmetry, Turned};
use super::{Bounds, NODES_MAX, TERMS_MAX, name};
use crate::Violation;
use crate::exhaust::{Fingerprint, Memory, SmallWorld};

/// Logs, their disks and what is on its way between them.
#[derive(Debug)]
pub(super) struct Replication {
    bounds: Bounds,
    memory: Memory<Replicas>,
    symmetry: Symmetry,
}

/// A state of the replication.
#[derive(Debug, Clone)]
pub(super) struct Logs {
    seats: Vec<u32>,
    mail: Mail,
    left: Left,
    past: Past,
    broken: Option<Rc<Violation>>,
}

/// What may still happen.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Left {
    crashes: u8,
    leaps: u8,
    proposals: u8,
}

/// What the invariants must remember.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Past {
    /// Who led each term: 0 for nobody, else one above a seat.
    leaders: [u8; TERMS_MAX],
    /// The highest term that each node has claimed to others.
    claimed: [u8; NODES_MAX],
    /// What was ever called committed, in order, and the lowest term in which it was.
    committed: Vec<(LogId, Term)>,
}

/// What happens in the replication.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    To(u8, Moment),
    /// As a `Receive`, but a copy stays on its way.
    Again(u8, u32),
    Lose(u32),
    /// A candidate stands and asks one voter.
    Elect {
        candidate: u8,
        voter: u8,
    },
}

impl Replication {
    pub(super) fn new(bounds: Bounds) -> Self {
        let memory = Memory::new(Replicas::new(bounds.nodes));
        Self { bounds, memory, symmetry: Symmetry::new(&bounds) }
    }

    fn whole(&mut self, state: &Logs, seat: u8, doing: Doing, out: &mut Vec<Act>) {
        out.push(Act::To(seat, Moment::Whole(doing)));
        if state.left.crashes == 0 {
            return;
        }
        let local = state.seats[usize::from(seat)];
        let did = self.memory.step(local, Moment::Whole(doing)).output;
        let writing = self.memory.view(local).writing;
        let cuts = Moment::cuts(doing, writing, &did.writes);
        out.extend(cuts.map(|cut| Act::To(seat, cut)));
    }

    /// Lets `moment` happen to a node. Gives what it said about votes, and whether nothing changed.
    fn happen(&mut self, state: &mut Logs, seat: u8, moment: Moment) -> Option<(Vec<u32>, bool)> {
        let at = usize::from(seat);
        let before = state.seats[at];
        let step = self.memory.step(before, moment);
        let (was, is) = (self.memory.view(before), self.memory.view(step.state));
        if is.term > Term(u64::from(self.bounds.terms)) {
            return None;
        }
        if is.commit < was.commit && !moment.crashes() {
            let message = format!("{} fell from {:?} to {:?}", name(seat), was.commit, is.commit);
            state.breaks(Violation::new("R5", message));
        }
        state.seats[at] = step.state;
        if step.output.facts.iter().any(|fact| self.is_beyond(fact)) {
            return None;
        }
        let votes = self.note(state, seat, &step.output);
        Some((votes, step.state == before && step.output.facts.is_empty()))
    }

    /// Whether a leader began anew once too often.
    fn is_beyond(&self, fact: &Fact) -> bool {
        let Fact::Sent(number) = fact else { return false };
        let Note::Log(message) = &self.memory.actor().packets.get(*number).message else {
            return false;
        };
        matches!(message, Message::Append { attempt, .. }
            if *attempt > u64::from(self.bounds.attempts))
    }

    fn note(&self, state: &mut Logs, seat: u8, did: &Did) -> Vec<u32> {
        let mut votes = Vec::new();
        for fact in &did.facts {
            let noted = match fact {
                Fact::Sent(number) => {
                    let packet = self.memory.actor().packets.get(*number);
                    let term = match &packet.message {
                        Note::Vote(message) => {
                            votes.push(*number);
                            message.term()
                        }
                        Note::Log(message) => {
                            state.mail.send(*number);
                            message.term()
                        }
                    };
                    state.past.claimed(seat, term);
                    Ok(())
                }
                Fact::Elected(term) => state.past.elected(seat, *term),
                Fact::Committed(term, ids) => state.past.committed(seat, *term, ids),
                Fact::Booted(term, commit) => self.booted(state, seat, *term, *commit),
            };
            if let Err(violation) = noted {
                state.breaks(violation);
            }
        }
        votes
    }

    fn booted(
        &self,
        state: &Logs,
        seat: u8,
        term: Term,
        commit: LogIndex,
    ) -> Result<(), Violation> {
        let claimed = state.past.claimed[usize::from(seat)];
        if term.0 < u64::from(claimed) {
            let message = format!("{} had claimed t{claimed} and is back in {term:?}", name(seat));
            return Err(Violation::new("E5", message));
        }
        let mark = self.memory.view(state.seats[usize::from(seat)]).disk_commit;
        if commit < mark {
            let message = format!("{} is back at {commit:?}, its mark is {mark:?}", name(seat));
            return Err(Violation::new("R5", message));
        }
        Ok(())
    }

    /// The candidate stands, one voter answers, and the disks of both are quick.
    fn elect(&mut self, state: &mut Logs, candidate: u8, voter: u8) -> Option<()> {
        self.sync(state, candidate)?;
        self.happen(state, candidate, Moment::Whole(Doing::Stand))?;
        let asked = self.sync(state, candidate)?;
        self.sync(state, voter)?;
        for number in self.addressed(asked, voter) {
            let receive = Moment::Whole(Doing::Receive(number));
            let (mut answers, _) = self.happen(state, voter, receive)?;
            answers.append(&mut self.sync(state, voter)?);
            for number in self.addressed(answers, candidate) {
                self.happen(state, candidate, Moment::Whole(Doing::Receive(number)))?;
            }
        }
        Some(())
    }

    fn addressed(&self, mut votes: Vec<u32>, to: u8) -> Vec<u32> {
        votes.retain(|number| self.memory.actor().packets.get(*number).to == to);
        votes
    }

    /// The disk catches up.
    fn sync(&mut self, state: &mut Logs, seat: u8) -> Option<Vec<u32>> {
        let mut votes = Vec::new();
        loop {
            let writing = self.memory.view(state.seats[usize::from(seat)]).writing;
            if writing == 0 {
                return Some(votes);
            }
            let (mut said, _) = self.happen(state, seat, Moment::Whole(Doing::Sync(writing)))?;
            votes.append(&mut said);
        }
    }

    /// R1: logs that share an entry share all before it.
    fn logs_match(&self, one: u32, other: u32) -> bool {
        let (one, other) = (&self.memory.view(one).log, &self.memory.view(other).log);
        let shared = one.iter().zip(other).rposition(|(one, other)| one.0 == other.0);
        shared.is_none_or(|last| one[..=last] == other[..=last])
    }
}

impl Logs {
    fn breaks(&mut self, violation: Violation) {
        self.broken.get_or_insert_with(|| Rc::new(violation));
    }
}

impl Past {
    fn claimed(&mut self, seat: u8, term: Term) {
        let claimed = &mut self.claimed[usize::from(seat)];
        *claimed = (*claimed).max(term.0 as u8);
    }

    fn elected(&mut self, seat: u8, term: Term) -> Result<(), Violation> {
        let leader = &mut self.leaders[(term.0 as usize).min(TERMS_MAX - 1)];
        if *leader != 0 && *leader != seat + 1 {
            let message =
                format!("{} leads {term:?}, and so did {}", name(seat), name(*leader - 1));
            return Err(Violation::new("E1", message));
        }
        *leader = seat + 1;
        Ok(())
    }

    fn committed(&mut self, seat: u8, term: Term, ids: &[LogId]) -> Result<(), Violation> {
        for (at, id) in ids.iter().enumerate() {
            match self.committed.get_mut(at) {
                Some((known, by)) if known == id => *by = (*by).min(term),
                Some((known, _)) => {
                    let message = format!("{} committed {id}, others {known}", name(seat));
                    return Err(Violation::new("R3", message));
                }
                None => self.committed.push((*id, term)),
            }
        }
        Ok(())
    }

    /// The same past with every node where `order` puts it.
    fn turned(&self, order: &[u8]) -> Self {
        let who = |one_above: u8| match one_above.checked_sub(1) {
            Some(seat) => order[usize::from(seat)] + 1,
            None => 0,
        };
        let mut turned = Self { leaders: self.leaders.map(who), ..self.clone() };
        for (from, to) in order.iter().enumerate() {
            turned.claimed[usize::from(*to)] = self.claimed[from];
        }
        turned
    }
}

impl SmallWorld for Replication {
    type State = Logs;
    type Action = Act;

    fn initial(&mut self) -> Logs {
        let Bounds { nodes, crashes, leaps, proposals, post, .. } = self.bounds;
        let first = (LogId::new(0, 1), Term::ZERO);
        Logs {
            seats: (0..nodes).map(|seat| self.memory.start(seat)).collect(),
            mail: Mail::new(post),
            left: Left { crashes, leaps, proposals },
            past: Past { committed: vec![first], ..Past::default() },
            broken: None,
        }
    }

    fn actions(&mut self, state: &Logs, out: &mut Vec<Act>) {
        for number in state.mail.numbers() {
            let to = self.memory.actor().packets.get(*number).to;
            self.whole(state, to, Doing::Receive(*number), out);
            if state.mail.may_duplicate() {
                out.push(Act::Again(to, *number));
            }
            if state.mail.may_lose() {
                out.push(Act::Lose(*number));
            }
        }
        for seat in 0..self.bounds.nodes {
            let rest = self.memory.view(state.seats[usize::from(seat)]);
            let (writing, is_leading) = (rest.writing, rest.is_leading);
            for records in 1..=writing {
                self.whole(state, seat, Doing::Sync(records), out);
            }
            if is_leading && state.left.proposals > 0 {
                self.whole(state, seat, Doing::Propose(state.left.proposals), out);
            }
            if state.left.leaps > 0 {
                self.whole(state, seat, Doing::Oversleep, out);
            }
            if state.left.crashes > 0 {
                out.extend((0..=writing).map(|kept| Act::To(seat, Moment::Crash { kept })));
            }
            for voter in (0..self.bounds.nodes).filter(|voter| *voter != seat) {
                out.push(Act::Elect { candidate: seat, voter });
            }
        }
    }

    fn apply(&mut self, state: &Logs, act: &Act) -> Option<Logs> {
        let mut next = state.clone();
        let (seat, moment) = match *act {
            Act::Lose(number) => {
                next.mail.lose(number);
                return Some(next);
            }
            Act::Elect { candidate, voter } => {
                self.elect(&mut next, candidate, voter)?;
                return Some(next);
            }
            Act::To(seat, moment) => (seat, moment),
            Act::Again(seat, number) => (seat, Moment::Whole(Doing::Receive(number))),
        };
        if let Some(Doing::Receive(number)) = moment.doing() {
            next.mail.deliver(number, matches!(act, Act::Again(..)));
        }
        let (_, is_idle) = self.happen(&mut next, seat, moment)?;
        let doing = moment.doing();
        // Whoever has nothing to do when time passes uses none of it up.
        next.left.leaps -= u8::from(doing.is_some_and(Doing::leaps) && !is_idle);
        next.left.proposals -= u8::from(matches!(doing, Some(Doing::Propose(_))));
        next.left.crashes -= u8::from(moment.crashes());
        Some(next)
    }

    fn check(&self, state: &Logs) -> Result<(), Violation> {
        if let Some(broken) = &state.broken {
            return Err(Violation::clone(broken));
        }
        for (at, one) in state.seats.iter().enumerate() {
            if let Some(other) = state.seats[..at].iter().find(|it| !self.logs_match(*one, **it)) {
                let ids = |it: &u32| -> Vec<LogId> {
                    self.memory.view(*it).log.iter().map(|(id, _)| *id).collect()
                };
                let logs = (ids(one), ids(other));
                return Err(Violation::new("R1", format!("these logs do not match: {logs:?}")));
            }
        }
        let rests = || (0..).zip(state.seats.iter().map(|seat| self.memory.view(*seat)));
        for (place, (id, by)) in state.past.committed.iter().enumerate() {
            let copies = rests().filter(|(_, rest)| rest.disk.get(place) == Some(id)).count();
            if copies < majority(state.seats.len()) {
                let message = format!("{id} is committed and has {copies} durable cop(ies)");
                return Err(Violation::new("R4", message));
            }
            for (seat, rest) in rests() {
                let held = rest.log.get(place).map(|(id, _)| id);
                if rest.is_leading && rest.term > *by && held != Some(id) {
                    let message =
                        format!("{} leads {:?} without {id}, committed", name(seat), rest.term);
                    return Err(Violation::new("R2", message));
                }
                if rest.commit >= id.index && held != Some(id) {
                    let message = format!("{} has committed {held:?}, others {id}", name(seat));
                    return Err(Violation::new("R3", message));
                }
            }
        }
        Ok(())
    }

    fn describe(&self, act: &Act) -> String {
        let packet = |number: u32| {
            let packet = self.memory.actor().packets.get(number);
            let note = match &packet.message {
                Note::Vote(message) => format!("{message:?}"),
                Note::Log(message) => format!("{message:?}"),
            };
            format!("{note} from {}", name(packet.from))
        };
        match *act {
            Act::To(seat, moment) => super::tell(seat, moment, packet),
            Act::Again(seat, number) => {
                format!("{} receives {}, and a copy stays", name(seat), packet(number))
            }
            Act::Lose(number) => format!("lost: {}", packet(number)),
            Act::Elect { candidate, voter } => {
                format!("{} stands, and {} answers", name(candidate), name(voter))
            }
        }
    }

    fn fingerprint(&mut self, state: &Logs) -> u128 {
        let Logs { seats, mail, left, past, broken } = state;
        let numbers = |(order, turned): (&[u8], Turned<'_>)| {
            let mut hasher = Fingerprint::new();
            (turned, mail.left(), left, past.turned(order), broken.is_some()).hash(&mut hasher);
            hasher.value()
        };
        self.symmetry.least(&mut self.memory, seats, mail.numbers(), numbers)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cluster::Scope;
    use crate::exhaust::{Limits, explore};

    #[test]
    fn replicas_with_one_fingerprint_do_one_thing() {
        let small = Bounds::small(Scope::Replication);
        let bounds = Bounds { terms: 1, proposals: 1, leaps: 1, attempts: 0, ..small };
        let mut replication = Replication::new(bounds);
        assert!(explore(&mut replication, Limits::default(), |_| ()).complete);
        let (tried, differs) = replication.memory.audit(|moment, one, other| {
            // What waits behind one record may leave in another order, and be cut elsewhere.
            let told =
                |did: &Did| BTreeSet::from_iter(did.facts.iter().map(|it| format!("{it:?}")));
            matches!(moment, Moment::Cut { .. }) || told(one) == told(other)
        });

        assert_eq!(differs, None);
        assert!(tried > 1_000);
    }
}
