//! A machine with its journal, as a program of the engine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt::Debug;
use std::rc::Rc;

use bytes::Bytes;
use quorate_core::{
    ClusterTime, Configuration, Entry, Hold, Instant, Lane, LogId, LogIndex, Machine, Outbox,
    Payload, Record, Recovered, Snapshot, Term, Token,
};
use quorate_storage::Journal;

use super::wants::{To, Want};
use super::{Happened, Wants};
use crate::trace::digest;
use crate::{Copies, Effects, Halt, Input, Program, Seat, Violation};

/// The machines of a run, by seat; `None` for one that is down.
pub(super) type Machines<M> = Rc<RefCell<Vec<Option<M>>>>;

/// What a happening is to a machine; `None` if it is nothing to it.
type InputOf<M> = Box<dyn Fn(Happened<'_>) -> Option<<M as Machine>::Input>>;
/// What an output wants.
type OutputOf<M> = Box<dyn Fn(<M as Machine>::Output, &mut Wants)>;

/// How a machine is connected to the engine.
pub(super) struct Wires<M: Machine> {
    pub(super) input: InputOf<M>,
    pub(super) output: OutputOf<M>,
    pub(super) leads: Box<dyn Fn(&M) -> bool>,
}

/// One life of a machine on a simulated node: what [`super::MachineWorld`] runs.
pub struct MachineNode<M: Machine> {
    seat: Seat,
    nodes: u8,
    machines: Machines<M>,
    wires: Rc<Wires<M>>,
    /// Started alike and told the same, and so it must answer the same.
    twin: Option<M>,
    outbox: Outbox<M::Output>,
    wants: Wants,
    hold: Hold<Want>,
    journal: Journal,
    queue: VecDeque<Record>,
    /// How many records this life wanted, handed over, and made durable.
    wanted: u64,
    written: u64,
    synced: u64,
    /// The entry under which something was saved last.
    saved: LogIndex,
    /// The law that was broken.
    pub(super) broken: Option<Violation>,
}

impl<M: Machine> Debug for MachineNode<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MachineNode").field("seat", &self.seat).finish_non_exhaustive()
    }
}

/// The laws of [`Machine`], by their names.
const PATIENCE: &str = "patience";
const PROGRESS: &str = "progress";
const DETERMINISM: &str = "determinism";

/// After so many saves the journal is relieved of the old ones.
const SAVES: u64 = 32;

impl<M: Machine> MachineNode<M>
where
    M::Output: Debug,
{
    pub(super) fn new(
        (seat, nodes): (Seat, u8),
        machines: Machines<M>,
        wires: Rc<Wires<M>>,
        twin: Option<M>,
        (journal, recovered): (Journal, &Recovered),
    ) -> Self {
        let last = recovered.entries.last().map(|entry| entry.id.index);
        let kept = recovered.snapshot.as_ref().map(|snapshot| snapshot.last.index);
        Self {
            seat,
            nodes,
            machines,
            wires,
            twin,
            outbox: Outbox::new(),
            wants: Wants::default(),
            hold: Hold::new(Token(0)),
            journal,
            queue: VecDeque::new(),
            wanted: 0,
            written: 0,
            synced: 0,
            saved: last.max(kept).unwrap_or_default(),
            broken: None,
        }
    }

    /// Lets the machine, and its twin, take a step; their outputs become effects.
    fn step(&mut self, out: &mut Effects<Bytes>, act: impl Fn(&mut M, &mut Outbox<M::Output>)) {
        let machines = Rc::clone(&self.machines);
        let mut machines = machines.borrow_mut();
        let Some(machine) = &mut machines[usize::from(self.seat.0)] else { return };
        act(machine, &mut self.outbox);
        if let Some(twin) = &mut self.twin {
            let mut other = Outbox::new();
            act(twin, &mut other);
            let (first, second) = (self.outbox.as_slice(), other.as_slice());
            let (first, second) = (format!("{first:?}"), format!("{second:?}"));
            if first != second || machine.deadline() != twin.deadline() {
                let text = format!("told the same, two machines answered {first} and {second}");
                self.broke(DETERMINISM, &text);
            }
        }
        let mut outputs = std::mem::take(&mut self.outbox);
        for output in outputs.drain() {
            (self.wires.output)(output, &mut self.wants);
        }
        self.outbox = outputs;
        self.pass_on(out);
    }

    /// A wake that nobody asked for yet must change nothing. The twin gets none, so that what it
    /// changes shows as a difference as well.
    fn wake_early(&mut self, now: Instant) {
        let mut machines = self.machines.borrow_mut();
        let Some(machine) = &mut machines[usize::from(self.seat.0)] else { return };
        let deadline = machine.deadline();
        if deadline.is_some_and(|due| due <= now) {
            return;
        }
        machine.wake(now, &mut self.outbox);
        let after = machine.deadline();
        drop(machines);
        if !self.outbox.is_empty() || after != deadline {
            let outputs: Vec<_> = self.outbox.drain().collect();
            let text = format!("woken before {deadline:?}: {outputs:?}, and then {after:?}");
            self.broke(PATIENCE, &text);
        }
    }

    fn broke(&mut self, law: &str, text: &str) {
        let violation = Violation::new(law, format!("{} {text}", self.seat));
        self.broken.get_or_insert(violation);
    }

    /// Turns what is wanted into effects of the engine, each behind what it rests on.
    fn pass_on(&mut self, out: &mut Effects<Bytes>) {
        for want in std::mem::take(&mut self.wants.items) {
            match want {
                Want::Persist(record) => self.persist(*record, out),
                Want::Save(bytes) => self.save(bytes, out),
                Want::Overtake { to, bytes } => send(to, Copies::Any, &bytes, out),
                want => {
                    let (seat, nodes) = (self.seat, self.nodes);
                    self.hold.push(want, |want| perform(seat, nodes, want, out));
                }
            }
        }
    }

    fn persist(&mut self, record: Record, out: &mut Effects<Bytes>) {
        self.wanted += 1;
        self.hold.rest_on(Token(self.wanted));
        self.queue.push_back(record);
        out.persist();
    }

    fn save(&mut self, bytes: Bytes, out: &mut Effects<Bytes>) {
        self.saved = self.saved.next();
        let (id, time) = (LogId { term: Term(1), index: self.saved }, ClusterTime::ZERO);
        let record = if self.saved.0.is_multiple_of(SAVES) {
            let configuration = Configuration::default();
            Record::Snapshot(Snapshot { last: id, time, configuration, state: bytes })
        } else {
            Record::Entries(vec![Entry { id, time, payload: Payload::Command(bytes) }])
        };
        self.persist(record, out);
    }
}

