//! `quorated`: a quorate node as a process, with an HTTP API.

mod cli;
mod exit;
mod http;
mod logging;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use quorate::{Node, StopReason};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cli::Cli;
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help and versions too; only a wrong use is an error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    logging::start(cli.log);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err((exit, error)) => {
            tracing::error!(%error, "quorated stops");
            exit.into()
        }
    }
}

/// Runs a node until it is told to stop or cannot go on.
fn run(cli: &Cli) -> Result<(), (Exit, String)> {
    let config = cli.config().map_err(|error| (Exit::Usage, chain(&*error)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers())
        .thread_name("quorated")
        .enable_all()
        .build()
        .map_err(|error| (Exit::Internal, chain(&error)))?;
    let drain = cli.drain();
    let ended = runtime.block_on(serve(config, drain));
    // A client that holds a connection open must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// Threads for the sockets, the API and the node's loop: half of the cores, because the storage
/// thread and the kernel's side of the sockets need some too. Where they share one, requests that
/// are ready reach the loop together, in one turn, without waking another thread for each.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, WORKERS_MAX)
}

/// The loop is one task: more threads than this would mostly wake one another.
const WORKERS_MAX: usize = 4;

async fn serve(config: quorate::Config, drain: Duration) -> Result<(), (Exit, String)> {
    // The API port first: a node that can be asked nothing should not take part.
    let bind = config.api_bind();
    let listener = TcpListener::bind(bind).await.map_err(|error| {
        let text = format!("the API cannot be bound to {bind}: {error}; choose another --api-bind");
        (Exit::Usage, text)
    })?;
    let bound = listener.local_addr().map_err(|error| (Exit::Internal, chain(&error)))?;
    let api = config.api.advertise.clone().unwrap_or_else(|| bound.to_string());
    let node = Node::builder(config)
        .start()
        .await
        .map_err(|error| (Exit::of_start(&error), chain(&error)))?;
    tracing::info!(
        node = %node.id(),
        cluster = node.config().cluster.name,
        cluster_address = %node.address(),
        api = %bound,
        boot = node.boot(),
        "started"
    );
    let node = Arc::new(node);
    let (draining, is_draining) = watch::channel(false);
    let app = http::App::new(node.clone(), api, is_draining.clone());
    let mut drained = is_draining;
    let server = tokio::spawn(async move {
        let until = async move { drop(drained.wait_for(|draining| *draining).await) };
        axum::serve(listener, http::router(app)).with_graceful_shutdown(until).await
    });
    let stopped = tokio::select! {
        reason = node.stopped() => Some(reason),
        () = asked_to_stop() => None,
    };
    if stopped.is_none() {
        tracing::info!("draining");
        node.stop();
    }
    let _ = draining.send(true);
    // What is being answered is answered; then the connections are closed.
    let _ = tokio::time::timeout(drain, server).await;
    let reason = match stopped {
        Some(reason) => reason,
        None => node.stopped().await,
    };
    match reason {
        StopReason::Asked => {
            tracing::info!("drained");
            Ok(())
        }
        reason => Err((Exit::of_stop(&reason), reason.to_string())),
    }
}

/// SIGTERM or SIGINT.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// An error with everything beneath it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
