//! quorate's membership in a crowd.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{BootEpoch, Instant, Machine, NodeId, Outbox};
use quorate_membership::{
    Body, Channel, Config, Event, Incarnation, Input, Membership, Output, Packet, State, Tags,
    Update,
};
use quorate_wire::Limit;

use crate::crowd::gossiper::{Belief, Birth, Came, Gossiper, Held, Over, Port};

/// What all members of a crowd have in common.
#[derive(Debug, Clone)]
pub struct Members {
    /// Their pace; names, addresses and seeds are filled in.
    pub config: Config,
}

impl Default for Members {
    /// [`Config::lan`].
    fn default() -> Self {
        Self { config: Config::lan() }
    }
}

/// A node that runs the shipped [`Membership`].
#[derive(Debug)]
pub struct Member {
    machine: Membership,
    out: Outbox<Output>,
}

impl Member {
    /// Its machine.
    #[must_use]
    pub const fn machine(&self) -> &Membership {
        &self.machine
    }

    /// Encodes and passes on what the machine wants done.
    fn perform(&mut self, port: &mut Port) {
        for output in self.out.drain() {
            match output {
                Output::Send { to, over, packet } => {
                    let over = match over {
                        Channel::Datagram => Over::Datagram,
                        Channel::Stream => Over::Stream,
                    };
                    port.send(to, over, |bytes| {
                        Limit::Datagram.encode_into(&packet, bytes).expect("a packet is small");
                    });
                }
                // Addresses are spelt out in a crowd.
                Output::Resolve { .. } => {}
                Output::Event(event) => tell(&event, port),
            }
        }
    }
}

impl Gossiper for Member {
    type Setting = Members;

    fn start(setting: &Members, birth: Birth<'_>) -> Self {
        let Birth { node, cluster, boot, address, seeds, mut rng, now } = birth;
        let config = Config {
            cluster_name: format!("crowd-{cluster}"),
            address: address.to_string(),
            seeds: seeds.iter().map(SocketAddr::to_string).collect(),
            ..setting.config.clone()
        };
        let (id, instance) = (id_of(node), rng.next_u64());
        let machine =
            Membership::new(id, BootEpoch(boot), instance, config, Tags::default(), rng, now);
        Self { machine, out: Outbox::new() }
    }

    /// Each is shown pages of all, as a joiner is by a member that it asked.
    fn introduce(_: &Members, nodes: &mut [&mut Self], now: Instant) {
        let mut pages: Vec<Packet> = Vec::new();
        let Some(first) = nodes.first() else { return };
        let name = name_of(first, now);
        for (node, member) in nodes.iter().enumerate() {
            let info = member.machine.own().clone().into();
            let (id, state) = (id_of(node as u32), State::Alive);
            let update = Update { id, state, gone_secs: 0, accusation: None, info };
            match pages.last_mut().filter(|page| page.updates.len() < PAGE) {
                Some(page) => page.updates.push(update),
                None => pages.push(Packet {
                    version: Packet::VERSION,
                    name,
                    cluster: 0,
                    from: update.id.clone(),
                    incarnation: Incarnation::first(BootEpoch(1)),
                    view: 0,
                    body: Body::Page { left: 0 },
                    updates: vec![update],
                }),
            }
        }
        for member in nodes {
            let from = "10.255.255.255:1".parse().expect("it is an address");
            for packet in &pages {
                let over = Channel::Datagram;
                let input = Input::Received { from, over, packet: packet.clone() };
                member.machine.handle(now, input, &mut member.out);
                member.out.drain();
            }
        }
    }

    fn received(&mut self, now: Instant, came: Came<'_>, port: &mut Port) {
        let Came { from, over, bytes } = came;
        let Ok(packet) = Limit::Datagram.decode::<Packet>(bytes) else { return port.refused() };
        if port.is_checked() {
            let about = packet.updates.iter().map(|update| &update.id).chain([&packet.from]);
            about.filter_map(node_of).for_each(|node| port.touched(node));
        }
        let over = match over {
            Over::Datagram => Channel::Datagram,
            Over::Stream => Channel::Stream,
        };
        self.machine.handle(now, Input::Received { from, over, packet }, &mut self.out);
        self.perform(port);
    }

    fn wake(&mut self, now: Instant, port: &mut Port) {
        self.machine.wake(now, &mut self.out);
        self.perform(port);
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline()
    }

    fn leave(&mut self, now: Instant, port: &mut Port) {
        self.machine.handle(now, Input::Leave, &mut self.out);
        self.perform(port);
    }

    fn held(&self, node: u32) -> Option<Held> {
        let member = self.machine.member(&id_of(node))?;
        let Incarnation { boot, counter } = member.info.incarnation;
        let belief = match member.state {
            State::Alive => Belief::Alive,
            State::Suspect => Belief::Unreachable,
            State::Dead => Belief::Dead,
            State::Left => Belief::Left,
        };
        Some(Held { belief, boot: boot.0, counter })
    }

    fn sum(&self) -> Option<u64> {
        Some(self.machine.view_hash())
    }

    fn datagram_max(_: &Members) -> usize {
        Packet::BYTES_MAX
    }

    fn suspicion_min(setting: &Members) -> Duration {
        setting.config.pause_tolerance
    }
}

/// What an event says of whom.
fn tell(event: &Event, port: &mut Port) {
    let (id, belief) = match event {
        Event::Joined { id } | Event::Reachable { id } | Event::Restarted { id } => {
            (id, Belief::Alive)
        }
        Event::Unreachable { id } => (id, Belief::Unreachable),
        Event::Dead { id } => (id, Belief::Dead),
        Event::Left { id } => (id, Belief::Left),
        Event::ForeignCluster { id, .. } => (id, Belief::Unknown),
        // It is told to stop, so it would have to come back as another.
        Event::DuplicateId { .. } | Event::Refused { .. } => return port.renamed(),
        Event::LeaveSpread => return port.gone(),
        _ => return,
    };
    if let Some(node) = node_of(id) {
        port.news(node, belief);
    }
}

/// The hash of the cluster's name, as a packet of the node has it: a clone of the node that does
/// not share its dice is not to be had, so a stand-in of the same cluster speaks.
fn name_of(member: &Member, now: Instant) -> u32 {
    let config = Config {
        cluster_name: "crowd-0".to_owned(),
        address: member.machine.own().address.clone(),
        seeds: vec!["10.255.255.254:1".to_owned()],
        ..Config::lan()
    };
    let rng = quorate_core::Rng::seeded(0);
    let mut speaker = Membership::new(id_of(0), BootEpoch(1), 0, config, Tags::default(), rng, now);
    let mut out = Outbox::new();
    speaker.wake(now, &mut out);
    let said = out.drain().find_map(|output| match output {
        Output::Send { packet, .. } => Some(packet.name),
        Output::Resolve { .. } | Output::Event(_) => None,
    });
    said.expect("it looks for its seed at once")
}

/// The id of a node: `n0042`, and longer from ten thousand on.
fn id_of(node: u32) -> NodeId {
    NodeId::new(&format!("n{node:04}")).expect("letters and digits")
}

fn node_of(id: &NodeId) -> Option<u32> {
    id.as_str().strip_prefix('n')?.parse().ok()
}

/// How many claims fit into a page for certain.
const PAGE: usize = 24;
