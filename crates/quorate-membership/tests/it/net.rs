//! A small network in one thread: packets are lost and late, nodes crash, pause, move and are cut
//! off; what must hold in every view is checked at every step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{BootEpoch, Instant, Machine, NodeId, Outbox, Rng};
use quorate_membership::{
    Channel, Config, Event, Incarnation, Input, Membership, Output, Packet, State, Tags,
};
use quorate_wire::Limit;

pub(crate) fn id(name: &str) -> NodeId {
    NodeId::new(name).expect("the test made it so")
}

/// What the links are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Lost packets per million.
    pub(crate) loss: u32,
    /// The shortest and longest time a packet takes, in microseconds.
    pub(crate) delay_micros: (u64, u64),
    /// Packets per million that come once more, up to two minutes later, to anybody.
    pub(crate) replays: u32,
}

impl Weather {
    pub(crate) const CALM: Self = Self { loss: 0, delay_micros: (500, 1_500), replays: 0 };
    pub(crate) const LOSSY: Self = Self { loss: 100_000, delay_micros: (500, 20_000), replays: 0 };
}

pub(crate) struct Node {
    pub(crate) machine: Option<Membership>,
    pub(crate) address: SocketAddr,
    /// Under which id it runs: its own, or that of its twin.
    id: NodeId,
    config: Config,
    pub(crate) tags: Tags,
    boot: u64,
    paused_until: Option<Instant>,
    inbox: Vec<Input>,
    /// What its view showed last, and since when it shows an incarnation as suspected.
    seen: BTreeMap<NodeId, (State, Incarnation)>,
    suspected: BTreeMap<(NodeId, Incarnation), Instant>,
}

enum Act {
    Deliver { from: SocketAddr, to: SocketAddr, over: Channel, packet: Packet },
    Refused { at: SocketAddr, address: SocketAddr },
    Resolved { node: NodeId, boot: u64, name: String },
}

pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) rng: Rng,
    pub(crate) weather: Weather,
    pub(crate) template: Config,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) names: BTreeMap<String, Vec<SocketAddr>>,
    pub(crate) events: Vec<(Instant, NodeId, Event)>,
    /// Nobody may be declared dead that lives.
    pub(crate) no_false_deaths: bool,
    pub(crate) bytes: u64,
    agenda: BTreeMap<(Instant, u64), Act>,
    sequence: u64,
    moves: usize,
    /// From whom datagrams to whom are lost.
    pub(crate) one_way: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Pairs of groups carry nothing; a node in no group is in group 0.
    groups: BTreeMap<SocketAddr, u32>,
    violation: Option<String>,
}

impl Net {
    pub(crate) fn new(seed: u64, weather: Weather, template: Config) -> Self {
        Self {
            now: Instant::ZERO,
            rng: Rng::stream(seed, "net"),
            weather,
            template: Config { cluster_name: "test".to_owned(), ..template },
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
            events: Vec::new(),
            no_false_deaths: false,
            bytes: 0,
            agenda: BTreeMap::new(),
            sequence: 0,
            moves: 0,
            one_way: BTreeSet::new(),
            groups: BTreeMap::new(),
            violation: None,
        }
    }

    /// `count` nodes that know the first two as seeds, all started at once.
    pub(crate) fn cluster(seed: u64, weather: Weather, config: Config, count: usize) -> Self {
        let mut net = Self::new(seed, weather, config);
        let seeds = [address_of(0).to_string(), address_of(1).to_string()];
        for index in 0..count {
            net.add(&format!("n{index:02}"), address_of(index), &seeds);
        }
        net
    }

    /// As [`Self::cluster`], after it has found itself.
    pub(crate) fn warm(seed: u64, weather: Weather, config: Config, count: usize) -> Self {
        let mut net = Self::cluster(seed, Weather::CALM, config, count);
        net.run(6_000).expect("a calm start");
        assert!(net.is_converged(), "seed {seed}: {count} nodes did not find each other");
        net.weather = weather;
        net.events.clear();
        net
    }

