//! Nodes without a cluster: links break, messages are lost and repeated, disks are slow, processes
//! crash with what was durable. Whatever happens, one cluster is born, or none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use quorate_core::{
    ClusterId, DiskId, Instant, Kind, Machine as _, NodeId, Outbox, Pledge, Proposal, Rng,
};
use quorate_election::{
    Bootstrap, BootstrapConfig, BootstrapInput as Input, BootstrapMessage as Message,
    BootstrapOutput as Output, Candidate, Sight,
};

/// What is written, in order; what a crash takes is what is not durable yet.
enum Write {
    Pledge(Pledge),
    Formed(ClusterId),
}

struct Node {
    /// `None` while it is down.
    bootstrap: Option<Bootstrap>,
    pledge: Pledge,
    formed: Option<ClusterId>,
    /// What this life believes, durable or not.
    believes: Option<ClusterId>,
    writing: VecDeque<Write>,
    /// Messages behind so many writes.
    held: VecDeque<(u64, NodeId, Message)>,
    written: u64,
    issued: u64,
    life: u64,
    is_lost: bool,
}

enum Act {
    Deliver { from: NodeId, to: NodeId, message: Message },
    Durable { node: NodeId, life: u64 },
    Look { node: NodeId },
    Restart { node: NodeId },
    Fault,
}

/// What a run is like.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// Lost messages per million, and repeated ones.
    pub(crate) loss: u32,
    pub(crate) repeats: u32,
    /// The mean time between faults; zero for none.
    pub(crate) fault_millis: u64,
    pub(crate) disk_millis: u64,
}

pub(crate) struct Birth {
    pub(crate) now: Instant,
    rng: Rng,
    weather: Weather,
    nodes: BTreeMap<NodeId, Node>,
    priorities: BTreeMap<NodeId, u8>,
    /// The seed list, the same on every node.
    seeds: Vec<NodeId>,
    min_nodes: usize,
    /// Directed links that carry nothing.
    pub(crate) cut: BTreeSet<(NodeId, NodeId)>,
    agenda: BTreeMap<(Instant, u64), Act>,
    sequence: u64,
    pub(crate) born: BTreeSet<ClusterId>,
    pub(crate) first_members: Option<BTreeSet<NodeId>>,
    pub(crate) violation: Option<String>,
    /// Crashes of nodes with a write under way.
    pub(crate) crashes_while_writing: u64,
}

impl Birth {
    pub(crate) fn new(
        seed: u64,
        weather: Weather,
        count: usize,
        seeds: &BTreeSet<usize>,
        min_nodes: usize,
    ) -> Self {
        let mut rng = Rng::stream(seed, "birth");
        let ids: Vec<NodeId> = (0..count).map(id).collect();
        let mut birth = Self {
            now: Instant::ZERO,
            weather,
            nodes: BTreeMap::new(),
            priorities: ids.iter().map(|id| (id.clone(), [100, 100, 150][rng.index(3)])).collect(),
            seeds: seeds.iter().map(|seed| id(*seed)).collect(),
            min_nodes,
            cut: BTreeSet::new(),
            agenda: BTreeMap::new(),
            sequence: 0,
            born: BTreeSet::new(),
            first_members: None,
            violation: None,
            crashes_while_writing: 0,
            rng,
        };
        for id in ids {
            let node = Node {
                bootstrap: None,
                pledge: Pledge::default(),
                formed: None,
                believes: None,
                writing: VecDeque::new(),
                held: VecDeque::new(),
                written: 0,
                issued: 0,
                life: 0,
                is_lost: false,
            };
            birth.nodes.insert(id.clone(), node);
            birth.restart(&id);
        }
        if birth.weather.fault_millis > 0 {
            birth.plan(birth.weather.fault_millis, Act::Fault);
        }
        birth
    }

    fn node(&mut self, id: &NodeId) -> &mut Node {
        self.nodes.get_mut(id).expect("all nodes exist from the start")
    }

    fn plan(&mut self, millis: u64, act: Act) {
        self.sequence += 1;
        self.agenda.insert((self.now + Duration::from_millis(millis), self.sequence), act);
    }

    /// Cuts all links between nodes that do not share a group.
    pub(crate) fn partition(&mut self, group_of: &[usize]) {
        self.cut.clear();
        for (a, in_a) in group_of.iter().enumerate() {
            for (b, in_b) in group_of.iter().enumerate() {
                if in_a != in_b {
                    self.cut.insert((id(a), id(b)));
                }
            }
        }
    }

