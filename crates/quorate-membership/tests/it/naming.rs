//! A name server of one service with one host.

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Says of every service that it is at one address, and where the host of that is.
pub(crate) struct NameServer {
    pub(crate) at: SocketAddr,
    task: JoinHandle<()>,
}

impl NameServer {
    pub(crate) async fn start(service: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let at = socket.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let _ = socket.send_to(&answer(&buffer[..length], service), from).await;
            }
        });
        Self { at, task }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// RFC 1035, section 4: a header of 12 bytes, the question, and one answer or none.
fn answer(query: &[u8], service: SocketAddr) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).expect("a name ends");
    let question = &query[12..12 + name + 5];
    let kind = u16::from_be_bytes([question[name + 1], question[name + 2]]);
    let data = match (kind, service.ip()) {
        (SRV, _) => {
            let port = service.port().to_be_bytes();
            Some([&[0, 1, 0, 1], &port[..], b"\x04host\x04test\x00"].concat())
        }
        (A, IpAddr::V4(ip)) => Some(ip.octets().to_vec()),
        _ => None,
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x84, 0, 0, 1, 0, u8::from(data.is_some()), 0, 0, 0, 0]);
    reply.extend(question);
    if let Some(data) = data {
        // The name is the one at byte 12; of the internet, for a minute.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        reply.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        reply.extend(data);
    }
    reply
}

const A: u16 = 1;
const SRV: u16 = 33;
