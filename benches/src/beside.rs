//! What quorate is compared with: flags that the benches share.

use std::path::PathBuf;

use clap::Args;

use crate::etcd;
use crate::report::say;
use crate::system::System;

/// Beside what.
#[derive(Debug, Args)]
pub(crate) struct Beside {
    /// Compare with this build of `quorated` instead of etcd.
    #[arg(long, value_name = "FILE", conflicts_with = "alone")]
    beside: Option<PathBuf>,
    /// Compare with nothing.
    #[arg(long)]
    alone: bool,
}

impl Beside {
    /// Starts quorate and what it is compared with.
    pub(crate) async fn systems(&self) -> Result<Vec<System>, String> {
        let mut systems = vec![System::quorate("quorate", None)?];
        if let Some(binary) = &self.beside {
            systems.push(System::quorate("the other build", Some(binary.clone()))?);
        } else if !self.alone {
            match etcd::binary() {
                Some(binary) => systems.push(System::etcd(&binary).await?),
                None => say("\n*** etcd skipped: there is none in the PATH. Nothing below is a \
                             comparison. ***\n"),
            }
        }
        Ok(systems)
    }
}
