//! The addresses of the seed list: who is there, and when to ask again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, NodeId};

use crate::names::Names;

/// One address of the seed list, or a name of it that has none yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Its entry in the list.
    pub name: String,
    /// The address; `None` if the name was never resolved.
    pub address: Option<SocketAddr>,
    /// Who answered there lately, possibly this node itself.
    pub node: Option<NodeId>,
}

/// What is known of one address.
#[derive(Debug)]
pub(crate) struct Contact {
    /// The entry of the list it came from, the first of several.
    name: String,
    /// The number of the last question sent there.
    seq: Option<u32>,
    /// How often it was asked.
    pub(crate) asked: u32,
    /// Who answered last, and when.
    answered: Option<(NodeId, Instant)>,
    /// The pause before the next announce while nobody answers.
    pub(crate) wait: Duration,
}

impl Contact {
    /// Who answered less than `window` ago.
    pub(crate) fn answered(&self, now: Instant, window: Duration) -> Option<&NodeId> {
        self.answered.as_ref().filter(|(_, at)| now.since(*at) < window).map(|(id, _)| id)
    }

    pub(crate) fn forget(&mut self) {
        self.answered = None;
    }
}

/// All addresses of the seed list, each once.
#[derive(Debug)]
pub(crate) struct Contacts {
    names: Vec<String>,
    /// Whether a question may be without an answer.
    waits: bool,
    at: BTreeMap<SocketAddr, Contact>,
}

impl Contacts {
    pub(crate) fn new(seeds: &[String]) -> Self {
        let mut names = seeds.to_vec();
        names.sort_unstable();
        names.dedup();
        Self { names, waits: false, at: BTreeMap::new() }
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Takes over what the names resolve to now; says which addresses are new and which are no
    /// more.
    pub(crate) fn refresh(
        &mut self,
        names: &Names,
        wait: Duration,
    ) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
        let mut wanted = BTreeMap::new();
        for name in &self.names {
            for address in names.addresses(name) {
                wanted.entry(address).or_insert_with(|| name.clone());
            }
        }
        let old: Vec<_> =
            self.at.keys().filter(|address| !wanted.contains_key(address)).copied().collect();
        for address in &old {
            self.at.remove(address);
        }
        let mut new = Vec::new();
        for (address, name) in wanted {
            self.at.entry(address).or_insert_with(|| {
                new.push(address);
                Contact { name, seq: None, asked: 0, answered: None, wait }
            });
        }
        (new, old)
    }

    /// Forgets all that was found, so that it is looked for anew.
    pub(crate) fn clear(&mut self) {
        self.at.clear();
    }

    pub(crate) fn get_mut(&mut self, address: SocketAddr) -> Option<&mut Contact> {
        self.at.get_mut(&address)
    }

    /// Where question `seq` was sent to. O(addresses), O(1) if none waits for an answer.
    pub(crate) fn asked(&self, seq: u32) -> Option<SocketAddr> {
        if !self.waits {
            return None;
        }
        self.at.iter().find(|(_, contact)| contact.seq == Some(seq)).map(|(address, _)| *address)
    }

    /// `address` is asked question `seq`.
    pub(crate) fn ask(&mut self, address: SocketAddr, seq: u32) {
        if let Some(contact) = self.at.get_mut(&address) {
            contact.seq = Some(seq);
            contact.asked = contact.asked.wrapping_add(1);
            self.waits = true;
        }
    }

    /// `id` answered at `address`, if that is one of a seed.
    pub(crate) fn answered(&mut self, now: Instant, address: SocketAddr, id: &NodeId) -> bool {
        let Some(contact) = self.at.get_mut(&address) else { return false };
        contact.answered = Some((id.clone(), now));
        if contact.seq.take().is_some() {
            self.waits = self.at.values().any(|contact| contact.seq.is_some());
        }
        true
    }

    /// One item for each address, and for each name without any.
    pub(crate) fn seeds(&self, names: &Names) -> Vec<Seed> {
        let found = self.at.iter().map(|(address, contact)| Seed {
            name: contact.name.clone(),
            address: Some(*address),
            node: contact.answered.as_ref().map(|(id, _)| id.clone()),
        });
        let lost = self.names.iter().filter(|name| names.addresses(name).is_empty());
        let lost = lost.map(|name| Seed { name: name.clone(), address: None, node: None });
        found.chain(lost).collect()
    }
}
