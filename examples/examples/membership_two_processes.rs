//! Members in processes of their own, which tell what they see until Ctrl-C, and then leave.
//!
//! In two terminals:
//!
//! ```text
//! cargo run --example membership_two_processes -- 7946
//! cargo run --example membership_two_processes -- 7947 127.0.0.1:7946
//! ```
//!
//! Kill one of them, instead, and the other tells that it is unreachable and then dead. With
//! `-- --spawn` it starts the second process itself, lets it leave, and ends.

use std::error::Error;
use std::process::{Command, Stdio};

use quorate_membership::{Event, Membership, Options, Running, Told};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--spawn") {
        return spawn().await;
    }
    let port: u16 = arguments.first().ok_or("name a port, or --spawn")?.parse()?;
    let options = Options::new("example").bind(([127, 0, 0, 1], port).into());
    let node = Membership::start(options.seeds(arguments.get(1))).await?;
    // What `--spawn` starts has a parent that tells it when to leave.
    let parent = arguments.get(2).is_some_and(|third| third == "--until-stdin-ends");
    say(&format!("{} listens on {}", node.id(), node.local_addr()));
    tokio::select! {
        () = watch(&node, |_| false) => {}
        asked = tokio::signal::ctrl_c() => asked?,
        () = stdin_ended(), if parent => {}
    }
    node.leave().await?;
    say(&format!("{} has left", node.id()));
    Ok(())
}

/// Tells what happens until `enough` says so or the membership ends.
async fn watch(node: &Running, enough: impl Fn(&Event) -> bool) {
    let mut events = node.events();
    while let Some(told) = events.next().await {
        match told {
            Told::Event(event) => {
                say(&format!("{}: {event:?}", node.id()));
                if enough(&event) {
                    return;
                }
            }
            Told::Missed(events) => say(&format!("{}: missed {events} events", node.id())),
        }
    }
}

/// Returns when the parent closes the pipe to this process, or is gone.
async fn stdin_ended() {
    let wait = || std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    // An error of the pipe is an end, too.
    let _ = tokio::task::spawn_blocking(wait).await;
}

/// Starts a second process that joins, waits for it, and lets it go.
async fn spawn() -> Result<(), Box<dyn Error>> {
    let node = Membership::start(Options::new("example")).await?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["0", node.advertised(), "--until-stdin-ends"])
        .stdin(Stdio::piped())
        .spawn()?;
    watch(&node, |event| matches!(event, Event::Joined { .. })).await;
    drop(child.stdin.take());
    watch(&node, |event| matches!(event, Event::Left { .. })).await;
    tokio::task::spawn_blocking(move || child.wait()).await??;
    node.leave().await?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "an example talks to a person")]
fn say(text: &str) {
    println!("{text}");
}
