use std::fmt;

/// How much work a check may do before it answers `Undecided`.
///
/// The step limit is deterministic: the same history stops at the same place on every machine. The
/// optional callback is for limits that are not (a deadline, a key press); this crate reads no
/// clock. A budget may be lent to several checks in turn, which then share it.
pub struct Budget<'a> {
    limit: u64,
    spent: u64,
    stop: Option<&'a mut dyn FnMut() -> bool>,
}

impl Default for Budget<'_> {
    /// Five million steps: about a second, and some hundred megabytes at worst.
    fn default() -> Self {
        Self::steps(5_000_000)
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("limit", &self.limit)
            .field("spent", &self.spent)
            .field("stop", &self.stop.is_some())
            .finish()
    }
}

impl<'a> Budget<'a> {
    /// Allows about `limit` steps; a step is one application of the model or one comparison with
    /// a remembered configuration. Memory grows with steps, at most about 100 bytes for each (more
    /// if states are large), so this bounds both.
    pub const fn steps(limit: u64) -> Self {
        Self { limit, spent: 0, stop: None }
    }

    /// Also stops once `stop` returns true. It is asked about every thousand steps.
    #[must_use]
    pub fn stop_when(mut self, stop: &'a mut dyn FnMut() -> bool) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Steps used so far, by all checks this budget was lent to.
    pub const fn spent(&self) -> u64 {
        self.spent
    }

    pub(crate) const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.spent)
    }

    pub(crate) const fn spend(&mut self, steps: u64) {
        self.spent = self.spent.saturating_add(steps);
    }

    pub(crate) fn stopped(&mut self) -> bool {
        self.stop.as_mut().is_some_and(|stop| stop())
    }
}
