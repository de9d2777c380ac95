//! Handing the lead over, the log's half: nothing new, until the heir has everything.

use quorate_core::{LogView as _, NodeId, Outbox, mutant};

use crate::io::Output;
use crate::peer::Peer;
use crate::replicator::Replicator;

impl Replicator {
    /// Whether the lead is being handed over, so that nothing can be proposed.
    #[must_use]
    pub fn is_handing_over(&self) -> bool {
        self.leading.as_ref().is_some_and(|leading| leading.handing.is_some())
    }

    /// Appends nothing from now on but the end of the lease: an heir that lacks an entry is refused.
    pub(crate) fn hand_over(&mut self, to: NodeId) {
        let Some(leading) = &mut self.leading else { return };
        leading.handing = Some((to, false));
        self.flush_at = Some(self.now);
        self.end_lease();
    }

    /// The hand-over failed: takes proposals again, and goes on with what waited.
    pub(crate) fn keep(&mut self) {
        if let Some(leading) = self.leading.as_mut().filter(|_| !mutant!("never-leads-on")) {
            leading.handing = None;
            self.flush_at = Some(self.now);
        }
    }

    /// Says once that the heir has everything, and that all of it is committed.
    pub(crate) fn look_at_heir(&mut self, out: &mut Outbox<Output>) {
        let (tip, commit) = (self.log.tip().index, self.log.commit());
        let Some(leading) = &mut self.leading else { return };
        let Some((heir, false)) = &leading.handing else { return };
        let heir = heir.clone();
        let has_all = leading.peer(&heir).map(|peer| Peer::matched(peer)) == Some(tip);
        if (has_all && commit == tip) || mutant!("hands-over-to-one-that-lags") {
            leading.handing = Some((heir.clone(), true));
            out.push(Output::CaughtUp { peer: heir });
        }
    }
}
