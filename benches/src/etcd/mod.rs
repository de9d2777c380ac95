//! etcd: real processes, and a client of their native protocol.

mod client;
mod cluster;
mod messages;

pub(crate) use client::EtcdConnection;
pub(crate) use cluster::{EtcdCluster, binary};