    /// Adds a node and starts it.
    pub(crate) fn add(&mut self, name: &str, address: SocketAddr, seeds: &[String]) {
        let config =
            Config { address: address.to_string(), seeds: seeds.to_vec(), ..self.template.clone() };
        self.add_with(name, address, config, Tags::default());
    }

    pub(crate) fn add_with(&mut self, name: &str, address: SocketAddr, config: Config, tags: Tags) {
        let node = Node {
            machine: None,
            address,
            id: id(name),
            config,
            tags,
            boot: 0,
            paused_until: None,
            inbox: Vec::new(),
            seen: BTreeMap::new(),
            suspected: BTreeMap::new(),
        };
        self.nodes.insert(id(name), node);
        self.start(name);
    }

    /// Adds a second process under the id of a node that was never restarted, and starts it.
    pub(crate) fn add_twin(&mut self, name: &str, of: &str, address: SocketAddr) {
        let config = Config { address: address.to_string(), ..self.nodes[&id(of)].config.clone() };
        self.add_with(name, address, config, Tags::default());
        self.nodes.get_mut(&id(name)).expect("it was just added").id = id(of);
        self.nodes.get_mut(&id(name)).expect("it was just added").boot = 0;
        self.start(name);
    }

    /// Starts a node, or starts it again under a higher boot epoch.
    pub(crate) fn start(&mut self, name: &str) {
        let (now, rng) = (self.now, self.rng.fork());
        let instance = self.rng.next_u64();
        let node = self.nodes.get_mut(&id(name)).expect("the test made it so");
        node.boot += 1;
        let (boot, config, tags) = (BootEpoch(node.boot), node.config.clone(), node.tags.clone());
        node.machine =
            Some(Membership::new(node.id.clone(), boot, instance, config, tags, rng, now));
        (node.seen, node.suspected) = (BTreeMap::new(), BTreeMap::new());
        node.inbox.clear();
        node.paused_until = None;
    }

    pub(crate) fn crash(&mut self, name: &str) {
        self.nodes.get_mut(&id(name)).expect("the test made it so").machine = None;
    }

    /// Moves a crashed node to an address that nobody had before.
    pub(crate) fn relocate(&mut self, name: &str) {
        self.moves += 1;
        let address = address_of(1_000 + self.moves);
        let node = self.nodes.get_mut(&id(name)).expect("the test made it so");
        node.address = address;
        node.config.address = address.to_string();
    }

    pub(crate) fn pause(&mut self, name: &str, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        self.nodes.get_mut(&id(name)).expect("the test made it so").paused_until = Some(until);
    }

    /// Cuts the network: nodes of different groups do not hear each other.
    pub(crate) fn split(&mut self, group_of: impl Fn(usize) -> u32) {
        let addresses = self.nodes.values().map(|node| node.address).enumerate();
        self.groups = addresses.map(|(index, address)| (address, group_of(index))).collect();
    }

    pub(crate) fn heal(&mut self) {
        self.one_way.clear();
        self.groups.clear();
    }

    pub(crate) fn node(&self, name: &str) -> &Membership {
        self.nodes[&id(name)].machine.as_ref().expect("it runs")
    }

    pub(crate) fn input(&mut self, name: &str, input: Input) {
        self.step(&id(name), Some(input));
    }

    /// How `of` is, as `observer` sees it.
    pub(crate) fn state(&self, observer: &str, of: &str) -> Option<State> {
        self.node(observer).member(&id(of)).map(|member| member.state)
    }

    pub(crate) fn running(&self) -> BTreeSet<NodeId> {
        let running = self.nodes.iter().filter(|(_, node)| node.machine.is_some());
        running.map(|(id, _)| id.clone()).collect()
    }

    /// Whether every running node sees exactly the running nodes alive.
    pub(crate) fn is_converged(&self) -> bool {
        let running = self.running();
        let machines = || self.nodes.values().filter_map(|node| node.machine.as_ref());
        let hash = machines().next().map(Membership::view_hash);
        machines().all(|machine| {
            let alive = machine.members().filter(|(_, member)| member.state == State::Alive);
            Some(machine.view_hash()) == hash
                && alive.map(|(id, _)| id.clone()).collect::<BTreeSet<_>>() == running
                && !machine.members().any(|(_, member)| member.state == State::Suspect)
        })
    }

