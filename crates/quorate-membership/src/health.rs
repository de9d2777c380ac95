//! How well this node itself is, before it judges others.

use std::time::Duration;

use quorate_core::{Instant, NodeId};

/// Lifeguard's local health multiplier (Dadgar et al. 2018, section IV.A), and whether anybody is
/// heard at all.
#[derive(Debug)]
pub(crate) struct Health {
    /// 0 is well, 7 is worst.
    score: u32,
    /// When anybody was heard.
    heard_at: Option<Instant>,
    /// When it went on after it had stalled, if nobody was heard since.
    stalled_at: Option<Instant>,
    /// Who was heard last.
    heard: Option<NodeId>,
}

impl Health {
    pub(crate) const fn new() -> Self {
        Self { score: 0, heard_at: None, stalled_at: None, heard: None }
    }

    /// By how much this node stretches its patience: 1 to 8.
    pub(crate) const fn multiplier(&self) -> u32 {
        self.score + 1
    }

    pub(crate) const fn better(&mut self) {
        self.score = self.score.saturating_sub(1);
    }

    pub(crate) fn worse(&mut self) {
        self.score = (self.score + 1).min(WORST);
    }

    pub(crate) fn heard(&mut self, now: Instant, sender: &NodeId) {
        self.heard_at = Some(now);
        self.heard = Some(sender.clone());
    }

    /// Who was heard last: most likely to answer if anybody does.
    pub(crate) const fn heard_last(&self) -> Option<&NodeId> {
        self.heard.as_ref()
    }

    /// For how long nobody was heard, a stall left out; none if that is not known.
    pub(crate) fn silence(&self, now: Instant) -> Duration {
        self.heard_at.or(self.stalled_at).map_or(Duration::ZERO, |at| now.since(at))
    }

    /// It was stalled: whatever it did not hear says nothing.
    pub(crate) fn stalled(&mut self, now: Instant) {
        (self.heard_at, self.stalled_at) = (None, Some(now));
        self.worse();
    }

    /// Whether nobody was heard for `window`. Then the silence of all others is more likely this
    /// node's own deafness.
    pub(crate) fn is_deaf(&self, now: Instant, window: Duration) -> bool {
        self.heard_at.is_none_or(|at| now.since(at) >= window)
    }
}

const WORST: u32 = 7;