    /// Ends all faults.
    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        self.weather = Weather { loss: 0, repeats: 0, fault_millis: 0, disk_millis: 5 };
    }

    /// Runs for so long, or to the first violation.
    pub(crate) fn run(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while self.violation.is_none() {
            let act_at = self.agenda.keys().next().map_or(Instant::FAR, |(at, _)| *at);
            let wake_at =
                self.nodes.values().filter_map(|n| n.bootstrap.as_ref()?.deadline()).min();
            let next = act_at.min(wake_at.unwrap_or(Instant::FAR)).max(self.now);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = next;
            if wake_at.is_some_and(|at| at <= next) {
                let ids: Vec<NodeId> = self.nodes.keys().cloned().collect();
                for id in ids {
                    self.step(&id, None);
                }
            } else if let Some((_, act)) = self.agenda.pop_first() {
                self.act(act);
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Deliver { from, to, message } => {
                if !self.cut.contains(&(from.clone(), to.clone())) {
                    self.step(&to, Some(Input::Received { from, message }));
                }
            }
            Act::Durable { node, life } => self.durable(&node, life),
            Act::Look { node } => {
                let sight = self.sight(&node);
                self.step(&node, Some(Input::Saw(sight)));
                let next = self.rng.between(20, 400);
                self.plan(next, Act::Look { node });
            }
            Act::Restart { node } => self.restart(&node),
            Act::Fault => self.fault(),
        }
    }

    /// What `node` sees: those with whom it can speak and who can answer.
    fn sight(&self, node: &NodeId) -> Sight {
        let speaks = |other: &NodeId| {
            self.nodes[other].bootstrap.is_some()
                && !self.cut.contains(&(node.clone(), other.clone()))
                && !self.cut.contains(&(other.clone(), node.clone()))
        };
        let seen: Vec<&NodeId> = self.nodes.keys().filter(|other| speaks(other)).collect();
        let candidate = |id: &&NodeId| {
            let (priority, address) = (self.priorities[*id], format!("{id}:1"));
            ((*id).clone(), Candidate { priority, address, disk: DiskId::NONE, kind: Kind::Voter })
        };
        let free = seen.iter().filter(|id| self.nodes[**id].believes.is_none());
        Sight {
            candidates: free.map(candidate).collect(),
            seeds: self
                .seeds
                .iter()
                .map(|seed| seen.contains(&seed).then(|| seed.clone()))
                .collect(),
            cluster: seen.iter().find_map(|id| self.nodes[*id].believes),
        }
    }

    fn step(&mut self, id: &NodeId, input: Option<Input>) {
        let mut out = Outbox::new();
        let now = self.now;
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some(bootstrap) = &mut node.bootstrap else { return };
        match input {
            Some(input) => bootstrap.handle(now, input, &mut out),
            None => bootstrap.wake(now, &mut out),
        }
        for output in out.drain() {
            match output {
                Output::Persist(pledge) => self.write(id, Write::Pledge(pledge)),
                Output::Send { to, message } => {
                    let node = self.node(id);
                    node.held.push_back((node.issued, to, message));
                }
                Output::Founded(Proposal { cluster, configuration }) => {
                    self.born(cluster, configuration.ids().cloned().collect());
                    self.node(id).believes = Some(cluster);
                    self.write(id, Write::Formed(cluster));
                }
                Output::Conflict { ours, theirs } => {
                    self.violation = Some(format!("{id} of {ours} met {theirs}"));
                }
            }
        }
        self.release(id);
    }

    fn born(&mut self, cluster: ClusterId, members: BTreeSet<NodeId>) {
        self.born.insert(cluster);
        let first = self.first_members.get_or_insert_with(|| members.clone());
        if self.born.len() > 1 || *first != members {
            self.violation = Some(format!("two births: {:?}", self.born));
        }
    }

    fn write(&mut self, id: &NodeId, write: Write) {
        let took = self.rng.between(1, self.weather.disk_millis.max(2));
        let node = self.node(id);
        node.writing.push_back(write);
        node.issued += 1;
        let life = node.life;
        self.plan(took, Act::Durable { node: id.clone(), life });
    }

    /// The oldest write is durable.
    fn durable(&mut self, id: &NodeId, life: u64) {
        let node = self.node(id);
        if node.life != life {
            return;
        }
        node.written += 1;
        match node.writing.pop_front() {
            Some(Write::Pledge(pledge)) => {
                node.pledge = pledge.clone();
                self.step(id, Some(Input::Persisted(pledge)));
            }
            Some(Write::Formed(cluster)) => node.formed = Some(cluster),
            None => {}
        }
        self.release(id);
    }

    fn release(&mut self, id: &NodeId) {
        let node = self.node(id);
        let mut free = Vec::new();
        while node.held.front().is_some_and(|(behind, ..)| *behind <= node.written) {
            free.extend(node.held.pop_front());
        }
        for (_, to, message) in free {
            if self.rng.chance(self.weather.loss) {
                continue;
            }
            if self.rng.chance(self.weather.repeats) {
                let late = self.rng.between(1, 4_000);
                let (from, to, message) = (id.clone(), to.clone(), message.clone());
                self.plan(late, Act::Deliver { from, to, message });
            }
            let delay = self.rng.between(1, 8);
            self.plan(delay, Act::Deliver { from: id.clone(), to, message });
        }
    }

    fn restart(&mut self, id: &NodeId) {
        let config = BootstrapConfig::new(self.min_nodes);
        let (rng, now) = (self.rng.fork(), self.now);
        let node = self.node(id);
        if node.bootstrap.is_some() || node.is_lost {
            return;
        }
        let (pledge, formed) = (node.pledge.clone(), node.formed);
        node.bootstrap = Some(Bootstrap::new(id.clone(), config, pledge, formed, rng, now));
        node.believes = node.formed;
        if node.life == 0 {
            self.plan(1, Act::Look { node: id.clone() });
        }
    }

    fn crash(&mut self, id: &NodeId) {
        self.crashes_while_writing += u64::from(!self.nodes[id].writing.is_empty());
        let node = self.node(id);
        node.bootstrap = None;
        node.believes = None;
        node.life += 1;
        node.writing.clear();
        node.held.clear();
        (node.issued, node.written) = (0, 0);
        let down = self.rng.between(1, 2_000);
        self.plan(down, Act::Restart { node: id.clone() });
    }

    /// A node goes down and never comes back.
    pub(crate) fn lose(&mut self, id: &NodeId) {
        self.crash(id);
        let node = self.node(id);
        node.is_lost = true;
    }

    /// Who was lost comes back after all.
    pub(crate) fn bring_back(&mut self, id: &NodeId) {
        self.node(id).is_lost = false;
        self.restart(id);
    }

    /// Those that know themselves to be members, durable or not.
    pub(crate) fn believers(&self) -> BTreeSet<NodeId> {
        let believers = self.nodes.iter().filter(|(_, node)| node.believes.is_some());
        believers.map(|(id, _)| id.clone()).collect()
    }

    fn fault(&mut self) {
        if self.weather.fault_millis == 0 {
            return;
        }
        let ids: Vec<NodeId> = self.nodes.keys().cloned().collect();
        let victim = ids[self.rng.index(ids.len())].clone();
        match self.rng.below(4) {
            0 => self.crash(&victim),
            1 => self.cut.clear(),
            2 => {
                let groups: Vec<usize> = ids.iter().map(|_| self.rng.index(3)).collect();
                self.partition(&groups);
            }
            _ => {
                let other = ids[self.rng.index(ids.len())].clone();
                self.cut.insert((victim, other));
            }
        }
        let next = self.rng.between(1, self.weather.fault_millis * 2);
        self.plan(next, Act::Fault);
    }

    /// The first members that know that they are.
    pub(crate) fn formed(&self) -> BTreeSet<NodeId> {
        let formed = self.nodes.iter().filter(|(_, node)| node.formed.is_some());
        formed.map(|(id, _)| id.clone()).collect()
    }

    /// What every node says about where it stands.
    pub(crate) fn statuses(&self) -> Vec<String> {
        let status = |(id, node): (&NodeId, &Node)| match &node.bootstrap {
            Some(bootstrap) => format!("{id}: {}", bootstrap.status()),
            None => format!("{id}: down"),
        };
        self.nodes.iter().map(status).collect()
    }
}

pub(crate) fn id(index: usize) -> NodeId {
    NodeId::new(&format!("n{index}")).expect("a name")
}
