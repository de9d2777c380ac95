//! Names, by the system and by a name server of our own.

use std::net::SocketAddr;
use std::time::Duration;

use quorate_tokio::{ResolveError, Resolver};

use crate::net::patiently;

fn own() -> SocketAddr {
    "127.0.0.1:7946".parse().unwrap()
}

#[tokio::test]
async fn a_host_has_all_the_addresses_that_our_socket_can_call() {
    let found = patiently(Resolver::new(own()).resolve("localhost:17")).await.unwrap();
    assert!(found.contains(&"127.0.0.1:17".parse().unwrap()));
    assert!(found.iter().all(SocketAddr::is_ipv4));
    let literal = Resolver::new(own()).resolve("10.1.2.3:4").await.unwrap();
    assert_eq!(literal, ["10.1.2.3:4".parse().unwrap()]);
    let six = Resolver::new(own()).resolve("[::1]:4").await;
    assert!(matches!(six, Err(ResolveError::NoAddress)), "{six:?}");
    let none = patiently(Resolver::new(own()).resolve("no port")).await;
    assert!(matches!(none, Err(ResolveError::Failed(_))), "{none:?}");
}

#[cfg(not(feature = "srv"))]
#[tokio::test]
async fn without_the_feature_a_name_of_srv_says_what_to_build_with() {
    let error = Resolver::new(own()).resolve("_quorate._tcp.example.org").await.unwrap_err();
    assert!(matches!(error, ResolveError::NoSrv));
    assert!(error.to_string().contains("feature `srv`"), "{error}");
}

