//! The world of a machine: what its user says of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::rc::Rc;

use bytes::Bytes;
use quorate_core::Machine;
use quorate_storage::{Journal, OpenError, Options};

use super::node::{MachineNode, Machines, SEAL, Wires};
use super::{Ask, Happened, Live, Start, Told, Wants};
use crate::{
    Boot, BootRefused, Carrier, Context, Effects, Label, Observation, Seat, SeatSet, Target,
    Violation, World,
};

/// A world of nodes that each run one machine. It lasts for one run: make a new one for each.
pub struct MachineWorld<M: Machine> {
    start: Box<dyn FnMut(&Start) -> M>,
    wires: Wires<M>,
    shared: Option<Rc<Wires<M>>>,
    machines: Machines<M>,
    checks: Vec<Check<M>>,
    eventually: Vec<(&'static str, Eventually<M>)>,
    shows: Option<Shows<M>>,
    words: Option<Words>,
    asked: BTreeMap<u64, (Seat, u32, u64)>,
    told: Vec<Told>,
    core: SeatSet,
    has_twins: bool,
}

type Check<M> = Box<dyn FnMut(&Live<'_, M>) -> Result<(), Violation>>;
type Eventually<M> = Box<dyn Fn(&Live<'_, M>) -> bool>;
type Shows<M> = Box<dyn Fn(&M) -> Observation>;
type Words = Box<dyn Fn(&[u8]) -> String>;

impl<M: Machine> Debug for MachineWorld<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MachineWorld").field("core", &self.core).finish_non_exhaustive()
    }
}

fn broken<M>(name: &str, live: &Live<'_, M>) -> Violation {
    let step = live.stepped().map(|seat| format!("after a step of {seat}"));
    Violation::new(name, step.unwrap_or_default())
}

/// Segments of the journals.
const SEGMENT_BYTES: u64 = 64 << 10;
/// One life in so many has a twin.
const TWINS: u64 = 8;

impl<M: Machine + 'static> MachineWorld<M> {
    /// `start` starts a life; `input` says what a happening is to the machine (`None`: nothing);
    /// `output` says what an output wants.
    pub fn new(
        start: impl FnMut(&Start) -> M + 'static,
        input: impl Fn(Happened<'_>) -> Option<M::Input> + 'static,
        output: impl Fn(M::Output, &mut Wants) + 'static,
    ) -> Self {
        let (input, output) = (Box::new(input), Box::new(output));
        Self {
            start: Box::new(start),
            wires: Wires { input, output, leads: Box::new(|_| false) },
            shared: None,
            machines: Rc::new(RefCell::new(Vec::new())),
            checks: Vec::new(),
            eventually: Vec::new(),
            shows: None,
            words: None,
            asked: BTreeMap::new(),
            told: Vec::new(),
            core: SeatSet::NONE,
            has_twins: true,
        }
    }

    /// What must hold of all live nodes after every step. The name is that of the promise.
    #[must_use]
    pub fn always(
        self,
        name: &'static str,
        mut holds: impl FnMut(&Live<'_, M>) -> bool + 'static,
    ) -> Self {
        self.check(move |live| if holds(live) { Ok(()) } else { Err(broken(name, live)) })
    }

    /// The same, for those who want to say how it is broken.
    #[must_use]
    pub fn check(
        mut self,
        check: impl FnMut(&Live<'_, M>) -> Result<(), Violation> + 'static,
    ) -> Self {
        self.checks.push(Box::new(check));
        self
    }

    /// What must come to hold in the calm phase, of the quorum that is left in peace then.
    #[must_use]
    pub fn eventually(
        mut self,
        name: &'static str,
        holds: impl Fn(&Live<'_, M>) -> bool + 'static,
    ) -> Self {
        self.eventually.push((name, Box::new(holds)));
        self
    }

    /// Whether a machine believes to lead: faults and clients may aim at it.
    #[must_use]
    pub fn leads(mut self, leads: impl Fn(&M) -> bool + 'static) -> Self {
        self.wires.leads = Box::new(leads);
        self
    }

    /// What a timeline shows of a machine.
    #[must_use]
    pub fn shows(mut self, shows: impl Fn(&M) -> Observation + 'static) -> Self {
        self.shows = Some(Box::new(shows));
        self
    }

    /// A message in words, for traces and timelines.
    #[must_use]
    pub fn words(mut self, words: impl Fn(&[u8]) -> String + 'static) -> Self {
        self.words = Some(Box::new(words));
        self
    }

    /// No life has a twin: determinism is not checked. For machines that take rare branches (see
    /// [`quorate_core::rare()`]), which twins take at other times.
    #[must_use]
    pub const fn without_twins(mut self) -> Self {
        self.has_twins = false;
        self
    }

    fn seat_of(&self, target: Target, cx: &mut Context<u32>) -> Option<Seat> {
        let machines = self.machines.borrow();
        let leads = |seat: &Seat| {
            let machine = machines[usize::from(seat.0)].as_ref();
            machine.is_some_and(|machine| self.shared.as_ref().is_some_and(|w| (w.leads)(machine)))
        };
        let fitting: Vec<Seat> = match target {
            Target::Seat(seat) => vec![seat],
            Target::Leader => cx.alive().iter().filter(leads).collect(),
            Target::Follower => cx.alive().iter().filter(|seat| !leads(seat)).collect(),
        };
        // If nobody leads, some node will do.
        let all: Vec<Seat> = cx.alive().iter().collect();
        cx.rng().pick(&fitting).copied().or_else(|| cx.rng().pick(&all).copied())
    }

    fn holds_of(&self, among: SeatSet, holds: &Eventually<M>) -> bool {
        let machines = self.machines.borrow();
        holds(&Live { machines: &machines, among, stepped: None, time: 0, told: &[] })
    }
}

impl<M: Machine + 'static> World for MachineWorld<M>
where
    M::Output: Debug,
{
    type Program = MachineNode<M>;
    type Operation = Ask;
    const OPERATIONS: &'static [&'static str] = &["ask"];

    fn boot(&mut self, boot: Boot, _: &mut Effects<Bytes>) -> Result<MachineNode<M>, BootRefused> {
        let options = Options::default().segment_bytes(SEGMENT_BYTES);
        let opened = Journal::open(boot.disk.attach(), options);
        let (journal, recovered) = opened.map_err(|error| match error {
            OpenError::Full { .. } | OpenError::Disk { .. } => {
                BootRefused::Later(error.to_string())
            }
            error => BootRefused::Never(error.to_string()),
        })?;
        let Boot { seat: me, nodes, life, seed, now, .. } = boot;
        let start = Start { me, nodes, life, seed, now, recovered };
        let machine = (self.start)(&start);
        let has_twin = self.has_twins && seed.is_multiple_of(TWINS);
        let twin = has_twin.then(|| (self.start)(&start));
        let mut machines = self.machines.borrow_mut();
        machines.resize_with(nodes.into(), || None);
        machines[usize::from(me.0)] = Some(machine);
        drop(machines);
        let wires = self.shared.get_or_insert_with(|| {
            let nothing = Wires {
                input: Box::new(|_| None),
                output: Box::new(|_, _| {}),
                leads: Box::new(|_| false),
            };
            Rc::new(std::mem::replace(&mut self.wires, nothing))
        });
        let (machines, wires) = (Rc::clone(&self.machines), Rc::clone(wires));
        let journal = (journal, &start.recovered);
        Ok(MachineNode::new((me, nodes), machines, wires, twin, journal))
    }

    fn operation(&mut self, index: u32, ask: &Ask, cx: &mut Context<u32>) {
        let Some(seat) = self.seat_of(ask.whom, cx) else { return };
        let id = u64::from(index);
        self.asked.insert(id, (seat, ask.number, cx.time()));
        cx.began(0);
        cx.ask(seat, id, ask.number);
    }

    fn answered(&mut self, id: u64, answer: Bytes, cx: &mut Context<u32>) {
        let Some((seat, number, asked_at)) = self.asked.remove(&id) else { return };
        cx.ended(0);
        self.told.push(Told { seat, number, answer, asked_at, at: cx.time() });
    }

    fn refused(&mut self, id: u64, cx: &mut Context<u32>) {
        self.asked.remove(&id);
        cx.ended(0);
    }

    fn stepped(
        &mut self,
        seat: Seat,
        program: &mut MachineNode<M>,
        cx: &mut Context<u32>,
    ) -> Result<(), Violation> {
        if let Some(violation) = program.broken.take() {
            return Err(violation);
        }
        let machines = self.machines.borrow();
        let live = Live {
            machines: &machines,
            among: cx.alive().with(seat),
            stepped: Some(seat),
            time: cx.time(),
            told: &self.told,
        };
        for check in &mut self.checks {
            check(&live)?;
        }
        self.told.clear();
        Ok(())
    }

    fn crashed(&mut self, seat: Seat, _: &mut Context<u32>) {
        self.machines.borrow_mut()[usize::from(seat.0)] = None;
    }

    fn estrange(&mut self, datagram: &mut Vec<u8>) {
        // A node of another cluster seals its words otherwise.
        datagram.iter_mut().take(1).for_each(|byte| *byte ^= 0xff);
    }

    fn calm(&mut self, core: SeatSet, _: &mut Context<u32>) {
        self.core = core;
    }

    fn is_satisfied(&self) -> bool {
        self.eventually.iter().all(|(_, holds)| self.holds_of(self.core, holds))
    }

    fn unsatisfied(&self) -> Violation {
        let mut missed =
            self.eventually.iter().filter(|(_, holds)| !self.holds_of(self.core, holds));
        let name = missed.next().map_or("progress", |(name, _)| *name);
        let core: Vec<String> = self.core.iter().map(|seat| seat.to_string()).collect();
        Violation::new(name, format!("not in the calm phase, of {}", core.join(", ")))
    }

    fn describe(&self, bytes: &[u8], _: Carrier) -> Label {
        let bytes = bytes.get(SEAL..).unwrap_or_default();
        let words = self.words.as_ref().map(|words| words(bytes));
        let text = words.unwrap_or_else(|| format!("{} bytes", bytes.len()));
        Label::new(text.clone(), text)
    }

    fn observe(&self, seat: Seat, _: &MachineNode<M>) -> Option<Observation> {
        let machines = self.machines.borrow();
        machines[usize::from(seat.0)].as_ref().zip(self.shows.as_ref()).map(|(m, shows)| shows(m))
    }
}
