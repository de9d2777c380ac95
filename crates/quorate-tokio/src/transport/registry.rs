//! Who is connected to us, so that one node has one connection.

use std::collections::BTreeMap;

use quorate_core::{BootEpoch, NodeId};
use quorate_wire::Hello;
use tokio::sync::oneshot;

/// The live inbound connections by node.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: BTreeMap<NodeId, Entry>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    boot: BootEpoch,
    instance: u64,
    advertised: String,
    ticket: Ticket,
    /// Dropping it ends the connection.
    _alive: oneshot::Sender<()>,
}

/// Names one registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

impl Registry {
    /// Registers the connection of whoever said `hello`. An error is the address of the one whose
    /// connection exists and is in the right.
    ///
    /// A process that restarted has a higher boot epoch and replaces its earlier self, whose
    /// connection may not have noticed its end yet. The same epoch of another instance is a second
    /// process with the same name, and the first one stays. The same of both is a process that
    /// dialled again.
    ///
    /// The receiver is told when another connection replaced this one.
    pub(crate) fn register(
        &mut self,
        hello: &Hello,
    ) -> Result<(Ticket, oneshot::Receiver<()>), String> {
        if let Some(known) = self.entries.get(&hello.node) {
            let twin = hello.boot == known.boot && hello.instance != known.instance;
            if hello.boot < known.boot || twin {
                return Err(known.advertised.clone());
            }
        }
        self.next += 1;
        let ticket = Ticket(self.next);
        let (alive, replaced) = oneshot::channel();
        let entry = Entry {
            boot: hello.boot,
            instance: hello.instance,
            advertised: hello.advertised.clone(),
            ticket,
            _alive: alive,
        };
        self.entries.insert(hello.node.clone(), entry);
        Ok((ticket, replaced))
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use oneshot::error::TryRecvError::{Closed, Empty};
    use quorate_core::ClusterId;
    use quorate_wire::Versions;

    use super::*;

    fn hello(boot: u64, instance: u64) -> Hello {
        Hello {
            versions: Versions::SUPPORTED,
            cluster_name: String::new(),
            cluster: ClusterId::NONE,
            node: NodeId::new("a").unwrap(),
            boot: BootEpoch(boot),
            instance,
            advertised: format!("host:{instance}"),
            client: false,
            more: Bytes::new(),
        }
    }

    #[test]
    fn a_later_boot_or_a_second_dial_replaces_and_a_twin_does_not() {
        let mut registry = Registry::default();
        let (first, mut first_replaced) = registry.register(&hello(3, 1)).unwrap();
        assert_eq!(registry.register(&hello(2, 1)).unwrap_err(), "host:1", "an earlier self");
        assert_eq!(registry.register(&hello(3, 2)).unwrap_err(), "host:1", "a twin");
        assert_eq!(first_replaced.try_recv(), Err(Empty));

        let (second, mut second_replaced) = registry.register(&hello(3, 1)).unwrap();
        assert_eq!(first_replaced.try_recv(), Err(Closed));
        registry.release(&hello(3, 1).node, first);
        assert_eq!(second_replaced.try_recv(), Err(Empty), "an old ticket releases nothing");

        let (third, _replaced) = registry.register(&hello(4, 2)).unwrap();
        assert_eq!(second_replaced.try_recv(), Err(Closed));
        registry.release(&hello(3, 1).node, second);
        assert!(registry.register(&hello(3, 1)).is_err());
        registry.release(&hello(3, 1).node, third);
        assert!(registry.register(&hello(3, 1)).is_ok());
    }
}