/// Carries out what need not wait any longer.
fn perform(from: Seat, nodes: u8, want: Want, out: &mut Effects<Bytes>) {
    match want {
        Want::Send { to: To::One(to), copies, bytes } => send(to, copies, &bytes, out),
        Want::Send { to: To::All, copies, bytes } => {
            for to in (0..nodes).map(Seat).filter(|to| *to != from) {
                send(to, copies, &bytes, out);
            }
        }
        Want::Datagram { to, bytes } => out.datagram(to, |buffer| seal(&bytes, buffer)),
        Want::Reply { id, answer } => out.reply(id, answer),
        Want::Overtake { .. } | Want::Persist(_) | Want::Save(_) => {}
    }
}

fn send(to: Seat, copies: Copies, bytes: &[u8], out: &mut Effects<Bytes>) {
    out.send(to, Lane::Live, copies, |buffer| seal(bytes, buffer));
}

/// The length of the checksum in front of every message.
pub(super) const SEAL: usize = 8;

fn seal(bytes: &[u8], buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&digest(bytes).to_le_bytes());
    buffer.extend_from_slice(bytes);
}

/// What was sent; `None` if it was damaged on its way.
fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (seal, bytes) = bytes.split_first_chunk::<SEAL>()?;
    (u64::from_le_bytes(*seal) == digest(bytes)).then_some(bytes)
}

impl<M: Machine> Program for MachineNode<M>
where
    M::Output: Debug,
{
    type Request = u32;
    type Answer = Bytes;

    fn input(&mut self, now: Instant, input: Input<'_, u32>, out: &mut Effects<Bytes>) {
        self.wake_early(now);
        let happened = match input {
            Input::Message { from, bytes } => match unseal(bytes) {
                Some(bytes) => Happened::Message { from, bytes },
                None => return out.hang_up(from),
            },
            Input::Datagram { from, bytes } => match unseal(bytes) {
                Some(bytes) => Happened::Message { from, bytes },
                None => return,
            },
            Input::PeerConnected(peer) => Happened::Connected(peer),
            Input::PeerLost { peer, .. } => Happened::Lost(peer),
            Input::Persisted => {
                let (seat, nodes, records) = (self.seat, self.nodes, self.synced);
                self.hold.release(Token(records), |want| perform(seat, nodes, want, out));
                Happened::Persisted { records }
            }
            Input::Stop => Happened::Stopping,
            Input::Request { id, request } => Happened::Asked { id, number: request },
        };
        let wires = Rc::clone(&self.wires);
        if (wires.input)(happened).is_some() {
            self.step(out, |machine, outbox| {
                if let Some(input) = (wires.input)(happened) {
                    machine.handle(now, input, outbox);
                }
            });
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Effects<Bytes>) {
        self.step(out, |machine, outbox| machine.wake(now, outbox));
        if let Some(due) = self.deadline().filter(|due| *due <= now) {
            self.broke(PROGRESS, &format!("was woken at {now} and still wants to wake at {due}"));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let machines = self.machines.borrow();
        machines[usize::from(self.seat.0)].as_ref().and_then(Machine::deadline)
    }

    fn write(&mut self) -> Result<(), Halt> {
        while let Some(record) = self.queue.pop_front() {
            self.journal.write(&record).map_err(|error| Halt(error.to_string()))?;
            self.written += 1;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Halt> {
        self.journal.sync().map_err(|error| Halt(error.to_string()))?;
        self.synced = self.written;
        Ok(())
    }

    fn leads(&self) -> bool {
        let machines = self.machines.borrow();
        machines[usize::from(self.seat.0)]
            .as_ref()
            .is_some_and(|machine| (self.wires.leads)(machine))
    }
}