    /// Who sees whom how, for messages of failed tests.
    pub(crate) fn show(&self) -> String {
        let nodes = self.nodes.iter().filter_map(|(id, node)| {
            let members = node.machine.as_ref()?.members();
            let members: Vec<_> = members
                .map(|(id, member)| {
                    let Incarnation { boot, counter } = member.info.incarnation;
                    format!("{id} {:?} {boot}.{counter}", member.state)
                })
                .collect();
            Some(format!("\n{id}: {}", members.join(", ")))
        });
        nodes.collect()
    }

    /// Runs until `done`, at most `millis`; how long it took.
    pub(crate) fn run_until(
        &mut self,
        millis: u64,
        done: impl Fn(&Self) -> bool,
    ) -> Result<Option<Duration>, String> {
        let start = self.now;
        for _ in 0..millis / 10 {
            if done(self) {
                return Ok(Some(self.now.since(start)));
            }
            self.run(10)?;
        }
        Ok(done(self).then(|| self.now.since(start)))
    }

    pub(crate) fn run(&mut self, millis: u64) -> Result<(), String> {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let deadlines = self.nodes.iter().filter_map(|(id, node)| {
                let due = node.machine.as_ref()?.deadline();
                let due = match node.paused_until {
                    Some(until) => Some(until),
                    None => due,
                };
                Some((due?, id))
            });
            let wake = deadlines.min().map(|(at, id)| (at.max(self.now), id.clone()));
            let act = self.agenda.first_key_value().map(|((at, _), _)| *at);
            match (wake, act) {
                (Some((at, id)), act) if at <= end && act.is_none_or(|act| at <= act) => {
                    self.now = at;
                    self.step(&id, None);
                }
                (_, Some(at)) if at <= end => {
                    self.now = at;
                    let (_, act) = self.agenda.pop_first().expect("it was just seen");
                    self.act(act);
                }
                _ => break,
            }
            if let Some(what) = self.violation.take() {
                return Err(format!("at {}: {what}", self.now));
            }
        }
        self.now = end;
        Ok(())
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Refused { at, address } => {
                let at = self.nodes.iter().find(|(_, node)| node.address == at);
                if let Some(id) = at.map(|(id, _)| id.clone()) {
                    self.step(&id, Some(Input::Refused { address }));
                }
            }
            Act::Deliver { from, to, over, packet } => {
                let at = self.nodes.iter().find(|(_, node)| node.address == to);
                if let Some(id) = at.map(|(id, _)| id.clone()) {
                    self.step(&id, Some(Input::Received { from, over, packet }));
                }
            }
            Act::Resolved { node, boot, name } => {
                if self.nodes[&node].boot == boot {
                    let addresses = self.names.get(&name).cloned().unwrap_or_default();
                    self.step(&node, Some(Input::Resolved { name, addresses }));
                }
            }
        }
    }

    fn step(&mut self, id: &NodeId, input: Option<Input>) {
        let now = self.now;
        let node = self.nodes.get_mut(id).expect("nodes stay");
        let Some(machine) = &mut node.machine else { return };
        node.inbox.extend(input);
        if node.paused_until.is_some_and(|until| now < until) {
            return;
        }
        node.paused_until = None;
        let mut out = Outbox::new();
        machine.wake(now, &mut out);
        for input in node.inbox.drain(..) {
            machine.handle(now, input, &mut out);
        }
        if machine.deadline().is_some_and(|due| due <= now) {
            machine.wake(now, &mut out);
        }
        let outputs: Vec<_> = out.drain().collect();
        if let Err(what) = node.check(now) {
            self.violation = Some(format!("{id} {what}"));
        }
        for output in outputs {
            self.perform(id, output);
        }
    }

    fn perform(&mut self, id: &NodeId, output: Output) {
        let (from, boot) = (self.nodes[id].address, self.nodes[id].boot);
        match output {
            Output::Send { to, over, packet } => self.send(from, to, over, packet),
            Output::Resolve { name } => {
                let at = self.now + Duration::from_millis(5);
                self.schedule(at, Act::Resolved { node: id.clone(), boot, name });
            }
            Output::Event(event) => {
                if let Event::Dead { id: dead } = &event
                    && self.no_false_deaths
                    && self.nodes.get(dead).is_some_and(|node| node.machine.is_some())
                {
                    self.violation = Some(format!("M7: {id} takes {dead} for dead"));
                }
                if event == Event::LeaveSpread
                    && let Some(node) = self.nodes.get_mut(id)
                {
                    node.machine = None;
                }
                self.events.push((self.now, id.clone(), event));
            }
        }
    }

    fn send(&mut self, from: SocketAddr, to: SocketAddr, over: Channel, packet: Packet) {
        let bytes = Limit::Datagram.encode(&packet).map_or(usize::MAX, |bytes| bytes.len());
        if bytes > Packet::BYTES_MAX || bytes != packet.bytes() {
            let counted = packet.bytes();
            self.violation = Some(format!("M5: {bytes} bytes, counted as {counted}: {packet:?}"));
            return;
        }
        self.bytes += bytes as u64;
        if self.rng.chance(self.weather.replays) {
            let at = self.now + Duration::from_millis(self.rng.below(120_000));
            let anybody = self.rng.index(self.nodes.len());
            let to = self.nodes.values().nth(anybody).map_or(to, |node| node.address);
            self.schedule(at, Act::Deliver { from, to, over, packet: packet.clone() });
        }
        let group = |address| self.groups.get(address).copied().unwrap_or(0);
        let lost = over == Channel::Datagram
            && (self.one_way.contains(&(from, to)) || self.rng.chance(self.weather.loss));
        if group(&from) != group(&to) || lost {
            return;
        }
        let (low, high) = self.weather.delay_micros;
        let at = self.now + Duration::from_micros(self.rng.between(low, high));
        let listens = |node: &Node| node.address == to && node.machine.is_some();
        if over == Channel::Stream && !self.nodes.values().any(listens) {
            self.schedule(at, Act::Refused { at: from, address: to });
        } else {
            self.schedule(at, Act::Deliver { from, to, over, packet });
        }
    }

    fn schedule(&mut self, at: Instant, act: Act) {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), act);
    }
}

