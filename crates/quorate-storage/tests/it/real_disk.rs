//! The same journal on the file system.

use quorate_core::{Disk, LogId};
use quorate_storage::{FileDisk, FolderError, Journal, Options};

use crate::model::{amount, ballot, entries, snapshot};

#[test]
fn a_journal_in_a_folder_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/n1");
    let options = || Options::default().segment_bytes(4096);
    let mut records = Vec::new();
    for life in 0..4 {
        let disk = FileDisk::open(&path).unwrap();
        let (mut journal, recovered) = Journal::open(Box::new(disk), options()).unwrap();
        assert_eq!(recovered, amount(&records));
        for i in 0..40 {
            let sum = amount(&records);
            let base = sum.snapshot.map_or(0, |snapshot| snapshot.last.index.0);
            let tip = sum.entries.last().map_or(base, |entry| entry.id.index.0);
            let record = match i {
                30 => snapshot(LogId::new(1, tip - 5), 5_000, life),
                _ if i % 4 == 3 => ballot(life * 40 + i),
                _ => entries(1, tip + 1, tip + 2, 100),
            };
            journal.write(&record).unwrap();
            records.push(record);
        }
        journal.sync().unwrap();
    }
}

#[test]
fn a_folder_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let first = FileDisk::open(folder.path()).unwrap();
    let refused = FileDisk::open(folder.path());
    assert!(matches!(&refused, Err(FolderError::Locked { path }) if path == folder.path()));
    assert!(refused.unwrap_err().to_string().contains("locked by another process"));
    drop(first);
    FileDisk::open(folder.path()).unwrap();
}

#[test]
fn a_name_never_leads_out_of_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut disk = FileDisk::open(folder.path()).unwrap();
    for name in ["", "../x", "/etc/x", "a/b", "lock", ".", ".."] {
        assert!(disk.open(name).is_err(), "{name}");
        assert!(disk.remove(name).is_err(), "{name}");
    }
    disk.open("a").unwrap();
    disk.rename("a", "b").unwrap();
    disk.sync_names().unwrap();
    assert_eq!(disk.names().unwrap(), ["b"]);
}
