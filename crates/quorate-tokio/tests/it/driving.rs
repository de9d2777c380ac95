//! The loop that turns a machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quorate_core::{Clock, Instant, Machine, Outbox};
use quorate_tokio::{BootClock, DriveEnd, IDLE_MAX, Perform, Pulse, drive, sleep_until};
use tokio::sync::{mpsc, oneshot};

use crate::net::patiently;

/// Batches what it is told and puts it out when it is woken; asserts that time never falls.
#[derive(Default)]
struct Batching {
    now: Instant,
    batch: Vec<u32>,
    alarm: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
enum Input {
    Add(u32),
    AlarmIn(Duration),
}

#[derive(Debug, PartialEq)]
enum Output {
    Batch(Vec<u32>),
    Rang(Instant),
}

impl Machine for Batching {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input, _: &mut Outbox<Output>) {
        assert!(now >= self.now);
        self.now = now;
        match input {
            Input::Add(n) => self.batch.push(n),
            Input::AlarmIn(delay) => self.alarm = Some(now + delay),
        }
    }

    fn wake(&mut self, now: Instant, out: &mut Outbox<Output>) {
        assert!(now >= self.now);
        self.now = now;
        if !self.batch.is_empty() {
            out.push(Output::Batch(std::mem::take(&mut self.batch)));
        }
        if self.alarm.is_some_and(|alarm| alarm <= now) {
            out.push(Output::Rang(self.alarm.take().unwrap()));
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if self.batch.is_empty() { self.alarm } else { Some(self.now) }
    }
}

/// A clock that goes backwards now and then.
#[derive(Default)]
struct Shaky(AtomicU64);

impl Clock for Shaky {
    fn now(&self) -> Instant {
        let n = self.0.fetch_add(1, Ordering::Relaxed);
        Instant::from_millis(1_000_000 + n - 5 * (n % 3))
    }
}

#[tokio::test]
async fn t7_time_never_falls_and_inputs_come_in_order_and_are_flushed_in_their_turn() {
    let (inputs, mut received) = mpsc::channel(10_000);
    for n in 0..2_000 {
        inputs.send(Input::Add(n)).await.unwrap();
    }
    drop(inputs);
    let mut seen = Vec::new();
    let mut batches = 0;
    let mut perform = |_, output| {
        let Output::Batch(batch) = output else { return Err("no alarm was set") };
        seen.extend(batch);
        batches += 1;
        Ok(())
    };
    let (mut machine, clock, pulse) = (Batching::default(), Shaky::default(), Pulse::new());
    let never = std::future::pending();
    let end = drive(&mut machine, &clock, &mut received, &mut perform, &pulse, never);
    assert_eq!(patiently(end).await, Ok(DriveEnd::InputsClosed));
    // Also the last batch: its turn flushed it, nothing waited for a later wake.
    assert_eq!(seen, (0..2_000).collect::<Vec<_>>());
    assert!(batches < 100, "inputs are taken in batches, not one by one: {batches}");
}

#[tokio::test]
async fn a_deadline_is_kept_and_the_loop_turns_when_idle() {
    let (inputs, mut received) = mpsc::channel(8);
    inputs.send(Input::AlarmIn(Duration::from_millis(30))).await.unwrap();
    let pulse = Pulse::new();
    let began = BootClock.now();
    let mut machine = Batching::default();
    let mut rang = None;
    let mut perform = |now: Instant, output| match output {
        Output::Rang(due) => {
            assert!(now >= due);
            rang = Some(due);
            Err("rang")
        }
        Output::Batch(_) => Ok(()),
    };
    let never = std::future::pending();
    let end = drive(&mut machine, &BootClock, &mut received, &mut perform, &pulse, never);
    assert_eq!(patiently(end).await, Err("rang"));
    assert!(rang.unwrap() >= began + Duration::from_millis(30));

    // Without a deadline and without inputs the pulse still goes on.
    let before = pulse.last_turned();
    let watched = pulse.clone();
    let later = async move {
        while watched.last_turned() <= before {
            sleep_until(&BootClock, BootClock.now() + IDLE_MAX / 10).await;
        }
    };
    let mut silent = |_, _| Ok::<(), ()>(());
    let end = drive(&mut machine, &BootClock, &mut received, &mut silent, &pulse, later);
    assert_eq!(patiently(end).await, Ok(DriveEnd::Shutdown));
}

struct Viewed {
    turns: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
}

impl Perform<Batching> for Viewed {
    type Error = &'static str;

    fn perform(&mut self, _: Instant, _: Output) -> Result<(), Self::Error> {
        Ok(())
    }

    fn turned(&mut self, now: Instant, machine: &Batching) -> Result<(), Self::Error> {
        assert!(machine.batch.is_empty() && machine.now == now, "after the outputs");
        self.turns.fetch_add(1, Ordering::Relaxed);
        if let Some(stop) = self.stop.take() {
            stop.send(()).unwrap();
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_shutdown_ends_the_loop_between_turns_also_under_a_flood() {
    let (inputs, mut received) = mpsc::channel(8);
    let flood = tokio::spawn(async move { while inputs.send(Input::Add(1)).await.is_ok() {} });
    let (stop, stopped) = oneshot::channel();
    let turns = Arc::new(AtomicU64::new(0));
    let mut perform = Viewed { turns: Arc::clone(&turns), stop: Some(stop) };
    let mut machine = Batching::default();
    let pulse = Pulse::new();
    let signal = async { stopped.await.unwrap() };
    let end = drive(&mut machine, &BootClock, &mut received, &mut perform, &pulse, signal);
    assert_eq!(patiently(end).await, Ok(DriveEnd::Shutdown));
    assert!(turns.load(Ordering::Relaxed) >= 1);
    drop(received);
    patiently(flood).await.unwrap();
}

#[test]
fn the_boot_clock_goes_on() {
    let first = BootClock.now();
    assert!(first > Instant::ZERO);
    while BootClock.now() == first {}
    assert!(BootClock.now() > first);
}
