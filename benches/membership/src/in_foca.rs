//! foca in the crowd, driven as its example and its README do it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use foca::{
    Foca, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime, Timer,
};
use quorate_core::{Instant, Rng};
use quorate_sim::crowd::{Belief, Birth, Came, Gossiper, Held, Over, Port, number_of};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};

/// A node that runs foca with its LAN preset.
pub(crate) struct InFoca {
    foca: Foca<Name, PostcardCodec, StdRng, NoCustomBroadcast>,
    timers: Timers,
    seeds: Vec<SocketAddr>,
    rng: Rng,
}

/// How many nodes foca is told to expect: its preset is computed from that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected(pub(crate) u32);

/// An identity with a field that lets it come back at once, as foca's README recommends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    address: SocketAddr,
    life: u64,
}

impl Identity for Name {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { address: self.address, life: self.life + 1 })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.life > adversary.life
    }
}

/// What foca asked to be told later.
#[derive(Debug, Default)]
struct Timers {
    due: BTreeMap<(Instant, u64), Due>,
    sequence: u64,
}

#[derive(Debug)]
enum Due {
    Timer(Timer<Name>),
    /// Nobody answered yet: announce to the seeds again.
    Announce,
}

impl Timers {
    fn set(&mut self, at: Instant, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }
}

/// foca's way to the outside, for one call.
struct Call<'a> {
    now: Instant,
    /// Where in its rounds a node is that has been at it for long: somewhere.
    phase: Option<&'a mut Rng>,
    timers: &'a mut Timers,
    port: &'a mut Port,
}

impl Runtime<Name> for Call<'_> {
    fn notify(&mut self, notification: Notification<'_, Name>) {
        match notification {
            Notification::MemberUp(name) => self.news(name, Belief::Alive),
            Notification::MemberDown(name) => self.news(name, Belief::Dead),
            Notification::Rejoin(_) => self.port.renamed(),
            Notification::Rename(..)
            | Notification::Active
            | Notification::Idle
            | Notification::Defunct => {}
        }
    }

    fn send_to(&mut self, to: Name, data: &[u8]) {
        self.port.send(to.address, Over::Datagram, |bytes| bytes.extend_from_slice(data));
    }

    fn submit_after(&mut self, event: Timer<Name>, after: Duration) {
        let phase = self.phase.as_mut().map(|rng| rng.duration(Duration::ZERO, after));
        self.timers.set(self.now + phase.unwrap_or(after), Due::Timer(event));
    }
}

impl Call<'_> {
    fn news(&mut self, name: &Name, belief: Belief) {
        if let Some(node) = number_of(name.address) {
            self.port.news(node, belief);
        }
    }
}

impl InFoca {
    fn announce(&mut self, now: Instant, port: &mut Port) {
        for address in self.seeds.clone() {
            let mut call = Call { now, phase: None, timers: &mut self.timers, port };
            // Only an encoder that fails is an error here.
            let _ = self.foca.announce(Name { address, life: 0 }, &mut call);
        }
        let again = now + self.rng.duration(ANNOUNCE_EVERY * 3 / 4, ANNOUNCE_EVERY * 5 / 4);
        self.timers.set(again, Due::Announce);
    }
}

impl Gossiper for InFoca {
    type Setting = Expected;

    fn start(setting: &Expected, birth: Birth<'_>) -> Self {
        let Birth { boot, address, seeds, mut rng, now, .. } = birth;
        let expected = NonZeroU32::new(setting.0).unwrap_or(NonZeroU32::MIN);
        // Lives that foca takes on by itself are below those of the next start.
        let name = Name { address, life: boot << 16 };
        let dice = StdRng::seed_from_u64(rng.next_u64());
        let config = foca::Config::new_lan(expected);
        let mut timers = Timers::default();
        timers.set(now, Due::Announce);
        let seeds = seeds.iter().copied().filter(|seed| *seed != address).collect();
        Self { foca: Foca::new(name, config, dice, PostcardCodec), timers, seeds, rng }
    }

    fn introduce(_: &Expected, nodes: &mut [&mut Self], now: Instant) {
        let all: Vec<_> =
            nodes.iter().map(|node| Member::alive(node.foca.identity().clone())).collect();
        let mut port = Port::default();
        for node in nodes {
            let phase = Some(&mut node.rng);
            let mut call = Call { now, phase, timers: &mut node.timers, port: &mut port };
            let own = node.foca.identity().clone();
            let known = all.iter().filter(|member| *member.id() != own);
            let applied = node.foca.apply_many(known.cloned(), false, &mut call);
            applied.expect("members are encoded without fail");
            port.clear();
        }
    }

    fn received(&mut self, now: Instant, came: Came<'_>, port: &mut Port) {
        let mut call = Call { now, phase: None, timers: &mut self.timers, port };
        if self.foca.handle_data(came.bytes, &mut call).is_err() {
            port.refused();
        }
    }

    fn wake(&mut self, now: Instant, port: &mut Port) {
        while let Some(entry) = self.timers.due.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Due::Timer(timer) => {
                    let mut call = Call { now, phase: None, timers: &mut self.timers, port };
                    // Its example ignores errors too.
                    let _ = self.foca.handle_timer(timer, &mut call);
                }
                Due::Announce if self.foca.num_members() == 0 => self.announce(now, port),
                Due::Announce => {}
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.due.first_key_value().map(|((at, _), _)| *at)
    }

    fn leave(&mut self, now: Instant, port: &mut Port) {
        let mut call = Call { now, phase: None, timers: &mut self.timers, port };
        // It tells a few and is done.
        let _ = self.foca.leave_cluster(&mut call);
        port.gone();
    }

    fn held(&self, _: u32) -> Option<Held> {
        None
    }

    fn sum(&self) -> Option<u64> {
        None
    }

    fn datagram_max(_: &Expected) -> usize {
        1_400
    }

    fn suspicion_min(_: &Expected) -> Duration {
        Duration::ZERO
    }
}

/// How often seeds are announced to while nobody is known.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(1);
