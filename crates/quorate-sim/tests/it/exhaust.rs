//! The exhaustive mode over toys whose states can be counted by hand.

use quorate_sim::Violation;
use quorate_sim::exhaust::{
    Actor, Counts, Limits, Memory, SmallWorld, explore, fingerprint, replay,
};

/// Two processes that must not be in the critical section together.
struct Door {
    /// Whether looking at the lock and taking it is one step.
    is_atomic: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Home,
    Waiting,
    /// Saw the lock free, and did not take it yet.
    Looked,
    Inside,
}

#[derive(Debug, Clone, Hash)]
struct Both {
    at: [At; 2],
    locked: bool,
}

impl SmallWorld for Door {
    type State = Both;
    type Action = usize;

    fn initial(&mut self) -> Both {
        Both { at: [At::Home; 2], locked: false }
    }

    fn actions(&mut self, state: &Both, out: &mut Vec<usize>) {
        out.extend([0, 1].iter().filter(|who| state.at[**who] != At::Waiting || !state.locked));
    }

    fn apply(&mut self, state: &Both, who: &usize) -> Option<Both> {
        let mut next = state.clone();
        next.at[*who] = match state.at[*who] {
            At::Home => At::Waiting,
            At::Waiting if !self.is_atomic => At::Looked,
            At::Waiting | At::Looked => At::Inside,
            At::Inside => At::Home,
        };
        next.locked = next.at.contains(&At::Inside);
        Some(next)
    }

    fn check(&self, state: &Both) -> Result<(), Violation> {
        if state.at == [At::Inside; 2] {
            return Err(Violation::new("D1", "both are inside"));
        }
        Ok(())
    }

    fn describe(&self, who: &usize) -> String {
        format!("{who} goes on")
    }

    fn fingerprint(&mut self, state: &Both) -> u128 {
        fingerprint(state)
    }
}

#[test]
fn a_door_that_locks_has_just_the_states_counted_by_hand() {
    let found = explore(&mut Door { is_atomic: true }, Limits::default(), |_| ());
    assert!(found.complete && found.broken.is_none());
    // Home or waiting each: 4 states; one inside, the other home or waiting: 2 x 2 more. Both may
    // go on in 6 of them; beside one who is inside, whoever waits stands still: 2 x 6 + 2.
    assert_eq!(found.counts, Counts { states: 8, transitions: 14, beyond: 0, finals: 0, depth: 3 });
}

#[test]
fn a_door_that_is_looked_at_before_it_is_locked_fails_by_the_shortest_way() {
    let mut door = Door { is_atomic: false };
    let found = explore(&mut door, Limits::default(), |_| ());
    let broken = found.broken.expect("both can be inside");
    // Each goes to the door, looks, and enters.
    assert_eq!(broken.actions.len(), 6, "{broken}");
    assert!(broken.to_string().starts_with("D1 broken after 6 actions: both are inside\n   1. "));
    let (words, held) = replay(&mut door, &broken.path);
    assert_eq!((words, held), (broken.actions, Err(broken.violation)));
}

#[test]
fn limits_end_the_walk_and_say_so() {
    let mut door = Door { is_atomic: true };
    let few = Limits { states_max: 5, ..Limits::default() };
    let found = explore(&mut door, few, |_| ());
    assert_eq!((found.complete, found.counts.states), (false, 5));
    let shallow = Limits { depth_max: 2, ..Limits::default() };
    let found = explore(&mut door, shallow, |_| ());
    assert_eq!((found.complete, found.counts.depth), (false, 2));
}

/// Counts to three and begins anew; it cannot be cloned.
struct Counter(u8);

#[derive(Default)]
struct Counters {
    steps: u32,
}

impl Actor for Counters {
    type Machine = Counter;
    type Start = u8;
    type Input = u8;
    type Output = u8;
    type View = u8;

    fn start(&mut self, at: &u8) -> Counter {
        Counter(*at)
    }

    fn step(&mut self, counter: &mut Counter, by: u8) -> u8 {
        self.steps += 1;
        counter.0 = (counter.0 + by) % 4;
        counter.0
    }

    fn fingerprint(&self, counter: &Counter) -> u128 {
        fingerprint(&counter.0)
    }

    fn view(&self, counter: &Counter) -> u8 {
        counter.0
    }
}

#[test]
fn a_memory_runs_a_machine_once_per_state_and_input() {
    let mut memory = Memory::new(Counters::default());
    let start = memory.start(1);
    let mut state = start;
    for expected in [3, 1, 3, 1, 3, 1] {
        let step = memory.step(state, 2);
        assert_eq!((*step.output, *memory.view(step.state)), (expected, expected));
        state = step.state;
    }
    assert_eq!(state, start);
    assert_eq!(memory.len(), 2);
    // One step from the start; one from the other state, after one to get there again.
    assert_eq!(memory.actor().steps, 3);
}

/// Counts, and tells a fingerprint that forgets some of it.
struct Forgetful;

impl Actor for Forgetful {
    type Machine = Counter;
    type Start = u8;
    type Input = u8;
    type Output = ();
    type View = ();

    fn start(&mut self, at: &u8) -> Counter {
        Counter(*at)
    }

    fn step(&mut self, counter: &mut Counter, by: u8) {
        counter.0 = (counter.0 + by) % 16;
    }

    fn fingerprint(&self, counter: &Counter) -> u128 {
        // Of the numbers above seven only whether they are odd.
        fingerprint(&if counter.0 < 8 { counter.0 } else { 8 + counter.0 % 2 })
    }

    fn view(&self, _: &Counter) {}
}

#[test]
fn an_audit_finds_a_fingerprint_that_tells_too_little() {
    let mut memory = Memory::new(Counters::default());
    let mut state = memory.start(0);
    for by in [1, 1, 1, 1, 2, 2, 2] {
        state = memory.step(state, by).state;
    }
    assert!(matches!(memory.audit(|_, one, other| one == other), (1.., None)));

    let mut memory = Memory::new(Forgetful);
    let start = memory.start(0);
    let eight = memory.step(start, 8).state;
    assert_eq!(memory.step(start, 14).state, eight);
    assert_eq!(memory.audit(|_, (), ()| true), (0, None));
    // Two above fourteen is zero, two above eight is not.
    memory.step(eight, 2);
    assert_eq!(memory.audit(|_, (), ()| true), (1, Some((eight, 2))));
}
