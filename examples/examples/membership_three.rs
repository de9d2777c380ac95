//! A cluster of three in one process: who sees whom.
//!
//! `cargo run --example membership_three`

use std::error::Error;
use std::time::Duration;

use quorate_core::NodeId;
use quorate_membership::{Membership, Options};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example talks to a person")]
async fn main() -> Result<(), Box<dyn Error>> {
    let anna = Membership::start(Options::new("example").id(NodeId::new("anna")?)).await?;
    let seed = anna.advertised().to_owned();
    let join = |name| Ok::<_, Box<dyn Error>>(Options::new("example").id(NodeId::new(name)?));
    let bert = Membership::start(join("bert")?.seeds([&seed])).await?;
    let cleo = Membership::start(join("cleo")?.seeds([&seed])).await?;
    for node in [&anna, &bert, &cleo] {
        let mut events = node.events();
        while node.members().alive().count() < 3 {
            // Not waiting for ever: an event may have come before the subscription.
            let _ = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
        }
        let names: Vec<_> = node.members().alive().map(|member| member.id.to_string()).collect();
        println!("{} sees {}", node.id(), names.join(", "));
    }
    for node in [cleo, bert, anna] {
        node.leave().await?;
    }
    Ok(())
}
