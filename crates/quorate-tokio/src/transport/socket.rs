//! The two sockets of a node, and what the kernel is told about them.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// Why a transport could not begin to listen. Nothing is bound afterwards.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another process listens there.
    #[error(
        "{protocol} port {} on {} is in use: stop the process that holds it (`ss -lntup` names it), or choose another port with --bind",
        address.port(), address.ip()
    )]
    PortInUse {
        /// What was asked for.
        address: SocketAddr,
        /// `TCP` or `UDP`.
        protocol: &'static str,
    },
    /// No interface of this machine has the address.
    #[error(
        "this machine has no address {}: bind to one it has, or to {} for all, and say what others should dial with --advertise",
        address.ip(), if address.is_ipv6() { "[::]" } else { "0.0.0.0" }
    )]
    NoSuchAddress {
        /// What was asked for.
        address: SocketAddr,
    },
    /// Ports below 1024 are for privileged processes.
    #[error("no permission to listen on port {}: choose a port of 1024 or above with --bind", address.port())]
    NoPermission {
        /// What was asked for.
        address: SocketAddr,
    },
    /// The cluster's name and the advertised address do not fit a handshake.
    #[error("cluster name and advertised address take more than 1 KiB together: shorten them")]
    NamesTooLong,
    /// The operating system refused for another reason.
    #[error("cannot listen on {address} ({protocol}): {source}")]
    Other {
        /// What was asked for.
        address: SocketAddr,
        /// `TCP` or `UDP`.
        protocol: &'static str,
        /// What it said.
        source: io::Error,
    },
}

/// Binds TCP alone.
pub(crate) async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|e| explain(address, "TCP", e))
}

/// Binds TCP and UDP to one port. For port 0, tries until a port is free for both.
pub(crate) async fn bind_both(address: SocketAddr) -> Result<(TcpListener, UdpSocket), BindError> {
    let mut tries = 32;
    loop {
        let tcp = TcpListener::bind(address).await.map_err(|e| explain(address, "TCP", e))?;
        let bound = tcp.local_addr().map_err(|e| explain(address, "TCP", e))?;
        match UdpSocket::bind(bound).await {
            Ok(udp) => return Ok((tcp, udp)),
            Err(e) if address.port() == 0 && e.kind() == io::ErrorKind::AddrInUse && tries > 1 => {
                tries -= 1;
            }
            Err(e) => return Err(explain(bound, "UDP", e)),
        }
    }
}

fn explain(address: SocketAddr, protocol: &'static str, source: io::Error) -> BindError {
    match source.kind() {
        io::ErrorKind::AddrInUse => BindError::PortInUse { address, protocol },
        io::ErrorKind::AddrNotAvailable => BindError::NoSuchAddress { address },
        io::ErrorKind::PermissionDenied => BindError::NoPermission { address },
        _ => BindError::Other { address, protocol, source },
    }
}

/// How many files this process may have open. Those who dial us get a third of them at most: a
/// journal that finds the table full cannot open its next segment.
pub(crate) fn files_max() -> usize {
    let soft = getrlimit(Resource::Nofile).current;
    soft.and_then(|files| files.try_into().ok()).unwrap_or(usize::MAX)
}

/// Tunes a connection that we write on.
///
/// No Nagle, because frames are already coalesced. Little unsent data in the kernel, because what
/// lies there can no longer be overtaken by a more urgent lane. And a limit on unacknowledged
/// data, because a host that vanished never closes its connection. The last two are hints that
/// not every system knows, so their failure is no error.
pub(crate) fn tune_outbound(stream: &TcpStream, unacknowledged_max: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        const UNSENT_MAX: u32 = 256 << 10;
        let socket = SockRef::from(stream);
        let _ = socket.set_tcp_notsent_lowat(UNSENT_MAX);
        let _ = socket.set_tcp_user_timeout(Some(unacknowledged_max));
    }
    let _ = unacknowledged_max;
    Ok(())
}

/// Tunes a connection that we only read from: the kernel probes it when it is silent, so that the
/// remains of a vanished host do not hold a place for ever.
pub(crate) fn tune_inbound(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let probe = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10));
    SockRef::from(stream).set_tcp_keepalive(&probe)
}
