//! The exchange in turmoil: hosts with a UDP socket and a timer of tokio, in a task each.
//!
//! turmoil knows time in ticks, of 1 ms by default, as has tokio's timer; each tick lets every host
//! run once. That is left as it is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use turmoil::net::UdpSocket;

use super::{Counters, FRAME_BYTES, LATENCY, LOSS, NODES, Node, Setting, Tally};

/// Runs the exchange.
pub(crate) fn run(setting: &Setting) -> Tally {
    let counters = Arc::new(Counters::default());
    let mut sim = turmoil::Builder::new()
        .rng_seed(setting.seed)
        .simulation_duration(setting.lasting() * 2)
        .min_message_latency(Duration::ZERO)
        .max_message_latency(LATENCY * LATENCY_RANGE)
        .fail_rate(fail_rate(setting))
        .build();
    sim.set_message_latency_curve(f64::from(LATENCY_RANGE) * std::f64::consts::LN_2);
    for me in 0..NODES {
        let (setting, counters) = (*setting, Arc::clone(&counters));
        sim.host(name(me), move || {
            let node = Node::new(Arc::clone(&counters));
            async move { Ok(host(me, node, setting).await?) }
        });
    }
    while sim.elapsed() < setting.lasting() {
        sim.step().expect("no host fails");
    }
    counters.tally()
}

async fn host(me: u8, mut node: Node, setting: Setting) -> std::io::Result<()> {
    let peers: Vec<SocketAddr> = (0..NODES)
        .filter(|peer| *peer != me)
        .map(|peer| SocketAddr::new(turmoil::lookup(name(peer)), PORT))
        .collect();
    let socket = UdpSocket::bind((IpAddr::V4(Ipv4Addr::UNSPECIFIED), PORT)).await?;
    let start = tokio::time::Instant::now() + setting.every;
    let mut timer = tokio::time::interval_at(start, setting.every);
    let mut left = setting.times;
    let mut received = [0; FRAME_BYTES];
    let mut buffer = Vec::with_capacity(FRAME_BYTES);
    loop {
        // Biased, because the choice would be tokio's, from dice that no seed reaches.
        tokio::select! {
            biased;
            _ = timer.tick(), if left > 0 => {
                left -= 1;
                node.wake();
                for peer in &peers {
                    buffer.clear();
                    node.ping(&mut buffer);
                    socket.send_to(&buffer, *peer).await?;
                }
            }
            came = socket.recv_from(&mut received) => {
                let (length, from) = came?;
                if let Some(pong) = node.hear(&received[..length]) {
                    buffer.clear();
                    pong.encode(&mut buffer);
                    socket.send_to(&buffer, from).await?;
                }
            }
        }
    }
}

fn name(node: u8) -> String {
    format!("node-{node}")
}

const PORT: u16 = 7_000;

/// The longest delay over the mean. turmoil draws a memoryless delay in these units and cuts it to
/// whole milliseconds; a mean of 1 ms is left if it was 1 / ln 2 before.
const LATENCY_RANGE: u32 = 1_000;

/// How often the sending of a message breaks its link: the message is lost, and with it all that is
/// under way between the two nodes, in both directions; the next message mends the link. So that
/// [`LOSS`] are lost together, it is rarer the more are under way.
fn fail_rate(setting: &Setting) -> f64 {
    let sent_each_period = 4.0;
    let under_way = sent_each_period * UNDER_WAY_MILLIS / (setting.every.as_secs_f64() * 1_000.0);
    LOSS / (1.0 + under_way)
}

/// How long a message can be lost with others, on average: found by trial. Half of them have no
/// delay in whole milliseconds.
const UNDER_WAY_MILLIS: f64 = 0.65;
