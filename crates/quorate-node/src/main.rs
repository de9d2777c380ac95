//! `quorated`: a quorate node as a process, with an HTTP API.

mod cli;
mod exit;
mod files;
mod http;
mod logging;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use quorate::{Node, StopReason};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
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
    // Before anything that takes time: who is told to stop while it starts, stops.
    let mut signals = Signals::new().map_err(|error| (Exit::Internal, chain(&error)))?;
    let connections_max = files::connections_max();
    // The API port first: a node that can be asked nothing should not take part.
    let bind = config.api_bind();
    let listener = TcpListener::bind(bind).await.map_err(|error| {
        let text = format!("the API cannot be bound to {bind}: {error}; choose another --api-bind");
        (Exit::Usage, text)
    })?;
    let bound = listener.local_addr().map_err(|error| (Exit::Internal, chain(&error)))?;
    let api = config.api.advertise.clone().unwrap_or_else(|| bound.to_string());
    tracing::info!("starting");
    // On a task of its own, because reading a long journal keeps a thread busy.
    let starting = tokio::spawn(Node::builder(config).api_address(api.clone()).start());
    let node = tokio::select! {
        node = starting => match node {
            Ok(node) => node.map_err(|error| (Exit::of_start(&error), chain(&error)))?,
            Err(error) => return Err((Exit::Internal, chain(&error))),
        },
        () = signals.next() => {
            // The journal survives any end, and nobody was promised anything yet.
            tracing::info!("told to stop before the start was over");
            return Ok(());
        }
    };
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
        http::serve(listener, http::router(app), connections_max, until).await;
    });
    let stopped = tokio::select! {
        reason = node.stopped() => Some(reason),
        () = signals.next() => None,
    };
    if stopped.is_none() {
        tracing::info!("draining");
    }
    let _ = draining.send(true);
    // What is being answered is answered, while the node still can; then the connections are closed
    // and it gives up its lead. Whoever asks twice does not want to wait for it.
    let limit = tokio::time::sleep(drain);
    tokio::select! {
        _ = server => {}
        () = limit => {}
        () = signals.next() => tracing::info!("told to stop again: no longer waiting for clients"),
    }
    node.stop();
    let reason = match stopped {
        Some(reason) => reason,
        None => tokio::time::timeout(drain.max(DISK_WAIT), node.stopped()).await.map_err(|_| {
            let text = "the disk does not take what was written; what was acknowledged is on it";
            (Exit::Internal, text.to_owned())
        })?,
    };
    match reason {
        StopReason::Asked => {
            tracing::info!("drained");
            Ok(())
        }
        reason => Err((Exit::of_stop(&reason), reason.to_string())),
    }
}

/// The least time that a stopping node gives its disk, whatever it gives its clients.
const DISK_WAIT: Duration = Duration::from_secs(5);

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they end this process no longer by themselves.
    fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// An error with everything beneath it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let why = cause.to_string();
        // Many say themselves what is beneath them.
        if !text.ends_with(&why) {
            text.push_str(": ");
            text.push_str(&why);
        }
        source = cause.source();
    }
    text
}
