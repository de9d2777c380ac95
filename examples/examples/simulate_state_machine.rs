//! A state machine of one's own, replicated under every fault of the simulator: a bank in which
//! money moves and is never made.
//!
//! `cargo run --example simulate_state_machine` runs a hundred seeds. With `-- --broken` its
//! `restore` forgets to clear what was there before. It takes a snapshot to notice, of a moment at
//! which an account is empty, and a replica that starts on it or is given it.

use std::collections::BTreeMap;
use std::error::Error;

use bytes::Bytes;
use quorate_core::{Applied, RestoreError, StateMachine};
use quorate_sim::cluster::{Replica, replicas};
use quorate_sim::machine::{self, MachineWorld};
use quorate_sim::{Swarm, hunt};

/// Who has how much. Accounts without money are not kept.
struct Bank {
    accounts: BTreeMap<u8, u8>,
    broken: bool,
}

const ACCOUNTS: u8 = 8;
const EACH: u8 = 20;

impl Bank {
    fn new(broken: bool) -> Self {
        Self { accounts: (0..ACCOUNTS).map(|account| (account, EACH)).collect(), broken }
    }

    fn total(&self) -> u32 {
        self.accounts.values().map(|money| u32::from(*money)).sum()
    }
}

impl StateMachine for Bank {
    fn apply(&mut self, _: Applied, command: &[u8]) -> Bytes {
        let &[from, to, amount] = command else { return Bytes::from_static(b"not understood") };
        let has = self.accounts.remove(&from).unwrap_or(0);
        let moved = amount.min(has);
        if has > moved {
            self.accounts.insert(from, has - moved);
        }
        if moved > 0 {
            *self.accounts.entry(to).or_default() += moved;
        }
        Bytes::from(format!("moved {moved}"))
    }

    fn snapshot(&self) -> Bytes {
        self.accounts.iter().flat_map(|(account, money)| [*account, *money]).collect()
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let (pairs, []) = snapshot.as_chunks::<2>() else {
            return Err(RestoreError("half an account".to_owned()));
        };
        // What was here before must go. Forgotten, an account that was emptied meanwhile stays.
        if !self.broken {
            self.accounts.clear();
        }
        self.accounts.extend(pairs.iter().map(|[account, money]| (*account, *money)));
        Ok(())
    }

    fn digest(&self) -> u64 {
        let mix = |digest: u64, byte: u8| (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        self.snapshot().iter().fold(0xcbf2_9ce4_8422_2325, |digest, byte| mix(digest, *byte))
    }
}

/// From here on: all that the simulation adds.
fn world(broken: bool) -> MachineWorld<Replica<Bank>> {
    let transfer = |number: u32| {
        let account = |number: u32| (number % u32::from(ACCOUNTS)) as u8;
        vec![account(number), account(number / 8), (number / 64) as u8]
    };
    replicas(move || Bank::new(broken), transfer).always("money is never made", |live| {
        let total = u32::from(ACCOUNTS) * u32::from(EACH);
        live.iter().all(|(_, replica)| replica.state().total() == total)
    })
}

#[expect(clippy::print_stdout, reason = "an example talks to a person")]
fn main() -> Result<(), Box<dyn Error>> {
    let broken = std::env::args().any(|argument| argument == "--broken");
    let hunt = hunt(machine::plans(&Swarm::default(), 0..100), |_| world(broken));
    println!("{hunt}");
    if let Some(found) = &hunt.found {
        let page = std::env::temp_dir().join("quorate-bank.html");
        std::fs::write(&page, found.to_html())?;
        println!("to look at: {}\nits plan:\n{}", page.display(), found.small.plan.to_toml()?);
    }
    Ok(())
}
