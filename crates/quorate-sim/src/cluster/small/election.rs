//! The small election: every way in which a few voters may elect, crash and come back.

use std::hash::Hash;
use std::rc::Rc;

use quorate_core::{Ballot, Term, majority};
use quorate_election::Message;

use super::booth::{Booths, Did, Fact};
use super::mail::Mail;
use super::moment::{Doing, Moment};
use super::symmetry::{Symmetry, Turned};
use super::{Bounds, NODES_MAX, Pace, TERMS_MAX, name};
use crate::Violation;
use crate::exhaust::{Fingerprint, Memory, SmallWorld};

/// Voters, their disks and what is on its way between them.
#[derive(Debug)]
pub(super) struct Election {
    bounds: Bounds,
    memory: Memory<Booths>,
    symmetry: Symmetry,
}

/// A state of the election.
#[derive(Debug, Clone)]
pub(super) struct Polls {
    seats: Vec<u32>,
    mail: Mail,
    crashes: u8,
    leaps: u8,
    past: Past,
    broken: Option<Rc<Violation>>,
}

/// What the invariants must remember: 0 for nobody, else one above a seat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Past {
    /// Who led each term.
    leaders: [u8; TERMS_MAX],
    /// To whom each voter said its vote goes, per term.
    spoken: [[u8; NODES_MAX]; TERMS_MAX],
    /// To whom each voter's disk said so.
    durable: [[u8; NODES_MAX]; TERMS_MAX],
    /// The highest term that each node has claimed to others.
    claimed: [u8; NODES_MAX],
}

/// What happens in the election.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    To(u8, Moment),
    /// As a `Receive`, but a copy stays on its way.
    Again(u8, u32),
    Lose(u32),
}

impl Election {
    pub(super) fn new(bounds: Bounds) -> Self {
        let memory = Memory::new(Booths::new(&bounds));
        Self { bounds, memory, symmetry: Symmetry::new(&bounds) }
    }

    fn whole(&mut self, state: &Polls, seat: u8, doing: Doing, out: &mut Vec<Act>) {
        out.push(Act::To(seat, Moment::Whole(doing)));
        if state.crashes == 0 {
            return;
        }
        let local = state.seats[usize::from(seat)];
        let did = self.memory.step(local, Moment::Whole(doing)).output;
        let writing = self.memory.view(local).writing;
        let cuts = Moment::cuts(doing, writing, &did.writes);
        out.extend(cuts.map(|cut| Act::To(seat, cut)));
    }

    fn happened(&self, seat: u8, did: &Did, state: &mut Polls) {
        for fact in &did.facts {
            let noted = match fact {
                Fact::Sent(number) => {
                    state.mail.send(*number);
                    let packet = self.memory.actor().packets.get(*number);
                    state.past.sent(seat, &packet.message, packet.to)
                }
                Fact::Durable(ballot) => state.past.durable(seat, ballot),
                Fact::Elected(term) => state.past.elected(seat, *term, self.bounds.nodes),
                Fact::Booted(term) => state.past.booted(seat, *term),
            };
            if let Err(violation) = noted {
                state.broken.get_or_insert_with(|| Rc::new(violation));
            }
        }
    }
}

impl Past {
    fn sent(&mut self, seat: u8, message: &Message, to: u8) -> Result<(), Violation> {
        let (at, term) = (usize::from(seat), message.term());
        self.claimed[at] = self.claimed[at].max(term.0 as u8);
        if !matches!(message, Message::VoteReply { granted: true, .. }) {
            return Ok(());
        }
        let vote = &mut self.spoken[place(term)][at];
        if *vote != 0 && *vote != to + 1 {
            let message = format!("{} granted {term:?} to two", name(seat));
            return Err(Violation::new("E3", message));
        }
        *vote = to + 1;
        Ok(())
    }

    fn durable(&mut self, seat: u8, ballot: &Ballot) -> Result<(), Violation> {
        let Some(vote) = &ballot.vote else { return Ok(()) };
        let candidate = super::seat(vote) + 1;
        let known = &mut self.durable[place(ballot.term)][usize::from(seat)];
        if *known != 0 && *known != candidate {
            let message = format!("{} wrote two votes of {:?}", name(seat), ballot.term);
            return Err(Violation::new("E3", message));
        }
        *known = candidate;
        Ok(())
    }

