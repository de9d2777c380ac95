//! The exchange in madsim: nodes with an [`Endpoint`], on which its UDP socket is built.
//!
//! In madsim a send and a receive each sleep, and its shortest sleep is 1 ms. So a message takes
//! 2 ms more than the network's delay and costs two timers more, and a task alone could not keep up
//! with what comes to a node. Hence a node sends its pings all at once and receives in several
//! tasks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use madsim::net::Endpoint;
use madsim::runtime::Runtime;

use super::{Counters, FRAME_BYTES, LATENCY, LOSS, NODES, Node, Setting, Tally};

/// Runs the exchange.
pub(crate) fn run(setting: &Setting) -> Tally {
    let counters = Arc::new(Counters::default());
    let mut config = madsim::Config::default();
    config.net.packet_loss_rate = LOSS;
    // Uniform: another shape is not to be had.
    config.net.send_latency = Duration::ZERO..LATENCY * 2;
    let runtime = Runtime::with_seed_and_config(setting.seed, config);
    for me in 0..NODES {
        let node = Node::new(Arc::clone(&counters));
        let host = runtime.create_node().name(format!("node-{me}")).ip(address(me).ip()).build();
        host.spawn(live(me, node, *setting));
    }
    // A sleep must be made inside, where there is a clock.
    runtime.block_on(async { madsim::time::sleep(setting.lasting()).await });
    counters.tally()
}

#[expect(clippy::disallowed_methods, reason = "the clock is madsim's here")]
async fn live(me: u8, mut node: Node, setting: Setting) {
    let endpoint = Endpoint::bind(address(me)).await.expect("the address is free");
    for _ in 0..RECEIVERS {
        madsim::task::spawn(receive(node.clone(), endpoint.clone()));
    }
    let peers = (0..NODES).filter(|peer| *peer != me);
    let mut mail: Vec<(SocketAddr, Vec<u8>)> =
        peers.map(|peer| (address(peer), Vec::with_capacity(FRAME_BYTES))).collect();
    let start = madsim::time::Instant::now() + setting.every;
    let mut timer = madsim::time::interval_at(start, setting.every);
    for _ in 0..setting.times {
        timer.tick().await;
        node.wake();
        for (_, buffer) in &mut mail {
            buffer.clear();
            node.ping(buffer);
        }
        let sends = mail.iter().map(|(peer, buffer)| endpoint.send_to(*peer, TAG, buffer));
        for sent in join_all(sends).await {
            sent.expect("the socket is open");
        }
    }
}

async fn receive(node: Node, endpoint: Endpoint) {
    let mut received = [0; FRAME_BYTES];
    let mut buffer = Vec::with_capacity(FRAME_BYTES);
    loop {
        let came = endpoint.recv_from(TAG, &mut received).await;
        let (length, from) = came.expect("the socket is open");
        if let Some(pong) = node.hear(&received[..length]) {
            buffer.clear();
            pong.encode(&mut buffer);
            endpoint.send_to(from, TAG, &buffer).await.expect("the socket is open");
        }
    }
}

const fn address(node: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, node + 1)), 7_000)
}

/// Enough for a ping to each other node every millisecond: those four pings take two sleeps each,
/// and their pongs one.
const RECEIVERS: usize = 16;

const TAG: u64 = 0;