/// A name service that hangs: the system's lookups wait for a thread that never comes free.
#[test]
fn t10_a_lookup_that_hangs_ends_in_time_and_others_are_refused_meanwhile() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (free, held) = std::sync::mpsc::channel::<()>();
    runtime.block_on(async {
        // Ends with the sender.
        tokio::task::spawn_blocking(move || held.recv());
        let resolver = Resolver::new(own()).within(Duration::from_millis(20));
        for _ in 0..Resolver::LOOKUPS_MAX {
            let error = patiently(resolver.resolve("localhost:1")).await.unwrap_err();
            assert!(matches!(error, ResolveError::TimedOut { .. }), "{error:?}");
        }
        // They are still under way: nothing can cancel them.
        let error = patiently(resolver.resolve("localhost:1")).await.unwrap_err();
        assert!(matches!(error, ResolveError::Busy), "{error:?}");
        drop(free);
        patiently(async {
            while resolver.resolve("localhost:1").await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    });
}

#[cfg(feature = "srv")]
mod srv {
    use std::collections::BTreeMap;

    use tokio::net::UdpSocket;
    use tokio::task::JoinHandle;

    use super::*;

    /// A name server that knows these names; it says of all others that they do not exist.
    struct NameServer {
        at: SocketAddr,
        task: JoinHandle<()>,
    }

    #[derive(Clone)]
    enum Record {
        A([u8; 4]),
        Aaaa([u8; 16]),
        Srv { port: u16, target: &'static str },
    }

    impl Record {
        const fn kind(&self) -> u16 {
            match self {
                Self::A(_) => 1,
                Self::Aaaa(_) => 28,
                Self::Srv { .. } => 33,
            }
        }

        fn data(&self) -> Vec<u8> {
            match self {
                Self::A(ip) => ip.to_vec(),
                Self::Aaaa(ip) => ip.to_vec(),
                Self::Srv { port, target } => {
                    let mut data = vec![0, 1, 0, 1];
                    data.extend(port.to_be_bytes());
                    data.extend(spelled(target));
                    data
                }
            }
        }
    }

    /// A name as labels.
    fn spelled(name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        for label in name.split('.') {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend(label.bytes());
        }
        bytes.push(0);
        bytes
    }

    /// The name asked for, and how many bytes the question takes.
    fn question(packet: &[u8]) -> (String, u16, usize) {
        let (mut at, mut labels) = (12, Vec::new());
        while packet[at] != 0 {
            let length = usize::from(packet[at]);
            labels.push(String::from_utf8_lossy(&packet[at + 1..=at + length]).to_lowercase());
            at += 1 + length;
        }
        (labels.join("."), u16::from_be_bytes([packet[at + 1], packet[at + 2]]), at + 5 - 12)
    }

    fn answer(packet: &[u8], known: &BTreeMap<&str, Vec<Record>>) -> Vec<u8> {
        let (name, kind, length) = question(packet);
        let records: Vec<_> = (known.get(name.as_str()).into_iter().flatten())
            .filter(|record| record.kind() == kind)
            .collect();
        let code = if known.contains_key(name.as_str()) { 0 } else { 3 };
        let mut reply = packet[..2].to_vec();
        reply.extend([0x84, code, 0, 1]);
        reply.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
        reply.extend([0; 4]);
        reply.extend(&packet[12..12 + length]);
        for record in records {
            // The name is the one at byte 12.
            reply.extend([0xc0, 12]);
            reply.extend(record.kind().to_be_bytes());
            reply.extend([0, 1, 0, 0, 0, 60]);
            let data = record.data();
            reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            reply.extend(data);
        }
        reply
    }

    impl NameServer {
        async fn start(known: BTreeMap<&'static str, Vec<Record>>) -> Self {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let at = socket.local_addr().unwrap();
            let task = tokio::spawn(async move {
                let mut buffer = [0; 1_500];
                while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                    let _ = socket.send_to(&answer(&buffer[..length], &known), from).await;
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

    #[tokio::test]
    async fn a_name_of_srv_gives_all_hosts_with_their_ports() {
        let six = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        let server = NameServer::start(BTreeMap::from([
            (
                "_quorate._tcp.example.org",
                vec![
                    Record::Srv { port: 7946, target: "a.example.org" },
                    Record::Srv { port: 7950, target: "b.example.org" },
                    Record::Srv { port: 1, target: "gone.example.org" },
                ],
            ),
            ("a.example.org", vec![Record::A([10, 0, 0, 1]), Record::A([10, 0, 0, 9])]),
            ("b.example.org", vec![Record::A([10, 0, 0, 2]), Record::Aaaa(six)]),
        ]))
        .await;
        let four = Resolver::new(own()).name_servers(&[server.at]);
        let found = patiently(four.resolve("_quorate._tcp.example.org")).await.unwrap();
        let expected = ["10.0.0.1:7946", "10.0.0.2:7950", "10.0.0.9:7946"];
        assert_eq!(found, expected.map(|text| text.parse::<SocketAddr>().unwrap()));
        let both = Resolver::new("[::]:7946".parse().unwrap()).name_servers(&[server.at]);
        let found = patiently(both.resolve("_quorate._tcp.example.org")).await.unwrap();
        assert!(found.contains(&"[2001:db8::7]:7950".parse().unwrap()), "{found:?}");
        let nobody = patiently(four.resolve("_other._tcp.example.org")).await;
        assert!(matches!(nobody, Err(ResolveError::Failed(_))), "{nobody:?}");
    }

    #[tokio::test]
    async fn t10_a_name_server_that_says_nothing_holds_nobody_up() {
        let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let resolver = Resolver::new(own())
            .name_servers(&[silent.local_addr().unwrap()])
            .within(Duration::from_millis(20));
        let error = patiently(resolver.resolve("_quorate._tcp.example.org")).await.unwrap_err();
        assert!(matches!(error, ResolveError::TimedOut { .. }), "{error:?}");
        // More at once than there may be.
        let slow = resolver.within(Duration::from_secs(600));
        let mut asked = tokio::task::JoinSet::new();
        for _ in 0..=Resolver::LOOKUPS_MAX {
            let slow = slow.clone();
            asked.spawn(async move { slow.resolve("_quorate._tcp.example.org").await });
        }
        let first = patiently(asked.join_next()).await.unwrap().unwrap();
        assert!(matches!(first, Err(ResolveError::Busy)), "{first:?}");
    }
}
