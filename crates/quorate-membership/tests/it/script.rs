//! One node under a script, and what it answered, as text.

use std::fmt::Write;

use quorate_core::{BootEpoch, ClusterId, Instant, Machine, Outbox, Rng};
use quorate_membership::{
    Body, Channel, Config, Event, Incarnation, Info, Input, Membership, Output, Packet, Protocol,
    State, Tags, Update,
};

use crate::hostile::own_name;
use crate::net::{address_of, id};

/// The node `a` at address 0, its clock, and a transcript.
///
/// Nodes are called by letters; `b` is at address 1 and so on. Numbers of questions are shown in
/// the order in which they first appear.
pub(crate) struct Script {
    pub(crate) node: Membership,
    now: Instant,
    out: Outbox<Output>,
    seqs: Vec<u32>,
    /// Who answers pings at once, and requests with a nack.
    pub(crate) lively: Vec<&'static str>,
    /// Whether those reach everybody that they are asked to look at.
    pub(crate) helpful: bool,
    text: String,
}

impl Script {
    pub(crate) fn new(seeds: &[&str]) -> Self {
        let config = Config {
            cluster_name: "test".to_owned(),
            address: address_of(0).to_string(),
            seeds: seeds.iter().map(|seed| (*seed).to_owned()).collect(),
            ..Config::lan()
        };
        let (boot, rng) = (BootEpoch(2), Rng::seeded(1));
        let tags = Tags::default();
        let node = Membership::new(id("a"), boot, 7, config, tags, rng, Instant::ZERO);
        let (out, seqs, text) = (Outbox::new(), Vec::new(), String::new());
        Self { node, now: Instant::ZERO, out, seqs, lively: Vec::new(), helpful: false, text }
    }

    /// A node that knows these members, and has nothing to tell of them any more.
    pub(crate) fn knowing(names: &[&str]) -> Self {
        let mut script = Self::new(&[]);
        for name in names {
            let alive = claim(name, State::Alive, 1, 0);
            script.hear(name, gossip(), &[alive]);
        }
        while script.now < Instant::from_millis(400) {
            let next = script.millis() + 1;
            script.until(next);
        }
        script.take();
        script
    }

    pub(crate) const fn millis(&self) -> u64 {
        self.now.as_nanos() / 1_000_000
    }

    pub(crate) fn input(&mut self, input: Input) -> &mut Self {
        let what = render_input(&input);
        writeln!(self.text, "{}ms {what}", self.millis()).expect("text takes any line");
        self.node.handle(self.now, input, &mut self.out);
        self.render();
        self
    }

    /// A packet of `name`, in its first incarnation.
    pub(crate) fn hear(&mut self, name: &str, body: Body, updates: &[Update]) -> &mut Self {
        let packet = self.packet(name, body, updates);
        self.receive(name, packet)
    }

    pub(crate) fn receive(&mut self, name: &str, packet: Packet) -> &mut Self {
        self.input(Input::Received {
            from: address_of(index(name)),
            over: Channel::Datagram,
            packet,
        })
    }

    pub(crate) fn packet(&self, name: &str, body: Body, updates: &[Update]) -> Packet {
        Packet {
            version: Packet::VERSION,
            name: own_name(),
            cluster: 0,
            from: id(name),
            incarnation: Incarnation::first(BootEpoch(1)),
            view: self.node.view_hash(),
            body,
            updates: updates.to_vec(),
        }
    }

    /// The number of the question that is shown as `shown`.
    pub(crate) fn seq(&self, shown: usize) -> u32 {
        self.seqs[shown - 1]
    }

    /// Lets time pass, waking at every deadline on the way.
    pub(crate) fn until(&mut self, millis: u64) -> &mut Self {
        let end = Instant::from_millis(millis);
        while let Some(due) = self.node.deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.node.wake(self.now, &mut self.out);
            if !self.out.is_empty() {
                writeln!(self.text, "{}ms wake", self.millis()).expect("text takes any line");
            }
            self.render();
        }
        self.now = end;
        self
    }

    /// Stands still until then, and wakes before it reads what came meanwhile, as a driver does.
    pub(crate) fn stall(&mut self, millis: u64) -> &mut Self {
        self.now = Instant::from_millis(millis);
        self.node.wake(self.now, &mut self.out);
        writeln!(self.text, "{millis}ms late wake").expect("text takes any line");
        self.render();
        self
    }

    /// The transcript since it was last taken.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn render(&mut self) {
        let mut answers = Vec::new();
        for output in std::mem::take(&mut self.out).drain() {
            let line = match output {
                Output::Send { to, packet, .. } => {
                    let Packet { body, updates, .. } = packet;
                    answers.extend(self.answer(&place(to), &body));
                    format!("-> {} {}{}", place(to), self.body(&body), render_updates(&updates))
                }
                Output::Resolve { name } => format!("resolve {name}"),
                Output::Event(event) => render_event(&event),
            };
            writeln!(self.text, "  {line}").expect("text takes any line");
        }
        for (name, body) in answers {
            self.hear(name, body, &[]);
        }
    }

    fn answer(&self, to: &str, body: &Body) -> Option<(&'static str, Body)> {
        let name = *self.lively.iter().find(|name| **name == to)?;
        match body {
            Body::Ping { seq, .. } => Some((name, Body::Ack { seq: *seq })),
            Body::Observe { seq, .. } if self.helpful => Some((name, Body::Ack { seq: *seq })),
            Body::PingReq { seq, .. } | Body::Observe { seq, .. } => {
                Some((name, Body::Nack { seq: *seq }))
            }
            _ => None,
        }
    }

    fn body(&mut self, body: &Body) -> String {
        let mut number = |seq: &u32| {
            let known = self.seqs.iter().position(|known| known == seq);
            let place = known.unwrap_or_else(|| {
                self.seqs.push(*seq);
                self.seqs.len() - 1
            });
            place + 1
        };
        match body {
            Body::Announce { seq, .. } => format!("announce #{}", number(seq)),
            Body::Ping { seq, target } => format!("ping {} #{}", who(*target), number(seq)),
            Body::PingReq { seq, target } => format!("please ping {target} #{}", number(seq)),
            Body::Observe { seq, target } => format!("do you reach {target} #{}", number(seq)),
            Body::Digest { parts } => format!("digest of {} parts", parts.len()),
            other => render_body(other),
        }
    }
}

