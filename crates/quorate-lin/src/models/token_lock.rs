use crate::Model;

/// A lock whose every grant carries a fencing token larger than all before (L1 of quorate).
///
/// With expiry, a grant may end silently at any time, so a lock that was never released may be
/// granted again; what remains to check is that tokens increase and that a release which says it
/// released found its own grant. Without expiry there is also only one grant at a time.
#[derive(Clone, Copy, Debug)]
pub struct TokenLock {
    expires: bool,
}

/// What is asked of a [`TokenLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenCall {
    /// Takes the lock.
    Acquire,
    /// Gives back the grant with this token.
    Release(u64),
}

/// What a [`TokenLock`] answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// To an acquire: granted, with this token.
    Granted(u64),
    /// To an acquire: somebody else holds it.
    Refused,
    /// To a release: whether that grant was still alive, and so ended.
    Released(bool),
}

/// What is known of a [`TokenLock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grants {
    /// The smallest token a later grant may carry. Wider than a token, so that it cannot overflow.
    next: u128,
    holder: Holder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Nobody,
    Token(u64),
    /// Granted by a call whose answer was lost: some token that is at least `next - 1`.
    SomeToken,
}

impl TokenLock {
    /// A lock whose grants end only by a release.
    pub const fn new() -> Self {
        Self { expires: false }
    }

    /// A lock whose grants may also end by themselves (leases, dead sessions).
    pub const fn with_expiry() -> Self {
        Self { expires: true }
    }
}

impl Default for TokenLock {
    fn default() -> Self {
        Self::new()
    }
}

impl Model for TokenLock {
    type Input = TokenCall;
    type Output = TokenAnswer;
    type State = Grants;

    fn initial(&self) -> Grants {
        Grants { next: 0, holder: Holder::Nobody }
    }

    fn step(
        &self,
        state: &Grants,
        input: &TokenCall,
        output: Option<&TokenAnswer>,
    ) -> Option<Grants> {
        let free = state.holder == Holder::Nobody;
        match (input, output) {
            (TokenCall::Acquire, Some(TokenAnswer::Granted(token))) => {
                let legal = (free || self.expires) && u128::from(*token) >= state.next;
                let next = u128::from(*token) + 1;
                legal.then_some(Grants { next, holder: Holder::Token(*token) })
            }
            (TokenCall::Acquire, Some(TokenAnswer::Refused)) => (!free).then_some(*state),
            // The smallest token a lost grant can have used up; that it may have been larger
            // forbids nothing that this allows.
            (TokenCall::Acquire, None) if free || self.expires => {
                Some(Grants { next: state.next + 1, holder: Holder::SomeToken })
            }
            (TokenCall::Release(token), Some(TokenAnswer::Released(true))) => {
                release(state, *token)
            }
            (TokenCall::Release(token), Some(TokenAnswer::Released(false))) => {
                (self.expires || state.holder != Holder::Token(*token)).then_some(*state)
            }
            (TokenCall::Release(token), None) => Some(release(state, *token).unwrap_or(*state)),
            (TokenCall::Acquire, None) => Some(*state),
            (TokenCall::Acquire | TokenCall::Release(_), Some(_)) => None,
        }
    }

    fn only_reads(&self, _input: &TokenCall, output: Option<&TokenAnswer>) -> bool {
        matches!(output, Some(TokenAnswer::Refused | TokenAnswer::Released(false)))
    }

    fn describe(&self, input: &TokenCall, output: Option<&TokenAnswer>) -> String {
        let asked = match input {
            TokenCall::Acquire => "acquire".to_owned(),
            TokenCall::Release(token) => format!("release token {token}"),
        };
        match output {
            None => asked,
            Some(TokenAnswer::Granted(token)) => format!("{asked} -> token {token}"),
            Some(TokenAnswer::Refused) => format!("{asked} -> refused"),
            Some(TokenAnswer::Released(true)) => format!("{asked} -> released"),
            Some(TokenAnswer::Released(false)) => format!("{asked} -> not held"),
        }
    }

    fn describe_state(&self, state: &Grants) -> String {
        match state.holder {
            Holder::Nobody => format!("free, next token from {}", state.next),
            Holder::Token(token) => format!("held with token {token}"),
            Holder::SomeToken => format!("held with some token from {}", state.next - 1),
        }
    }
}

/// The state after the grant with `token` ended, or `None` if it cannot be the live one.
fn release(state: &Grants, token: u64) -> Option<Grants> {
    let next = match state.holder {
        Holder::Token(held) if held == token => state.next,
        Holder::SomeToken if u128::from(token) + 1 >= state.next => u128::from(token) + 1,
        Holder::Nobody | Holder::Token(_) | Holder::SomeToken => return None,
    };
    Some(Grants { next, holder: Holder::Nobody })
}
