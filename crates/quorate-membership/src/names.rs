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
    /// The first pause after a failure.
    soon: Duration,
    names_max: usize,
    known: BTreeMap<String, Name>,
}

#[derive(Debug, Default)]
struct Name {
    addresses: Vec<SocketAddr>,
    asked_at: Option<Instant>,
    /// How often it was asked for since it was last resolved.
    tries: u32,
}

impl Names {
    pub(crate) const fn new(every: Duration, soon: Duration, names_max: usize) -> Self {
        Self { every, soon, names_max, known: BTreeMap::new() }
    }

    /// How long after it was asked for a name is asked for again: soon while it has no address, as
    /// nobody can be found under it until then, less and less often if that goes on.
    pub(crate) fn pause(&self, text: &str) -> Duration {
        let unknown = self.known.get(text).filter(|name| name.addresses.is_empty());
        unknown.map_or(self.every, |name| {
            let doubled = 1 << name.tries.saturating_sub(1).min(16);
            self.soon.saturating_mul(doubled).min(self.every)
        })
    }

    /// Where `text` is, if that is known: the `turn`th of its addresses, and around. A name that was
    /// not asked for lately is asked for again.
    pub(crate) fn find(
        &mut self,
        now: Instant,
        text: &str,
        turn: usize,
        out: &mut Outbox<Output>,
    ) -> Option<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Some(address);
        }
        self.ask(now, text, out);
        let known = &self.known.get(text)?.addresses;
        known.get(turn % known.len().max(1)).copied()
    }

    /// Asks for a name, unless it was asked for lately.
    pub(crate) fn ask(&mut self, now: Instant, text: &str, out: &mut Outbox<Output>) {
        if self.known.len() >= self.names_max && !self.known.contains_key(text) {
            // Whatever is still needed is asked for again.
            self.known.clear();
        }
        let pause = self.pause(text);
        let name = self.known.entry(text.to_owned()).or_default();
        if name.asked_at.is_none_or(|at| now.since(at) >= pause) {
            name.asked_at = Some(now);
            name.tries = name.tries.saturating_add(1);
            out.push(Output::Resolve { name: text.to_owned() });
        }
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
            name.tries = 0;
        }
    }
}

/// The most addresses that are kept of one name.
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_an_address_is_asked_for_soon_and_then_less_often() {
        let (every, soon) = (Duration::from_secs(10), Duration::from_secs(1));
        let mut names = Names::new(every, soon, 8);
        let asked_at = |names: &mut Names, from: u64, to: u64| -> Vec<u64> {
            let asks = |second: &u64| {
                let mut out = Outbox::new();
                names.ask(Instant::from_millis(second * 1_000), "b.example:1", &mut out);
                !out.is_empty()
            };
            (from..to).filter(asks).collect()
        };
        assert_eq!(asked_at(&mut names, 0, 40), [0, 1, 3, 7, 15, 25, 35]);
        let address = SocketAddr::from(([10, 0, 0, 1], 1));
        names.resolved("b.example:1", vec![address]);
        assert_eq!(asked_at(&mut names, 40, 60), [45, 55], "a known one is looked up now and then");
        names.resolved("b.example:1", Vec::new());
        assert_eq!(names.addresses("b.example:1"), [address], "a failed lookup takes nothing away");
    }
}
