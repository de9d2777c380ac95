//! Two processes of one name: the earlier one stays if it still answers.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use quorate_core::{BootEpoch, NodeId};
use quorate_wire::{Hello, Refusal, Welcome};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Shared;
use super::framing::{self, FrameReader, Handshake};

/// A process that bears a node's name, as far as it is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) boot: BootEpoch,
    pub(crate) instance: u64,
    /// Where it says it is, `host:port`.
    pub(crate) address: String,
}

/// The nodes whose earlier process is being asked right now.
#[derive(Debug, Default)]
pub(crate) struct Vetting(Mutex<BTreeSet<NodeId>>);

/// Marks a node for as long as it lives.
struct Asking<'a> {
    vetting: &'a Vetting,
    node: &'a NodeId,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.vetting.0.lock().remove(self.node);
    }
}

impl Shared {
    /// Whether a later process of a node may take the place of an earlier one that is known: only
    /// if that does not answer any more where it was.
    ///
    /// A restart is such a later process, and the connection of its earlier self may not have
    /// noticed its end yet. A copied data folder is one too.
    pub(crate) async fn vet(&self, hello: &Hello) -> Result<(), Refusal> {
        let earlier: Vec<Claim> =
            self.claims(&hello.node).into_iter().filter(|claim| claim.boot < hello.boot).collect();
        if earlier.is_empty() {
            return Ok(());
        }
        // One at a time for each node: whoever claims to be it must not make us dial without end.
        if !self.vetting.0.lock().insert(hello.node.clone()) {
            let text = "an earlier start of this node is being looked for: dial again".to_owned();
            return Err(Refusal::Other { text });
        }
        let _asking = Asking { vetting: &self.vetting, node: &hello.node };
        for claim in earlier {
            if self.is_there(&hello.node, &claim).await {
                let (node, address) = (hello.node.clone(), claim.address);
                return Err(Refusal::DuplicateId { node, address });
            }
        }
        Ok(())
    }

    /// The processes of `node` that this one is connected with: they with us, and we with them.
    fn claims(&self, node: &NodeId) -> Vec<Claim> {
        let inbound = self.inbound.lock().claim(node);
        let outbound = self.peers.lock().get(node).and_then(|peer| peer.answered.lock().clone());
        let mut claims: Vec<Claim> = inbound.into_iter().chain(outbound).collect();
        claims.dedup_by(|one, other| {
            (one.boot, one.instance, &one.address) == (other.boot, other.instance, &other.address)
        });
        claims
    }

    /// Whether that very process answers at its address.
    async fn is_there(&self, node: &NodeId, claim: &Claim) -> bool {
        let Ok(Ok(candidates)) = timeout(CONNECT_MAX, lookup_host(&claim.address)).await else {
            return false;
        };
        for candidate in candidates {
            let Ok(Ok(stream)) = timeout(CONNECT_MAX, TcpStream::connect(candidate)).await else {
                continue;
            };
            let answer = timeout(ANSWER_MAX, self.who(stream)).await.ok().flatten();
            let same = |answer: &Welcome| {
                answer.node == *node
                    && answer.boot == claim.boot
                    && answer.instance == claim.instance
            };
            if answer.as_ref().is_some_and(same) {
                return true;
            }
        }
        false
    }

    /// Asks who listens at the other end.
    async fn who(&self, stream: TcpStream) -> Option<Welcome> {
        let hello = Hello { client: true, more: Bytes::from_static(WHO), ..framing::hello(self) };
        let frame = Handshake::Hello(&hello).frame(hello.cluster)?;
        let (read, mut write) = stream.into_split();
        write.write_all(&frame).await.ok()?;
        FrameReader::new(read).next_answer(self).await.ok()?.ok()
    }
}

/// Whether a hello only asks who is here. It is answered, and takes no place.
pub(crate) fn asks_who(hello: &Hello) -> bool {
    hello.client && hello.more == WHO
}

/// In a hello's additions.
const WHO: &[u8] = b"who";

/// How long a host may take to say that somebody listens: three round trips of any network, lost
/// packets included.
const CONNECT_MAX: Duration = Duration::from_millis(500);

/// How long a process that listens may take to answer: longer, because it is there, and may only be
/// busy.
const ANSWER_MAX: Duration = Duration::from_secs(2);
