//! A machine of one's own under every fault of the simulator: tickets with numbers, of which none
//! may be given out twice.
//!
//! `cargo run --example simulate_machine` runs some hundred seeds. With `-- --broken` the machine
//! has a bug that looks like thrift; the run that shows it is cut down, and written as a page.

use std::collections::BTreeSet;
use std::error::Error;

use quorate_core::{Instant, Machine, Outbox};
use quorate_sim::machine::{self, Happened, MachineWorld, Start, Wants};
use quorate_sim::{Observation, Seat, Swarm, hunt};

/// The first node gives tickets out; the others ask it on behalf of their clients.
struct Tickets {
    me: Seat,
    next: u32,
    /// Tickets below this number are ours to give, by the word of our disk: one write for ten.
    reserved: u32,
}

enum Input {
    Asked(u64),
    Forwarded(Seat, u64),
    Given(u64, u32),
}

#[derive(Debug)]
enum Output {
    Reserve(u32),
    Forward(u64),
    Give(Seat, u64, u32),
    Reply(u64, u32),
}

const DESK: Seat = Seat(0);
const BATCH: u32 = 10;

impl Tickets {
    fn take(&mut self, out: &mut Outbox<Output>) -> u32 {
        if self.next == self.reserved {
            self.reserved += BATCH;
            out.push(Output::Reserve(self.reserved));
        }
        self.next += 1;
        self.next - 1
    }
}

impl Machine for Tickets {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, _: Instant, input: Input, out: &mut Outbox<Output>) {
        match input {
            Input::Asked(id) if self.me == DESK => {
                let ticket = self.take(out);
                out.push(Output::Reply(id, ticket));
            }
            Input::Asked(id) => out.push(Output::Forward(id)),
            Input::Forwarded(from, id) => {
                let ticket = self.take(out);
                out.push(Output::Give(from, id, ticket));
            }
            Input::Given(id, ticket) => out.push(Output::Reply(id, ticket)),
        }
    }

    fn wake(&mut self, _: Instant, _: &mut Outbox<Output>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// From here on: all that the simulation adds.
fn world(broken: bool) -> MachineWorld<Tickets> {
    let start = move |start: &Start| {
        let reserved = start.saved().and_then(number).unwrap_or(0) as u32;
        // Some of the last ten were perhaps not given out, and it seems a pity to waste them.
        let next = if broken { reserved.saturating_sub(BATCH) } else { reserved };
        Tickets { me: start.me, next, reserved }
    };
    let input = |happened: Happened<'_>| match happened {
        Happened::Asked { id, .. } => Some(Input::Asked(id)),
        Happened::Message { from, bytes } => Some(match bytes.split_first_chunk::<8>()? {
            (id, []) => Input::Forwarded(from, u64::from_le_bytes(*id)),
            (id, ticket) => Input::Given(u64::from_le_bytes(*id), number(ticket)? as u32),
        }),
        _ => None,
    };
    let output = |output, wants: &mut Wants| match output {
        Output::Reserve(reserved) => wants.save(u64::from(reserved).to_le_bytes()),
        Output::Forward(id) => wants.send(DESK, id.to_le_bytes()),
        Output::Give(to, id, ticket) => {
            wants.send(to, [id.to_le_bytes(), u64::from(ticket).to_le_bytes()].concat());
        }
        Output::Reply(id, ticket) => wants.reply(id, u64::from(ticket).to_le_bytes()),
    };
    let mut given = BTreeSet::new();
    MachineWorld::new(start, input, output)
        .always("no ticket is given out twice", move |live| {
            live.told().iter().all(|told| given.insert(told.answer.clone()))
        })
        .leads(|node| node.me == DESK)
        .shows(|node| Observation {
            role: if node.me == DESK { "desk" } else { "door" }.to_owned(),
            state: vec![("next".to_owned(), node.next.to_string())],
            ..Observation::default()
        })
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[expect(clippy::print_stdout, reason = "an example talks to a person")]
fn main() -> Result<(), Box<dyn Error>> {
    let broken = std::env::args().any(|argument| argument == "--broken");
    let hunt = hunt(machine::plans(&Swarm::default(), 0..300), |_| world(broken));
    println!("{hunt}");
    if let Some(found) = &hunt.found {
        let page = std::env::temp_dir().join("quorate-tickets.html");
        std::fs::write(&page, found.to_html())?;
        println!("to look at: {}\nits plan:\n{}", page.display(), found.small.plan.to_toml()?);
    }
    Ok(())
}
