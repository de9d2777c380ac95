//! Who speaks to whom, and what becomes of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_core::Rng;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Weather;

/// What became of datagrams; those of which two copies came count once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Passed on.
    pub carried: u64,
    /// Lost, as the dice wanted.
    pub lost: u64,
    /// Stopped by a cut.
    pub cut: u64,
}

/// The group of each node that is in one.
type Groups = BTreeMap<String, usize>;

/// Everything that all places share.
#[derive(Debug)]
pub(super) struct Links {
    seed: u64,
    state: Mutex<State>,
    groups: watch::Sender<Groups>,
}

#[derive(Debug, Default)]
struct State {
    weather: Weather,
    /// Which node is bound where; an address that a node left stays.
    bound: BTreeMap<SocketAddr, String>,
    /// The dice of each direction.
    dice: BTreeMap<(String, String), Rng>,
    traffic: Traffic,
}

impl Links {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, state: Mutex::default(), groups: watch::Sender::new(Groups::new()) }
    }

    pub(super) fn bound(&self, node: &str, bound: SocketAddr) {
        self.lock().bound.insert(bound, node.to_owned());
    }

    pub(super) fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    pub(super) fn split(&self, groups: Groups) {
        self.groups.send_replace(groups);
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.lock().traffic
    }

    /// Is told when a cut begins or ends.
    pub(super) fn cuts(&self) -> watch::Receiver<Groups> {
        self.groups.subscribe()
    }

    pub(super) fn is_cut(&self, one: &str, other: &str) -> bool {
        is_cut(&self.groups.borrow(), one, other)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The node at the other end of a source address; its text for a stranger.
    fn node_at(&self, source: SocketAddr) -> String {
        self.lock().bound.get(&source).cloned().unwrap_or_else(|| source.to_string())
    }

    /// Passes a datagram on, if and when it arrives.
    fn carry(&self, source: &str, target: &str, bytes: &[u8], by: &Arc<UdpSocket>, to: SocketAddr) {
        let cut = self.is_cut(source, target);
        let mut state = self.lock();
        let weather = state.weather;
        let link = (source.to_owned(), target.to_owned());
        let dice = state
            .dice
            .entry(link)
            .or_insert_with_key(|(from, to)| Rng::stream(self.seed, &format!("{from} to {to}")));
        let copies = if cut { [None, None] } else { weather.throw(dice) };
        let traffic = &mut state.traffic;
        let count = match (cut, copies[0]) {
            (true, _) => &mut traffic.cut,
            (false, None) => &mut traffic.lost,
            (false, Some(_)) => &mut traffic.carried,
        };
        *count += 1;
        drop(state);
        for delay in copies.into_iter().flatten() {
            let (bytes, by) = (bytes.to_vec(), Arc::clone(by));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                // An error is one more way to be lost.
                let _ = by.send_to(&bytes, to).await;
            });
        }
    }
}

/// Whether a cut lies between two nodes. Who dialled an unreadable stream, an empty text, is not
/// known: it is taken to lie beyond the cut.
pub(super) fn is_cut(groups: &Groups, one: &str, other: &str) -> bool {
    match (groups.get(one), groups.get(other)) {
        (Some(one), Some(other)) => one != other,
        (None, Some(_)) => one.is_empty(),
        _ => false,
    }
}

/// Passes on what comes for `node`, which is bound to `bound`, and what it answers.
///
/// Each source gets a socket of its own: what the node sends back to that socket is for the source,
/// and comes to it from the address that it wrote to.
pub(super) async fn datagrams(
    links: Arc<Links>,
    node: String,
    bound: SocketAddr,
    socket: Arc<UdpSocket>,
) {
    let mut relays: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut answers = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        // An error speaks of a datagram that was sent before.
        let Ok((length, source)) = socket.recv_from(&mut buffer).await else { continue };
        let relay = match relays.get(&source) {
            Some(relay) => Arc::clone(relay),
            None => {
                let Ok(relay) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await else { continue };
                let relay = Arc::new(relay);
                relays.insert(source, Arc::clone(&relay));
                let back = (Arc::clone(&relay), Arc::clone(&socket));
                answers.spawn(answer(Arc::clone(&links), node.clone(), bound, source, back));
                relay
            }
        };
        links.carry(&links.node_at(source), &node, &buffer[..length], &relay, bound);
    }
}

/// Passes on what `node` sends back to the socket that stands for `source`.
async fn answer(
    links: Arc<Links>,
    node: String,
    bound: SocketAddr,
    source: SocketAddr,
    (relay, socket): (Arc<UdpSocket>, Arc<UdpSocket>),
) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, from)) = relay.recv_from(&mut buffer).await else { continue };
        if from == bound {
            links.carry(&node, &links.node_at(source), &buffer[..length], &socket, source);
        }
    }
}

const DATAGRAM_BYTES_MAX: usize = 1 << 16;
