//! How many files and connections the system lets this process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The most connections of the API, however many files there may be.
const CONNECTIONS_MAX: u64 = 16_384;

/// Takes all the open files that the system grants, and says how many connections the API may hold:
/// at most a half, so that journal and peers never find the table full. A journal that cannot open
/// its next segment ends the node.
///
/// The soft limit is 1,024 on most systems, the hard one far above; it is low for the sake of
/// programs that use `select`, which this one does not.
pub(crate) fn connections_max() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let soft = limit.current;
    limit.current = limit.maximum;
    // An error means that the soft limit stays, and counts.
    let granted = setrlimit(Resource::Nofile, limit).map_or(soft, |()| limit.current);
    let connections = granted.map_or(CONNECTIONS_MAX, |files| (files / 2).min(CONNECTIONS_MAX));
    usize::try_from(connections).unwrap_or(usize::MAX)
}