    fn elected(&mut self, seat: u8, term: Term, nodes: u8) -> Result<(), Violation> {
        let leader = &mut self.leaders[place(term)];
        if *leader != 0 && *leader != seat + 1 {
            let message =
                format!("{} leads {term:?}, and so did {}", name(seat), name(*leader - 1));
            return Err(Violation::new("E1", message));
        }
        *leader = seat + 1;
        let votes = self.durable[place(term)].iter().filter(|vote| **vote == seat + 1).count();
        if votes < majority(usize::from(nodes)) {
            let message = format!("{} leads {term:?} with {votes} durable vote(s)", name(seat));
            return Err(Violation::new("E6", message));
        }
        Ok(())
    }

    /// The same past with every node where `order` puts it.
    fn turned(&self, order: &[u8]) -> Self {
        let who = |one_above: u8| match one_above.checked_sub(1) {
            Some(seat) => order[usize::from(seat)] + 1,
            None => 0,
        };
        let mut turned = Self { leaders: self.leaders.map(who), ..Self::default() };
        for (from, to) in order.iter().enumerate() {
            let to = usize::from(*to);
            turned.claimed[to] = self.claimed[from];
            for term in 0..TERMS_MAX {
                turned.spoken[term][to] = who(self.spoken[term][from]);
                turned.durable[term][to] = who(self.durable[term][from]);
            }
        }
        turned
    }

    fn booted(&self, seat: u8, term: Term) -> Result<(), Violation> {
        let claimed = self.claimed[usize::from(seat)];
        if term.0 < u64::from(claimed) {
            let message = format!("{} had claimed t{claimed} and is back in {term:?}", name(seat));
            return Err(Violation::new("E5", message));
        }
        Ok(())
    }
}

impl SmallWorld for Election {
    type State = Polls;
    type Action = Act;

    fn initial(&mut self) -> Polls {
        let seats = (0..self.bounds.nodes).map(|seat| self.memory.start(seat)).collect();
        Polls {
            seats,
            mail: Mail::new(self.bounds.post),
            crashes: self.bounds.crashes,
            leaps: self.bounds.leaps,
            past: Past::default(),
            broken: None,
        }
    }

    fn actions(&mut self, state: &Polls, out: &mut Vec<Act>) {
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
            let writing = self.memory.view(state.seats[usize::from(seat)]).writing;
            for records in 1..=writing {
                self.whole(state, seat, Doing::Sync(records), out);
            }
            if state.leaps > 0 {
                if self.bounds.pace == Pace::Steps {
                    self.whole(state, seat, Doing::Wake, out);
                }
                self.whole(state, seat, Doing::Oversleep, out);
            }
            if state.crashes > 0 {
                out.extend((0..=writing).map(|kept| Act::To(seat, Moment::Crash { kept })));
            }
        }
    }

    fn apply(&mut self, state: &Polls, act: &Act) -> Option<Polls> {
        let mut next = state.clone();
        let (seat, moment) = match *act {
            Act::Lose(number) => {
                next.mail.lose(number);
                return Some(next);
            }
            Act::To(seat, moment) => (seat, moment),
            Act::Again(seat, number) => (seat, Moment::Whole(Doing::Receive(number))),
        };
        let step = self.memory.step(state.seats[usize::from(seat)], moment);
        if self.memory.view(step.state).term > Term(u64::from(self.bounds.terms)) {
            return None;
        }
        let is_idle = step.state == state.seats[usize::from(seat)] && step.output.facts.is_empty();
        next.seats[usize::from(seat)] = step.state;
        match moment.doing() {
            Some(Doing::Receive(number)) => {
                next.mail.deliver(number, matches!(act, Act::Again(..)));
            }
            // Whoever has nothing to do when time passes uses none of it up.
            Some(doing) => next.leaps -= u8::from(doing.leaps() && !is_idle),
            None => {}
        }
        next.crashes -= u8::from(moment.crashes());
        self.happened(seat, &step.output, &mut next);
        Some(next)
    }

    fn check(&self, state: &Polls) -> Result<(), Violation> {
        state.broken.as_ref().map_or(Ok(()), |broken| Err(Violation::clone(broken)))
    }

    fn describe(&self, act: &Act) -> String {
        let packet = |number: u32| {
            let packet = self.memory.actor().packets.get(number);
            format!("{:?} from {}", packet.message, name(packet.from))
        };
        match *act {
            Act::To(seat, moment) => super::tell(seat, moment, packet),
            Act::Again(seat, number) => {
                format!("{} receives {}, and a copy stays", name(seat), packet(number))
            }
            Act::Lose(number) => format!("lost: {}", packet(number)),
        }
    }

    fn fingerprint(&mut self, state: &Polls) -> u128 {
        let Polls { seats, mail, crashes, leaps, past, broken } = state;
        let numbers = |(order, turned): (&[u8], Turned<'_>)| {
            let mut hasher = Fingerprint::new();
            (turned, mail.left(), crashes, leaps, past.turned(order), broken.is_some())
                .hash(&mut hasher);
            hasher.value()
        };
        self.symmetry.least(&mut self.memory, seats, mail.numbers(), numbers)
    }
}

