//! Connections: how many there may be, and how long one may stay without a word.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Serves `router` until `stop`, then finishes what is being answered and closes.
///
/// Beyond `connections_max` connections wait in the kernel's queue: one that were accepted would
/// take the file that the journal needs next.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    stop: impl Future<Output = ()>,
) {
    let room = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(SILENCE_MAX);
    let next = async || {
        // The semaphore is never closed.
        let place = Arc::clone(&room).acquire_owned().await;
        (place, listener.accept().await)
    };
    let mut stop = pin!(stop);
    loop {
        let (place, accepted) = tokio::select! {
            () = &mut stop => break,
            next = next() => next,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // The connection stays in the queue, so asking again at once would spin.
                tracing::warn!(%error, "cannot accept a connection of the API");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // Answers leave in one piece; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            // An error is the client's: it hung up, or spoke no HTTP and was told so.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// How long a connection may be idle, or take to say what it wants. Above the 90 s for which common
/// clients keep a connection, so that they are the ones to close it.
const SILENCE_MAX: Duration = Duration::from_secs(120);

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
