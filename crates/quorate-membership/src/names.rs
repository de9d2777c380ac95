//! Where a `host:port` is: what it spells, or what it was resolved to last.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use quorate_core::{Instant, Outbox};

use crate::Output;

/// What names were resolved to.
#[derive(Debug)]
pub(crate) struct Names {
    every: Duration,
    /// The first pause before a name without any address is asked for again.
    soon: Duration,
    names_max: usize,
    known: BTreeMap<String, Name>,
}

#[derive(Debug)]
struct Name {
    addresses: Vec<SocketAddr>,
    asked_at: Option<Instant>,
    /// The pause before it is asked for again.
    wait: Duration,
}

impl Names {
    pub(crate) fn new(every: Duration, soon: Duration, names_max: usize) -> Self {
        Self { every, soon: soon.min(every), names_max, known: BTreeMap::new() }
    }

    /// Where `text` is, if that is known. A name that was not asked for lately is asked for again.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        text: &str,
        out: &mut Outbox<Output>,
    ) -> Option<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        self.ask(now, text, out);
        self.addresses(text).first().copied()
    }

    /// Asks for a name, unless it was asked for lately; says after which pause it may be again. One
    /// that has no address yet is asked for sooner, at doubling pauses.
    pub(crate) fn ask(&mut self, now: Instant, text: &str, out: &mut Outbox<Output>) -> Duration {
        if self.known.len() >= self.names_max && !self.known.contains_key(text) {
            // Whatever is still needed is asked for again.
            self.known.clear();
        }
        let (every, soon) = (self.every, self.soon);
        let name = self.known.entry(text.to_owned()).or_insert_with(|| Name {
            addresses: Vec::new(),
            asked_at: None,
            wait: soon,
        });
        if name.asked_at.is_none_or(|at| now.since(at) >= name.wait) {
            name.wait = match name.asked_at {
                Some(_) if name.addresses.is_empty() => (name.wait * 2).min(every),
                None => soon,
                Some(_) => every,
            };
            name.asked_at = Some(now);
            out.push(Output::Resolve { name: text.to_owned() });
        }
        name.wait
    }

    /// All the addresses of `text`.
    pub(crate) fn addresses(&self, text: &str) -> Vec<SocketAddr> {
        match text.parse() {
            Ok(address) => vec![address],
            Err(_) => self.known.get(text).map_or_else(Vec::new, |name| name.addresses.clone()),
        }
    }

    /// Takes an answer. A failed one leaves what was known: a name service that is down is no
    /// reason to lose a peer that is up.
    pub(crate) fn resolved(&mut self, text: &str, mut addresses: Vec<SocketAddr>) {
        addresses.truncate(ADDRESSES_MAX);
        addresses.sort_unstable();
        addresses.dedup();
        if let Some(name) = self.known.get_mut(text).filter(|_| !addresses.is_empty()) {
            name.addresses = addresses;
            name.wait = self.every;
        }
    }
}

/// The most addresses that are kept of one name.
const ADDRESSES_MAX: usize = 16;