/// Whose hash a ping names.
fn who(target: u32) -> String {
    let names = ('a'..='z').map(String::from);
    let is = |name: &String| Body::ping(0, &id(name)) == Body::Ping { seq: 0, target };
    names.into_iter().find(is).unwrap_or_else(|| "?".to_owned())
}

pub(crate) const fn gossip() -> Body {
    Body::Gossip { broadcasts: Vec::new() }
}

pub(crate) const fn announce(seq: u32, instance: u64) -> Body {
    Body::Announce { seq, instance, seeds: 0, cluster: ClusterId::NONE }
}

pub(crate) const fn welcome(seq: u32) -> Body {
    Body::Welcome { seq, seeds: 0, cluster: ClusterId::NONE }
}

fn index(name: &str) -> usize {
    usize::from(name.as_bytes()[0] - b'a')
}

/// The letter of an address.
fn place(address: std::net::SocketAddr) -> String {
    let letters = (0..26).filter(|index| address_of(*index) == address);
    letters
        .map(|index| char::from(b'a' + index as u8))
        .next()
        .map_or_else(|| address.to_string(), |letter| letter.to_string())
}

pub(crate) fn claim(name: &str, state: State, boot: u64, counter: u64) -> Update {
    let incarnation = Incarnation { boot: BootEpoch(boot), counter };
    let address = address_of(index(name)).to_string();
    let info = Info { incarnation, address, tags: Tags::default(), protocol: Protocol::SUPPORTED };
    Update { id: id(name), state, gone_secs: 0, accusation: None, info: info.into() }
}

fn render_updates(updates: &[Update]) -> String {
    let claims = updates.iter().map(|update| {
        let Incarnation { boot, counter } = update.info.incarnation;
        format!("{} {:?} {boot}.{counter}", update.id, update.state).to_lowercase()
    });
    let claims: Vec<_> = claims.collect();
    if claims.is_empty() { String::new() } else { format!(" [{}]", claims.join(", ")) }
}

fn render_body(body: &Body) -> String {
    match body {
        Body::Announce { .. } => "announce".to_owned(),
        Body::Welcome { .. } => "welcome".to_owned(),
        Body::Ping { target, .. } => format!("ping {}", who(*target)),
        Body::Ack { .. } | Body::AckAt { .. } => "ack".to_owned(),
        Body::Observe { target, .. } => format!("do you reach {target}"),
        Body::Refused { holder, .. } => format!("refused, it is at {holder}"),
        Body::PingReq { target, .. } => format!("please ping {target}"),
        Body::Nack { .. } => "nack".to_owned(),
        Body::Foreign { name, .. } => format!("of another cluster: {name}"),
        Body::Gossip { .. } => "gossip".to_owned(),
        Body::Digest { parts } => format!("digest of {} parts", parts.len()),
        Body::Pull { parts } => format!("pull {} parts", parts.count_ones()),
        Body::Page { left } => format!("page, {} parts left", left.count_ones()),
    }
}

fn render_input(input: &Input) -> String {
    match input {
        Input::Received { from, packet, .. } => {
            let Packet { body, updates, .. } = packet;
            format!("<- {} {}{}", place(*from), render_body(body), render_updates(updates))
        }
        Input::Resolved { name, addresses } => format!("{name} is at {addresses:?}"),
        Input::SetTags(tags) => format!("tags {} {}", tags.zone, tags.priority),
        Input::Known { id, address } => format!("known: {id} at {address}"),
        Input::Leave => "leave".to_owned(),
        Input::Join => "join".to_owned(),
        Input::Unreadable { from, version } => format!("<- {} version {version}", place(*from)),
        Input::Refused { address } => format!("refused: {}", place(*address)),
        Input::Broadcast { payload } => format!("broadcast {payload:?}"),
    }
}

fn render_event(event: &Event) -> String {
    match event {
        Event::Joined { id } => format!("joined: {id}"),
        Event::Updated { id } => format!("updated: {id}"),
        Event::Unreachable { id } => format!("unreachable: {id}"),
        Event::Reachable { id } => format!("reachable: {id}"),
        Event::Dead { id } => format!("dead: {id}"),
        Event::Left { id } => format!("left: {id}"),
        Event::Restarted { id } => format!("restarted: {id}"),
        Event::SeedListsDiffer { id, .. } => format!("seed lists differ: {id}"),
        Event::ForeignName { from, theirs } => {
            format!("foreign name: {} {}", place(*from), theirs.as_deref().unwrap_or("?"))
        }
        Event::ForeignCluster { id, theirs } => {
            format!("foreign cluster: {id} {}", theirs.map_or(0, |theirs| theirs.0))
        }
        Event::DuplicateId { from, boot } => format!("duplicate id: {} {boot}", place(*from)),
        Event::LeaveSpread => "leave spread".to_owned(),
        other => format!("{other:?}"),
    }
}
