//! From a name to addresses, within bounds.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

#[cfg(feature = "srv")]
mod srv;

/// Looks up names. Clones share their bounds.
///
/// Two forms of names are known:
///
/// - `host:port`: all IPv4 and IPv6 addresses of the host, by the system's own resolver (so
///   `/etc/hosts` counts).
/// - `_service._tcp.domain`: the hosts *and ports* that DNS SRV records name, as Kubernetes and
///   Consul publish them. Only with feature `srv`.
///
/// The system's resolver cannot be cancelled and may hang for a minute. Its lookups count as under
/// way until they really end, so that a dead name service takes [`LOOKUPS_MAX`](Self::LOOKUPS_MAX)
/// threads at most.
#[derive(Clone)]
pub struct Resolver {
    own: SocketAddr,
    limit: Duration,
    under_way: Arc<Semaphore>,
    #[cfg(feature = "srv")]
    srv: srv::Srv,
}

impl Resolver {
    /// How many lookups may be under way.
    pub const LOOKUPS_MAX: usize = 32;

    /// A resolver for a node whose sockets are bound to `own`: addresses that they cannot call are
    /// left out. `localhost`, for one, has an IPv6 address that nobody of an IPv4 cluster answers
    /// at.
    #[must_use]
    pub fn new(own: SocketAddr) -> Self {
        Self {
            own,
            limit: LOOKUP_MAX,
            under_way: Arc::new(Semaphore::new(Self::LOOKUPS_MAX)),
            #[cfg(feature = "srv")]
            srv: srv::Srv::system(),
        }
    }

    /// The longest a lookup may take. Default 5 s.
    #[must_use]
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Asks these name servers for SRV records, by UDP, in place of those the system is configured
    /// with.
    #[cfg(feature = "srv")]
    #[must_use]
    pub fn name_servers(mut self, servers: &[SocketAddr]) -> Self {
        self.srv = srv::Srv::of(servers);
        self
    }

    /// Whether `name` is one of DNS SRV: `_service._tcp.domain` or `_service._udp.domain`.
    #[must_use]
    pub fn is_srv(name: &str) -> bool {
        let service = name.strip_prefix('_').and_then(|rest| rest.split_once('.'));
        service.is_some_and(|(service, rest)| {
            let domain = rest.strip_prefix("_tcp.").or_else(|| rest.strip_prefix("_udp."));
            !service.is_empty() && domain.is_some_and(|domain| !domain.is_empty())
        }) && !name.contains(':')
    }

    /// Whether this build can look up names of DNS SRV.
    #[must_use]
    pub const fn knows_srv() -> bool {
        cfg!(feature = "srv")
    }

    /// All addresses of `name`, each once.
    ///
    /// # Errors
    ///
    /// [`ResolveError`]; ask again later.
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is lost but the answer. A lookup by the system goes on in the background.
    pub async fn resolve(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let permit = Arc::clone(&self.under_way).try_acquire_owned();
        let permit = permit.map_err(|_| ResolveError::Busy)?;
        let lookup = self.look_up(name, permit);
        let found = timeout(self.limit, lookup).await;
        let mut addresses = found.map_err(|_| ResolveError::TimedOut { limit: self.limit })??;
        addresses.retain(|to| self.own.is_ipv6() || to.is_ipv4());
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() { Err(ResolveError::NoAddress) } else { Ok(addresses) }
    }

    async fn look_up(
        &self,
        name: &str,
        permit: OwnedSemaphorePermit,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        if Self::is_srv(name) {
            let _permit = permit;
            return self.look_up_srv(name).await;
        }
        let host = name.to_owned();
        // A task of its own, which holds the permit until the system really answers.
        let asked = tokio::spawn(async move {
            let _permit = permit;
            lookup_host(host).await.map(Vec::from_iter)
        });
        match asked.await {
            Ok(found) => found.map_err(ResolveError::Failed),
            Err(error) => Err(ResolveError::Failed(io::Error::other(error))),
        }
    }

    #[cfg(feature = "srv")]
    async fn look_up_srv(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        self.srv.look_up(name).await
    }

    #[cfg(not(feature = "srv"))]
    #[expect(clippy::unused_async, reason = "one signature for both builds")]
    async fn look_up_srv(&self, _: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        Err(ResolveError::NoSrv)
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, limit, .. } = self;
        f.debug_struct("Resolver").field("own", own).field("limit", limit).finish_non_exhaustive()
    }
}

/// Why a name has no address now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// Too many lookups are under way: the name service does not answer.
    #[error("32 lookups are under way already: the name service does not answer")]
    Busy,
    /// The name service did not answer in time.
    #[error("the name service did not answer within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The name exists and has no address that this node could call.
    #[error("the name has no address that this node's sockets can call")]
    NoAddress,
    /// The name service said no.
    #[error("the name cannot be resolved")]
    Failed(#[source] io::Error),
    /// The build cannot ask for SRV records.
    #[error("names of DNS SRV need feature `srv`: build with it, or write host:port")]
    NoSrv,
}

/// The longest a lookup may take.
const LOOKUP_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_srv_are_told_from_hosts() {
        for name in ["_quorate._tcp.example.org", "_q._udp.x", "_a._tcp.shop.svc.cluster.local"] {
            assert!(Resolver::is_srv(name), "{name}");
        }
        for name in ["example.org:7946", "_tcp.example.org", "_q._tcp.", "_._tcp.x", "_q._tcp.x:1"]
        {
            assert!(!Resolver::is_srv(name), "{name}");
        }
    }
}
