//! A network that real processes talk through: it loses, delays and cuts.

mod dice;
mod links;
mod streams;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpListener, UdpSocket};
use tokio::runtime::{self, Runtime};
use tokio::task::JoinSet;

pub use self::dice::Weather;
use self::links::Links;
pub use self::links::Traffic;

use crate::free_port;

/// Stands between nodes of one machine as a bad network would.
///
/// Each node is given a place in it: an address that it tells the others, TCP and UDP on one port.
/// What comes there is passed on to where the node is bound. Of a datagram the node sees, as its
/// source, a socket of the network that stands for the sender; so also an answer to the source
/// travels through here, and who speaks to whom is known in either direction. Who dialled a stream
/// is read off the first thing it says; where that is under a key, every cut stops the stream.
///
/// The dice are seeded; when a packet comes is up to the machine. Everything ends when it is
/// dropped.
#[derive(Debug)]
pub struct Network {
    links: Arc<Links>,
    places: Mutex<Vec<Place>>,
    runtime: Option<Runtime>,
}

/// The sockets of one node; dropping it closes them.
#[derive(Debug)]
struct Place {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Network {
    /// A network in which nothing is lost yet.
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn new(seed: u64) -> io::Result<Self> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("network")
            .enable_all()
            .build()?;
        let links = Arc::new(Links::new(seed));
        Ok(Self { links, places: Mutex::default(), runtime: Some(runtime) })
    }

    /// Gives `node`, bound to `bound`, a place; the address to advertise.
    ///
    /// A node that moves is given another place. The old one stays, as silent as the address of a
    /// machine that is gone, until it is [closed](Self::close).
    ///
    /// # Errors
    ///
    /// Those of the operating system.
    pub fn attach(&self, node: &str, bound: SocketAddr) -> io::Result<SocketAddr> {
        let Some(runtime) = &self.runtime else { return Err(io::ErrorKind::NotConnected.into()) };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let (listener, socket) = runtime.block_on(async {
            Ok::<_, io::Error>((TcpListener::bind(address).await?, UdpSocket::bind(address).await?))
        })?;
        self.links.bound(node, bound);
        let mut tasks = JoinSet::new();
        let handle = runtime.handle();
        let streams = streams::listen(Arc::clone(&self.links), node.to_owned(), bound, listener);
        tasks.spawn_on(streams, handle);
        let datagrams =
            links::datagrams(Arc::clone(&self.links), node.to_owned(), bound, Arc::new(socket));
        tasks.spawn_on(datagrams, handle);
        self.lock().push(Place { address, _tasks: tasks });
        Ok(address)
    }

    /// Closes a place: whoever calls there is refused from now on.
    pub fn close(&self, address: SocketAddr) {
        self.lock().retain(|place| place.address != address);
    }

    /// What happens to datagrams from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.links.set_weather(weather);
    }

    /// Cuts, in both directions and for datagrams and streams, whatever leads from one of these
    /// groups to another. Nodes of no group reach everybody.
    pub fn split(&self, groups: &[&[&str]]) {
        let group = |(n, nodes): (usize, &&[&str])| {
            nodes.iter().map(|node| ((*node).to_owned(), n)).collect::<Vec<_>>()
        };
        self.links.split(groups.iter().enumerate().flat_map(group).collect());
    }

    /// Ends every cut.
    pub fn heal(&self) {
        self.links.split([].into());
    }

    /// What became of the datagrams so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.links.traffic()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.lock().clear();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
