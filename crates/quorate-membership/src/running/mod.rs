//! A membership that runs: sockets, clock, names and a folder around the machine.

use std::net::SocketAddr;

use quorate_core::{Clock as _, Machine as _, Outbox, Rng};
use quorate_tokio::{BootClock, Resolver, Transport, TransportConfig};
use tokio::sync::{broadcast, mpsc, watch};

use crate::{Config, Input, Membership};

mod error;
mod events;
mod handle;
mod memory;
mod options;
mod perform;
mod snapshot;

pub use error::{End, LeaveError, OrderError, StartError};
pub use events::{Events, Told};
pub use handle::{Metrics, Running};
pub use options::Options;
pub use snapshot::{MemberSnapshot, Members};

use handle::Shared;
use memory::Memory;
use perform::{Keeper, Performer, listen, run};

impl Membership {
    /// Opens the ports and runs a membership on the current tokio runtime, until
    /// [`leave`](Running::leave) or until the last handle is dropped.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use quorate_membership::{Membership, Options};
    ///
    /// let node = Membership::start(Options::new("shop")).await?;
    /// assert_eq!(node.members().iter().count(), 1, "itself");
    /// node.leave().await.expect("nobody has to be told");
    /// # Ok::<(), quorate_membership::StartError>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`StartError`], whose text names the fix.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future before it is ready leaves nothing running; the start may be counted in
    /// the data folder.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with time and network.
    pub async fn start(options: Options) -> Result<Running, StartError> {
        options.check()?;
        let memory = recall(&options).await?;
        let seed = quorate_tokio::entropy();
        let (transport, heard) = Transport::bind(TransportConfig {
            boot: memory.boot,
            keyring: options.keyring.clone(),
            datagrams: options.datagrams,
            messages: false,
            seed,
            ..TransportConfig::new(
                memory.id.clone(),
                options.config.cluster_name.clone(),
                options.bind,
            )
        })
        .await?;
        let bound = transport.local_addr();
        let address = options.advertised(bound);
        let streams = options.config.streams || !options.datagrams;
        let config = Config { address, streams, ..options.config.clone() };
        config.validate()?;
        Ok(spawn(options, config, memory, transport, heard, seed))
    }
}

/// What the data folder holds, if there is one.
async fn recall(options: &Options) -> Result<Memory, StartError> {
    let id = options.id.clone();
    let Some(path) = options.folder.clone() else { return Ok(Memory::none(id)) };
    let opened = tokio::task::spawn_blocking(move || Memory::open(&path, id)).await;
    opened.map_err(|error| StartError::Disk(std::io::Error::other(error)))?
}

fn spawn(
    options: Options,
    config: Config,
    memory: Memory,
    transport: Transport,
    heard: mpsc::Receiver<quorate_tokio::TransportEvent>,
    seed: u64,
) -> Running {
    let now = BootClock.now();
    let leave_timeout = config.leave_timeout;
    let address = config.address.clone();
    let resolver = resolver(&options, transport.local_addr());
    let Memory { id, boot, peers, damaged, folder } = memory;
    let rng = Rng::stream(seed, "membership");
    let instance = Rng::stream(seed, "instance").next_u64();
    let mut machine = Membership::new(id, boot, instance, config, options.tags, rng, now);
    let mut first = Outbox::new();
    for (id, address) in &peers {
        let known = Input::Known { id: id.clone(), address: address.clone() };
        machine.handle(now, known, &mut first);
    }
    let (inputs, received) = mpsc::channel(INPUTS_MAX);
    let (events, _) = broadcast::channel(EVENTS_MAX);
    let (stop, stopped) = watch::channel(false);
    let shared = Shared::new(
        &machine,
        transport,
        inputs.clone(),
        events,
        options.keyring,
        address,
        leave_timeout,
        damaged,
    );
    let keeper = folder.map(|folder| Keeper::start(folder, peers));
    tokio::spawn(listen(heard, shared.clone()));
    let performer = Performer::new(shared.clone(), resolver, options.datagrams, keeper);
    tokio::spawn(run(machine, performer, first, received, stopped));
    Running::new(shared, stop)
}

#[cfg(feature = "srv")]
fn resolver(options: &Options, own: SocketAddr) -> Resolver {
    let resolver = Resolver::new(own);
    if options.name_servers.is_empty() {
        return resolver;
    }
    resolver.name_servers(&options.name_servers)
}

#[cfg(not(feature = "srv"))]
fn resolver(_: &Options, own: SocketAddr) -> Resolver {
    Resolver::new(own)
}

/// How many inputs may wait for the machine before those who bring more must wait.
const INPUTS_MAX: usize = 1_024;

/// How many events a subscriber may lag behind before it misses some.
const EVENTS_MAX: usize = 1_024;
