//! A world of replicas of somebody's state machine, and the promises of such a thing.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use quorate_core::{Applied, LogId, StateMachine};

use super::replica::{Replica, ReplicaInput, ReplicaOutput};
use crate::machine::{Happened, MachineWorld, Start, Wants};
use crate::{Observation, Seat, Violation};

/// A world in which the shipped voter, log, journal and codec replicate the state machine that
/// `make` makes; `command` says what a client's number stands for.
///
/// After every step, at every entry: the state has the digest and gave the answer (`K5`) of a twin
/// that applied the same commands, and was never restored; whatever a replica restored has the
/// digest of the twin at that entry (`restore`); and the log never says two things at one place
/// (`R3`). In the calm phase all of the core come to have applied the log of a leader (`R9`).
/// More promises: [`MachineWorld::always`].
///
/// The replicas are the composition of `quorate::NodeMachine` (one voter, one log, the order of
/// records and messages) and not that type itself, whose key-value store is built in.
///
/// # Example
///
/// ```
/// use bytes::Bytes;
/// use quorate_core::{Applied, RestoreError, StateMachine};
/// use quorate_sim::cluster::replicas;
/// use quorate_sim::{Swarm, hunt, machine};
///
/// #[derive(Default)]
/// struct Sum(u64);
/// impl StateMachine for Sum {
///     fn apply(&mut self, _: Applied, command: &[u8]) -> Bytes {
///         self.0 += command.iter().map(|byte| u64::from(*byte)).sum::<u64>();
///         Bytes::from(self.0.to_string())
///     }
///     fn snapshot(&self) -> Bytes { self.0.to_le_bytes().to_vec().into() }
///     fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
///         let bytes = snapshot.try_into().map_err(|_| RestoreError("eight bytes".to_owned()))?;
///         self.0 = u64::from_le_bytes(bytes);
///         Ok(())
///     }
///     fn digest(&self) -> u64 { self.0 }
/// }
///
/// let world = || replicas(Sum::default, |number| vec![number as u8]);
/// let hunt = hunt(machine::plans(&Swarm::default(), 0..5), |_| world());
/// assert!(hunt.found.is_none(), "{hunt}");
/// ```
pub fn replicas<S: StateMachine + 'static>(
    make: impl Fn() -> S + 'static,
    command: impl Fn(u32) -> Vec<u8> + 'static,
) -> MachineWorld<Replica<S>> {
    let twin = Rc::new(RefCell::new(Twin::new(make())));
    let start = move |start: &Start| Replica::new(start, make());
    let input = move |happened: Happened<'_>| input(happened, &command);
    let told = Rc::clone(&twin);
    let output = move |output, wants: &mut Wants| perform(output, wants, &mut told.borrow_mut());
    MachineWorld::new(start, input, output)
        .without_twins()
        .leads(Replica::leads)
        .shows(shows)
        .words(words)
        .check(move |_| twin.borrow_mut().wrong.take().map_or(Ok(()), Err))
        .eventually("R9", |core| {
            let leader = core.iter().find(|(_, replica)| replica.leads());
            leader.is_some_and(|(_, leader)| {
                let tip = leader.tip();
                let has_it = |(_, replica): (Seat, &Replica<S>)| replica.applied() == tip;
                tip.term == leader.voter().term() && core.iter().all(has_it)
            })
        })
}

fn input(happened: Happened<'_>, command: &impl Fn(u32) -> Vec<u8>) -> Option<ReplicaInput> {
    Some(match happened {
        Happened::Message { from, bytes } => {
            ReplicaInput::Message(from, quorate_wire::decode(bytes).ok()?)
        }
        Happened::Connected(peer) => ReplicaInput::Connected(peer),
        Happened::Lost(peer) => ReplicaInput::Lost(peer),
        Happened::Persisted { records } => ReplicaInput::Persisted(records),
        // Nobody says goodbye here: to the others it is a crash.
        Happened::Stopping => return None,
        Happened::Asked { id, number } => ReplicaInput::Asked(id, command(number).into()),
    })
}