impl Node {
    /// What must hold in every view, from one step to the next.
    fn check(&mut self, now: Instant) -> Result<(), String> {
        let Some(machine) = &self.machine else { return Ok(()) };
        let mut seen = BTreeMap::new();
        for (id, member) in machine.members() {
            let (state, incarnation) = (member.state, member.info.incarnation);
            if state == State::Suspect {
                self.suspected.entry((id.clone(), incarnation)).or_insert(now);
            }
            if let Some((was, before)) = self.seen.get(id) {
                if incarnation < *before {
                    return Err(format!("M1: {id} goes from {before:?} back to {incarnation:?}"));
                }
                if !was.is_live() && state.is_live() && incarnation <= *before {
                    return Err(format!("M3: {id} returns from {was:?} as {incarnation:?}"));
                }
                if was.is_live() && state == State::Dead {
                    let since = self.suspected.get(&(id.clone(), incarnation));
                    let held = since.map(|since| now.since(*since));
                    if held.is_none_or(|held| held < self.config.pause_tolerance) {
                        return Err(format!("M2: {id} dead after {held:?} of suspicion"));
                    }
                }
            }
            seen.insert(id.clone(), (state, incarnation));
        }
        self.seen = seen;
        Ok(())
    }
}

/// The address of the node of that number.
pub(crate) fn address_of(index: usize) -> SocketAddr {
    let [.., high, low] = index.to_be_bytes();
    SocketAddr::from(([10, 0, high, low], 7946))
}
