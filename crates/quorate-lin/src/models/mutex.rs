use crate::Model;

/// A lock that one process holds until that process releases it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mutex;

/// What is asked of a [`Mutex`]; the number is the owner. It answers nothing: a call that could not
/// be granted is recorded as failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MutexCall {
    /// Takes the lock, which must be free.
    Acquire(u64),
    /// Gives it back; only its owner can.
    Release(u64),
}

impl Model for Mutex {
    type Input = MutexCall;
    type Output = ();
    type State = Option<u64>;

    fn initial(&self) -> Option<u64> {
        None
    }

    fn step(
        &self,
        holder: &Option<u64>,
        input: &MutexCall,
        output: Option<&()>,
    ) -> Option<Option<u64>> {
        match (input, holder) {
            (MutexCall::Acquire(owner), None) => Some(Some(*owner)),
            (MutexCall::Release(owner), Some(held)) if owner == held => Some(None),
            _ => output.is_none().then_some(*holder),
        }
    }

    fn may_matter(&self, earlier: &MutexCall, input: &MutexCall, _output: Option<&()>) -> bool {
        match (earlier, input) {
            (MutexCall::Acquire(owner), MutexCall::Release(other)) => owner == other,
            (MutexCall::Release(_), MutexCall::Acquire(_)) => true,
            (MutexCall::Acquire(_), MutexCall::Acquire(_))
            | (MutexCall::Release(_), MutexCall::Release(_)) => false,
        }
    }

    fn needs(&self, input: &MutexCall, _output: Option<&()>) -> Option<Option<u64>> {
        Some(match input {
            MutexCall::Acquire(_) => None,
            MutexCall::Release(owner) => Some(*owner),
        })
    }

    fn leaves(&self, input: &MutexCall, _output: Option<&()>) -> Option<Option<u64>> {
        Some(match input {
            MutexCall::Acquire(owner) => Some(*owner),
            MutexCall::Release(_) => None,
        })
    }

    fn describe(&self, input: &MutexCall, _output: Option<&()>) -> String {
        match input {
            MutexCall::Acquire(owner) => format!("acquire by {owner}"),
            MutexCall::Release(owner) => format!("release by {owner}"),
        }
    }

    fn describe_state(&self, holder: &Option<u64>) -> String {
        holder.map_or_else(|| "free".to_owned(), |owner| format!("held by {owner}"))
    }
}
