//! Datagrams: read, checked, handed on or dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use super::stats::count;
use super::{Shared, TransportEvent};

/// Reads datagrams for as long as the transport lives.
pub(crate) async fn receive(shared: Arc<Shared>, socket: Arc<UdpSocket>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else {
            // The error of an earlier datagram whose receiver is gone; or one that stays, which
            // must not make this spin.
            tokio::time::sleep(ERROR_PAUSE).await;
            continue;
        };
        match shared.packets.read_datagram(&buffer[..len]) {
            Ok(bytes) => {
                count(&shared.counters.datagrams_received, 1);
                count(&shared.counters.datagram_bytes_received, len);
                shared.hand_on(TransportEvent::Datagram { from, bytes });
            }
            Err(why) => shared.reject(from, why),
        }
    }
}

/// The largest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 1 << 16;

const ERROR_PAUSE: Duration = Duration::from_millis(1);
