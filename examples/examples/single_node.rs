//! A cluster of one inside this process: durable, and ready to be given peers later.
//!
//! Run it twice with the same folder and see the counter rise:
//! `cargo run --example single_node -- FOLDER`

use std::error::Error;
use std::time::Duration;

use quorate::{Config, Node};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example talks to a person")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("name a folder for the journal")?;
    let config = Config::builder()
        .node_id("alone")
        .data_dir(folder)
        .bind("127.0.0.1:0".parse()?)
        .enable_state()
        .build()?;
    let node = Node::builder(config).start().await?;
    let state = node.state().within(Duration::from_secs(10));
    let seen = state.get("starts").await?;
    let starts = match &seen {
        Some(item) => std::str::from_utf8(&item.value)?.parse::<u64>()? + 1,
        None => 1,
    };
    // Only if nobody else wrote in between.
    let expected = seen.map(|item| item.value);
    let swap = state.compare_and_swap("starts", expected, Some(starts.to_string().into())).await?;
    println!("start number {starts}, written: {}", swap.swapped);
    node.shutdown().await;
    Ok(())
}
