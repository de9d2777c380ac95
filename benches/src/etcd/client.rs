//! A client of etcd's native protocol.

use std::time::Duration;

use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::messages::{
    Compare, Operation, Put, PutAnswer, Range, RangeAnswer, Request, Status, StatusAnswer, Txn,
    TxnAnswer,
};
use crate::load::Connection;

const PUT: PathAndQuery = PathAndQuery::from_static("/etcdserverpb.KV/Put");
const RANGE: PathAndQuery = PathAndQuery::from_static("/etcdserverpb.KV/Range");
const TXN: PathAndQuery = PathAndQuery::from_static("/etcdserverpb.KV/Txn");
const STATUS: PathAndQuery = PathAndQuery::from_static("/etcdserverpb.Maintenance/Status");

/// A client of one etcd node. Clones share the connection.
#[derive(Debug, Clone)]
pub(crate) struct EtcdConnection(Grpc<Channel>);

impl EtcdConnection {
    /// Connects to a node at `address`, `host:port`.
    pub(crate) async fn open(address: &str) -> Result<Self, String> {
        let wrong = |error: tonic::transport::Error| format!("etcd at {address}: {error}");
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(wrong)?
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(2));
        Ok(Self(Grpc::new(endpoint.connect().await.map_err(wrong)?)))
    }

    async fn call<Q, A>(&mut self, path: PathAndQuery, request: Q) -> Result<A, String>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let failed = |what: &dyn std::fmt::Display| format!("etcd: {what}");
        self.0.ready().await.map_err(|error| failed(&error))?;
        let codec = ProstCodec::<Q, A>::default();
        let answer = self.0.unary(tonic::Request::new(request), path, codec).await;
        answer.map(tonic::Response::into_inner).map_err(|status| failed(&status))
    }

    pub(crate) async fn status(&mut self) -> Result<StatusAnswer, String> {
        self.call(STATUS, Status {}).await
    }
}

impl Connection for EtcdConnection {
    async fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        let _: PutAnswer = self.call(PUT, Put { key: key.into(), value: value.into() }).await?;
        Ok(())
    }

    async fn get(&mut self, key: &str) -> Result<(), String> {
        let answer: RangeAnswer = self.call(RANGE, Range { key: key.into() }).await?;
        match answer.items.as_slice() {
            [item] if item.value.len() == crate::load::VALUE_BYTES => Ok(()),
            items => Err(format!("etcd found {} items", items.len())),
        }
    }

    async fn swap(&mut self, key: &str, old: &str, new: &str) -> Result<(), String> {
        let compare = Compare { target: Compare::VALUE, key: key.into(), value: old.into() };
        let put = Request::Put(Put { key: key.into(), value: new.into() });
        let success = vec![Operation { request: Some(put) }];
        let answer: TxnAnswer = self.call(TXN, Txn { compare: vec![compare], success }).await?;
        if answer.succeeded { Ok(()) } else { Err("etcd did not swap".to_owned()) }
    }
}
