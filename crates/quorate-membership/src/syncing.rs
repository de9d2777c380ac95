//! Comparing whole views: what gossip missed, and what a joiner has to learn.
//!
//! Every ping and answer carries a hash of the view. Where it differs for longer than news take,
//! the hashes of 64 parts are sent; the answer is pages of those parts that differ, and a request
//! for the same parts in return.

use quorate_core::{Instant, NodeId, Outbox, mutant};

use crate::membership::Membership;
use crate::packet::{Body, Packet, Sum};
use crate::receiving::Letter;
use crate::view::part_of;
use crate::{Channel, Output};

/// Since when this view is not that of most others.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    since: Option<Instant>,
    /// How many more differed than were equal, up to [`Self::MOST`].
    weight: u8,
}

impl Difference {
    /// So many equal views in a row end any difference. One is too few: two nodes that missed the
    /// same and probe each other agree each period, and would never ask anybody else.
    const MOST: u8 = 2;

    pub(crate) const fn since(&self) -> Option<Instant> {
        self.since
    }

    fn met(&mut self, now: Instant) -> Instant {
        self.weight = (self.weight + 1).min(Self::MOST);
        *self.since.get_or_insert(now)
    }

    const fn agreed(&mut self) {
        self.weight = self.weight.saturating_sub(1);
        if self.weight == 0 {
            self.since = None;
        }
    }
}

impl Membership {
    /// Compares this view with the one whose hash came from `from`. An `urgent` difference is one
    /// that time will not heal: somebody is new.
    pub(crate) fn compare(
        &mut self,
        now: Instant,
        letter: &Letter,
        urgent: bool,
        out: &mut Outbox<Output>,
    ) {
        if letter.view == self.view.hash() || mutant!("views-not-compared") {
            self.counters.views_equal += 1;
            self.difference.agreed();
            return;
        }
        self.counters.views_differ += 1;
        let since = self.difference.met(now);
        let pause = self.config.probe_interval;
        // News under way make views differ for a moment, everywhere at once.
        let settled = urgent || now.since(since) >= pause * 2;
        let rested = self.compared_at.is_none_or(|at| now.since(at) >= pause);
        if settled && rested && self.leaving.is_none() {
            self.compared_at = Some(now);
            self.counters.syncs += 1;
            let parts = self.view.parts().map(Sum).to_vec();
            self.send(now, letter.from, letter.over, Body::Digest { parts }, &[], out);
        }
    }

    /// Answers a digest with what differs, and asks for the same.
    pub(crate) fn show_differences(
        &mut self,
        now: Instant,
        letter: &Letter,
        theirs: &[Sum],
        out: &mut Outbox<Output>,
    ) {
        let differ = self.view.parts().iter().zip(theirs).enumerate();
        let parts = differ
            .fold(0, |parts, (part, (ours, theirs))| parts | u64::from(*ours != theirs.0) << part);
        if parts != 0 && self.leaving.is_none() && self.show(now, letter, parts, out) {
            self.pull(now, letter, parts, out);
        }
    }

    /// Asks for `parts` of a view.
    pub(crate) fn pull(
        &mut self,
        now: Instant,
        letter: &Letter,
        parts: u64,
        out: &mut Outbox<Output>,
    ) {
        if parts != 0 && self.leaving.is_none() {
            self.send(now, letter.from, letter.over, Body::Pull { parts }, &[], out);
        }
    }

    /// Sends these parts of the view in pages, or the first of them if that would be too much at
    /// once; not too often to the same node. O(members).
    ///
    /// Many bytes for few, so they go where the member says that it is: whoever forges the source
    /// of a datagram must not turn them on others. A stranger gets one page.
    pub(crate) fn show(
        &mut self,
        now: Instant,
        letter: &Letter,
        parts: u64,
        out: &mut Outbox<Output>,
    ) -> bool {
        let sender = &letter.sender;
        let member = self.view.get(sender).map(|peer| peer.at);
        let (to, pages_max) = match (letter.over, member) {
            (Channel::Datagram, None) => (letter.from, 1),
            (Channel::Datagram, Some(Some(at))) => (at, PAGES_MAX),
            (Channel::Datagram, Some(None)) | (Channel::Stream, _) => (letter.from, PAGES_MAX),
        };
        let first = parts.trailing_zeros() as usize;
        // One that comes back for what was left asks from a later part on.
        if parts == 0 || !self.answered.allows(now, (sender.clone(), first)) {
            return false;
        }
        let mut by_part: Vec<(usize, NodeId)> = (self.view.iter())
            .map(|(id, _)| (part_of(id), id.clone()))
            .filter(|(part, _)| parts >> part & 1 == 1)
            .collect();
        by_part.sort_unstable();
        let mut left = 0;
        let mut page = self.packet(Body::Page { left });
        let (mut pages, empty) = (0, page.bytes());
        let mut bytes = empty;
        for (part, id) in by_part {
            let Some(update) = self.update(now, &id) else { continue };
            let more = update.bytes();
            if bytes + more > PAGE_BYTES {
                if pages + 1 >= pages_max && (part > first || pages_max == 1) {
                    // This part is cut and comes again, with those behind it.
                    left = parts & (u64::MAX << part);
                    break;
                }
                let full = std::mem::replace(&mut page, self.packet(Body::Page { left }));
                pages += 1;
                bytes = empty;
                self.emit(to, letter.over, full, out);
            }
            bytes += more;
            page.updates.push(update);
        }
        page.body = Body::Page { left };
        self.counters.pages += pages + 1;
        self.emit(to, letter.over, page, out);
        true
    }
}

/// The most bytes of a page: room is kept for the parts that are left.
const PAGE_BYTES: usize = Packet::BYTES_MAX - 16;

/// The most pages sent for one question: about 80 KiB, as much as a socket takes at once.
const PAGES_MAX: u64 = 64;
