//! Checks the laws of [`Machine`] over a script.

use std::fmt::Debug;

use crate::{Instant, Machine, Outbox};

/// A law that a machine broke, and where in the script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LawBroken {
    /// Two equal machines answered one script differently.
    #[error("determinism: step {step} answered {first} and then {second}")]
    Determinism {
        /// The step of the script.
        step: usize,
        /// The outputs of the first machine.
        first: String,
        /// The outputs of the second.
        second: String,
    },
    /// A wake before the deadline had an output or moved the deadline.
    #[error("patience: step {step} woke before {deadline} and changed something: {outputs}")]
    Patience {
        /// The step of the script.
        step: usize,
        /// When a wake was wanted.
        deadline: Instant,
        /// What the early wake put out.
        outputs: String,
    },
    /// A deadline was still due after waking for it.
    #[error("progress: step {step} woke at {now} and still wants to wake at {deadline}")]
    Progress {
        /// The step of the script.
        step: usize,
        /// When the machine was woken.
        now: Instant,
        /// The deadline after that.
        deadline: Instant,
    },
}

/// Runs `script` on two machines made by `make` and checks determinism, patience and progress.
///
/// Each step lets time pass to its moment, waking the machine at every deadline on the way, then
/// applies its input. The steps must be in order of time (law 1).
///
/// # Errors
///
/// The first law broken.
///
/// # Panics
///
/// If the script goes back in time, or the machine asks for a million wakes between two steps.
pub fn check_laws<M>(
    mut make: impl FnMut() -> M,
    script: impl IntoIterator<Item = (Instant, M::Input)>,
) -> Result<(), LawBroken>
where
    M: Machine,
    M::Input: Clone,
    M::Output: Debug,
{
    let (mut first, mut second) = (make(), make());
    let mut last = Instant::ZERO;
    for (step, (now, input)) in script.into_iter().enumerate() {
        assert!(now >= last, "a script never goes back in time");
        let a = advance(&mut first, step, now, input.clone(), true)?;
        // Only the first machine is woken early, so that an effect of patience shows as a
        // difference as well.
        let b = advance(&mut second, step, now, input, false)?;
        if a != b {
            return Err(LawBroken::Determinism { step, first: a, second: b });
        }
        last = now;
    }
    Ok(())
}

fn advance<M>(
    machine: &mut M,
    step: usize,
    now: Instant,
    input: M::Input,
    early: bool,
) -> Result<String, LawBroken>
where
    M: Machine,
    M::Output: Debug,
{
    let mut out = Outbox::new();
    let mut transcript = String::new();
    for _ in 0..1_000_000 {
        let Some(due) = machine.deadline().filter(|due| *due <= now) else { break };
        machine.wake(due, &mut out);
        transcript.push_str(&format!("{due} {:?}\n", out.drain().collect::<Vec<_>>()));
        if let Some(deadline) = machine.deadline().filter(|next| *next <= due) {
            return Err(LawBroken::Progress { step, now: due, deadline });
        }
    }
    assert!(machine.deadline().is_none_or(|due| due > now), "a million wakes without progress");
    if early && let Some(deadline) = machine.deadline() {
        machine.wake(now, &mut out);
        let outputs: Vec<_> = out.drain().collect();
        if !outputs.is_empty() || machine.deadline() != Some(deadline) {
            let outputs = format!("{outputs:?}");
            return Err(LawBroken::Patience { step, deadline, outputs });
        }
    }
    machine.handle(now, input, &mut out);
    transcript.push_str(&format!("{now} {:?}\n", out.drain().collect::<Vec<_>>()));
    Ok(transcript)
}
