//! SRV records of DNS: hosts with their ports.

use std::io;
use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use tokio::task::JoinSet;

use super::ResolveError;

/// Asks for SRV records; caches them for as long as they say.
#[derive(Clone)]
pub(super) struct Srv {
    /// An error is told to whoever asks: the system may have no configuration of DNS.
    resolver: Result<TokioResolver, String>,
}

impl Srv {
    /// By the name servers of the system.
    pub(super) fn system() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            builder.build()
        });
        Self { resolver: built.map_err(|error| error.to_string()) }
    }

    /// By these name servers.
    pub(super) fn of(servers: &[SocketAddr]) -> Self {
        let servers = servers.iter().map(|server| {
            let mut connection = ConnectionConfig::udp();
            connection.port = server.port();
            NameServerConfig::new(server.ip(), true, vec![connection])
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
        let provider = TokioRuntimeProvider::default();
        let mut builder = TokioResolver::builder_with_config(config, provider);
        builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Self { resolver: builder.build().map_err(|error| error.to_string()) }
    }

    /// The addresses of all hosts that the records of `name` name, each with its port. A host that
    /// has none now is left out, unless all are like that.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let resolver = self.resolver.as_ref().map_err(failed)?;
        let records = resolver.srv_lookup(name).await.map_err(failed)?;
        let mut asked = JoinSet::new();
        for record in records.answers().iter().take(HOSTS_MAX) {
            let RData::SRV(host) = &record.data else { continue };
            let (resolver, target, port) = (resolver.clone(), host.target.clone(), host.port);
            asked.spawn(async move {
                let found = resolver.lookup_ip(target).await?;
                Ok::<_, hickory_resolver::net::NetError>(
                    found.iter().map(|ip| SocketAddr::new(ip, port)).collect::<Vec<_>>(),
                )
            });
        }
        let (mut addresses, mut error) = (Vec::new(), None);
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(found)) => addresses.extend(found),
                Ok(Err(why)) => error = Some(failed(why)),
                Err(why) => error = Some(failed(why)),
            }
        }
        error.filter(|_| addresses.is_empty()).map_or(Ok(addresses), Err)
    }
}

fn failed(error: impl ToString) -> ResolveError {
    ResolveError::Failed(io::Error::other(error.to_string()))
}

/// The most hosts of one name that are looked up.
const HOSTS_MAX: usize = 32;
