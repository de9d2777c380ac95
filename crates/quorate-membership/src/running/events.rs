//! What subscribers are told.

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::Event;

/// The events of a running membership from the moment of the subscription on, in their order.
///
/// When an event is told, [`members`](super::Running::members) shows its effect already.
#[derive(Debug)]
pub struct Events(pub(super) Receiver<Event>);

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// This happened.
    Event(Event),
    /// So many events were missed, because the subscriber was more than 1,024 behind. Look at
    /// [`members`](super::Running::members) anew.
    Missed(u64),
}

impl Events {
    /// The next event; `None` once the membership has ended and all were told.
    ///
    /// # Cancel safety
    ///
    /// Safe: an event that was not returned is returned next time.
    pub async fn next(&mut self) -> Option<Told> {
        match self.0.recv().await {
            Ok(event) => Some(Told::Event(event)),
            Err(RecvError::Lagged(missed)) => Some(Told::Missed(missed)),
            Err(RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn m10_a_subscriber_that_lags_is_told_how_much_it_missed() {
        let (sender, receiver) = tokio::sync::broadcast::channel(4);
        let mut events = Events(receiver);
        for _ in 0..10 {
            sender.send(Event::LeaveSpread).unwrap();
        }
        drop(sender);
        assert_eq!(events.next().await, Some(Told::Missed(6)));
        for _ in 0..4 {
            assert_eq!(events.next().await, Some(Told::Event(Event::LeaveSpread)));
        }
        assert_eq!(events.next().await, None);
    }
}