fn perform<S: StateMachine>(output: ReplicaOutput, wants: &mut Wants, twin: &mut Twin<S>) {
    match output {
        ReplicaOutput::Persist(record) => wants.persist(record),
        ReplicaOutput::Send { to, message, overtakes } => {
            let Ok(to) = to.to_string().parse() else { return };
            let bytes = quorate_wire::encode(&message);
            let bytes = bytes.expect("a message of a simulated replica is within the limit");
            if overtakes { wants.send_now(to, bytes) } else { wants.send(to, bytes) }
        }
        ReplicaOutput::Reply { id, answer } => wants.reply(id, answer),
        ReplicaOutput::Applied { id, time, command, answer, digest } => {
            twin.applied(id, time, command.as_ref(), &answer, digest);
        }
        ReplicaOutput::Restored { last, digest } => twin.restored(last, digest),
        ReplicaOutput::Unrestorable(why) => twin.broke("restore", why),
    }
}

/// The state machine that applies everything once and is never restored.
struct Twin<S> {
    state: S,
    /// What it knows of each entry, from index 1 on.
    known: Vec<Known>,
    wrong: Option<Violation>,
}

struct Known {
    id: LogId,
    answer: Bytes,
    digest: u64,
}

impl<S: StateMachine> Twin<S> {
    const fn new(state: S) -> Self {
        Self { state, known: Vec::new(), wrong: None }
    }

    fn applied(
        &mut self,
        id: LogId,
        at: Applied,
        command: Option<&Bytes>,
        answer: &Bytes,
        digest: u64,
    ) {
        // Whoever applies an entry first has applied, or restored from others, all before it.
        if id.index.0 == self.known.len() as u64 + 1 {
            let answer = command.map_or_else(Bytes::new, |command| self.state.apply(at, command));
            self.known.push(Known { id, answer, digest: self.state.digest() });
        }
        let Some(known) = self.known.get(id.index.0 as usize - 1) else {
            return self.broke("R6", format!("{id} was applied before the entries in front of it"));
        };
        let wrong = if known.id != id {
            ("R3", format!("{id} was applied where {} was", known.id))
        } else if known.answer != *answer {
            ("K5", format!("{id} was answered {answer:?} here and {:?} by a twin", known.answer))
        } else if known.digest != digest {
            (
                "K5",
                format!(
                    "after {id} the digest is {digest:x} here and {:x} of a twin",
                    known.digest
                ),
            )
        } else {
            return;
        };
        self.broke(wrong.0, wrong.1);
    }

    fn restored(&mut self, last: LogId, digest: u64) {
        let known = self.known.get(last.index.0 as usize - 1);
        match known {
            Some(known) if known.id == last && known.digest == digest => {}
            Some(known) => {
                let text = format!(
                    "a snapshot of {last} was restored to the digest {digest:x}; the state was {:x} at {}",
                    known.digest, known.id
                );
                self.broke("restore", text);
            }
            None => self.broke("R6", format!("a snapshot of {last}, which nobody has applied")),
        }
    }

    fn broke(&mut self, invariant: &str, text: String) {
        self.wrong.get_or_insert_with(|| Violation::new(invariant, text));
    }
}

fn shows<S: StateMachine>(replica: &Replica<S>) -> Observation {
    let named = [
        ("applied up to", replica.applied().to_string()),
        ("last entry", replica.tip().to_string()),
        ("digest", format!("{:x}", replica.state().digest())),
    ];
    Observation {
        role: if replica.leads() { "leader" } else { "follower" }.to_owned(),
        leads: replica.leads(),
        term: Some(replica.voter().term().0),
        state: named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

fn words(bytes: &[u8]) -> String {
    let message = quorate_wire::decode::<super::ReplicaMessage>(bytes);
    message.map_or_else(|error| error.to_string(), |message| format!("{message:?}"))
}
