//! Who is connected to us, so that one node has one connection.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::{Instant, NodeId};
use quorate_wire::Hello;
use tokio::sync::oneshot;

use super::claims::Claim;

/// The live inbound connections by node.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: BTreeMap<NodeId, Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    claim: Claim,
    /// When the first connection of this process was made.
    since: Instant,
    ticket: Ticket,
    /// Dropping it ends the connection.
    _alive: oneshot::Sender<()>,
}

/// Names one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// Why there is no place for another process of a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The one at this address is in the right; the other one must stop.
    For(String),
    /// A later one came, so lately that others may refuse it yet; and then it stops itself.
    JustNow,
}

impl Registry {
    /// Registers the connection of whoever said `hello`.
    ///
    /// A process of a higher boot epoch replaces its earlier self: the caller has made sure that
    /// that one answers no more, and its connection only has not noticed its end yet. The same
    /// epoch of another instance is a second process with the same name, and the first one stays.
    /// The same of both is a process that dialled again.
    ///
    /// The receiver is told when another connection replaced this one.
    pub(crate) fn register(
        &mut self,
        hello: &Hello,
        now: Instant,
    ) -> Result<(Ticket, oneshot::Receiver<()>), Taken> {
        let mut since = now;
        if let Some(Entry { claim, since: begun, .. }) = self.entries.get(&hello.node) {
            let same = hello.boot == claim.boot && hello.instance == claim.instance;
            if hello.boot < claim.boot && now.since(*begun) < SETTLED_AFTER {
                return Err(Taken::JustNow);
            }
            if hello.boot <= claim.boot && !same {
                return Err(Taken::For(claim.address.clone()));
            }
            if same {
                since = *begun;
            }
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        let (alive, replaced) = oneshot::channel();
        let (boot, instance, address) = (hello.boot, hello.instance, hello.advertised.clone());
        let claim = Claim { boot, instance, address };
        let entry = Entry { claim, since, ticket, _alive: alive };
        self.entries.insert(hello.node.clone(), entry);
        Ok((ticket, replaced))
    }

    /// The process of `node` that is connected.
    pub(crate) fn claim(&self, node: &NodeId) -> Option<Claim> {
        self.entries.get(node).map(|entry| entry.claim.clone())
    }

    /// Whether there are `most` connections, and none that one of `node` would replace.
    pub(crate) fn is_full_for(&self, node: &NodeId, most: usize) -> bool {
        self.entries.len() >= most && !self.entries.contains_key(node)
    }

    /// Forgets a connection that ended, unless another one has replaced it.
    pub(crate) fn release(&mut self, node: &NodeId, ticket: Ticket) {
        if self.entries.get(node).is_some_and(|entry| entry.ticket == ticket) {
            self.entries.remove(node);
        }
    }
}

/// How long a process of a higher boot epoch is connected until it is in the right, whatever others
/// say: those who know of an earlier one that lives have refused it by then.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oneshot::error::TryRecvError::{Closed, Empty};
    use quorate_core::{BootEpoch, ClusterId};
    use quorate_wire::Versions;

    use super::*;

    fn hello(boot: u64, instance: u64) -> Hello {
        Hello {
            versions: Versions::SUPPORTED,
            cluster_name: String::new(),
            cluster: ClusterId::NONE,
            node: NodeId::new("a").unwrap(),
            boot: BootEpoch(boot),
            disk: quorate_core::DiskId::NONE,
            lease: quorate_core::LeaseTerms::NONE,
            instance,
            advertised: format!("host:{instance}"),
            client: false,
            more: Bytes::new(),
        }
    }

    #[test]
    fn a_later_boot_or_a_second_dial_replaces_and_a_twin_does_not() {
        let mut registry = Registry::default();
        let now = Instant::ZERO;
        let taken = || Err(Taken::For("host:1".to_owned()));
        let refused = |result: Result<(Ticket, _), Taken>| result.map(|(ticket, _)| ticket);
        let (first, mut first_replaced) = registry.register(&hello(3, 1), now).unwrap();
        assert_eq!(refused(registry.register(&hello(3, 2), now)), taken(), "a twin");
        assert_eq!(first_replaced.try_recv(), Err(Empty));

        let (second, mut second_replaced) = registry.register(&hello(3, 1), now).unwrap();
        assert_eq!(first_replaced.try_recv(), Err(Closed));
        registry.release(&hello(3, 1).node, first);
        assert_eq!(second_replaced.try_recv(), Err(Empty), "an old ticket releases nothing");

        let (third, _replaced) = registry.register(&hello(4, 2), now).unwrap();
        assert_eq!(second_replaced.try_recv(), Err(Closed));
        registry.release(&hello(3, 1).node, second);
        assert!(registry.register(&hello(3, 1), now).is_err());
        registry.release(&hello(3, 1).node, third);
        assert!(registry.register(&hello(3, 1), now).is_ok());
    }

    #[test]
    fn an_earlier_self_must_stop_only_for_one_that_stayed() {
        let mut registry = Registry::default();
        let (begun, settled) = (Instant::ZERO, Instant::ZERO + SETTLED_AFTER);
        let _later = registry.register(&hello(4, 1), begun).unwrap();
        let mut earlier = |now| registry.register(&hello(3, 2), now).map(drop);
        assert_eq!(earlier(begun), Err(Taken::JustNow));
        assert_eq!(earlier(settled), Err(Taken::For("host:1".to_owned())));
        // Who dials again is no other.
        let _again = registry.register(&hello(4, 1), settled).unwrap();
        let mut earlier = |now| registry.register(&hello(3, 2), now).map(drop);
        assert_eq!(earlier(settled), Err(Taken::For("host:1".to_owned())));
    }
}