fn place(term: Term) -> usize {
    (term.0 as usize).min(TERMS_MAX - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cluster::{Post, Scope};
    use crate::exhaust::{Limits, explore, fingerprint};

    /// Looks at the states of every naming, and gathers what they are without the names.
    struct EveryName {
        election: Election,
        unnamed: BTreeSet<u128>,
    }

    impl SmallWorld for EveryName {
        type State = Polls;
        type Action = Act;

        fn initial(&mut self) -> Polls {
            self.election.initial()
        }

        fn actions(&mut self, state: &Polls, out: &mut Vec<Act>) {
            self.election.actions(state, out);
        }

        fn apply(&mut self, state: &Polls, act: &Act) -> Option<Polls> {
            self.election.apply(state, act)
        }

        fn check(&self, state: &Polls) -> Result<(), Violation> {
            self.election.check(state)
        }

        fn describe(&self, act: &Act) -> String {
            self.election.describe(act)
        }

        fn fingerprint(&mut self, state: &Polls) -> u128 {
            self.unnamed.insert(self.election.fingerprint(state));
            let Polls { seats, mail, crashes, leaps, past, .. } = state;
            fingerprint(&(seats, mail.numbers(), mail.left(), crashes, leaps, past))
        }
    }

    #[test]
    fn without_names_every_state_is_reached_that_is_with_them() {
        // Without crashes: one between two sends tells the first name from the second.
        for post in [Post::Lasting, Post::Counted { losses: 1, duplicates: 0 }] {
            let bounds = Bounds { terms: 1, crashes: 0, post, ..Bounds::small(Scope::Election) };
            let unnamed = explore(&mut Election::new(bounds), Limits::default(), |_| ());
            let election = Election::new(bounds);
            let mut every = EveryName { election, unnamed: BTreeSet::new() };
            let named = explore(&mut every, Limits::default(), |_| ());
            assert!(unnamed.complete && named.complete);
            assert_eq!(unnamed.counts.states, every.unnamed.len() as u64);
            assert!(named.counts.states > 5 * unnamed.counts.states);
        }
    }

    #[test]
    fn voters_with_one_fingerprint_do_one_thing() {
        let mut election = Election::new(Bounds::small(Scope::Election));
        assert!(explore(&mut election, Limits::default(), |_| ()).complete);
        let (tried, differs) = election.memory.audit(|moment, one, other| {
            // What waits behind one record may leave in another order, and be cut elsewhere.
            let told =
                |did: &Did| BTreeSet::from_iter(did.facts.iter().map(|it| format!("{it:?}")));
            matches!(moment, Moment::Cut { .. }) || told(one) == told(other)
        });

        assert_eq!(differs, None);
        assert!(tried > 1_000);
    }
}
