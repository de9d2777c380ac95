//! The whole of a simulated disk: files, names, armed faults, counters.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use quorate_core::Rng;

use super::file::{Inode, index};
use super::{BitPlace, CrashMode, DiskCounters, Fault};

/// A change of names that is not durable yet.
#[derive(Debug, Clone)]
enum NameChange {
    Create(String, u64),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Clone, Default)]
pub(super) struct State {
    inodes: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    changes: Vec<NameChange>,
    next_inode: u64,
    /// Handles of an earlier life are dead: a process that crashed writes nothing more.
    pub(super) life: u64,
    faults: VecDeque<Fault>,
    /// Armed faults that struck and that nobody asked for yet.
    pub(super) fired: Vec<Fault>,
    /// Operations that still succeed before the power fails; `None` while it holds.
    pub(super) operations_left: Option<u64>,
    pub(super) capacity: Option<u64>,
    pub(super) counters: DiskCounters,
}

impl State {
    pub(super) fn inject(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    pub(super) fn disarm(&mut self) {
        self.faults.clear();
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn open(&mut self, name: &str) -> u64 {
        if let Some(inode) = self.names.get(name) {
            return *inode;
        }
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, Inode::default());
        self.change(NameChange::Create(name.to_owned(), self.next_inode));
        self.next_inode
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.find(from)?;
        self.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        self.find(name)?;
        self.change(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn change(&mut self, change: NameChange) {
        enact(&mut self.names, &change);
        self.changes.push(change);
    }

    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        self.counters.name_syncs += 1;
        if self.fires(|fault| matches!(fault, Fault::NameSyncFails)).is_some() {
            return Err(io::Error::other("injected: directory fsync failed"));
        }
        self.changes.clear();
        self.durable_names.clone_from(&self.names);
        self.collect();
        Ok(())
    }

    pub(super) fn find(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn inode(&self, inode: u64) -> io::Result<&Inode> {
        self.inodes.get(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn inode_mut(&mut self, inode: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&inode).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn read(&mut self, inode: u64, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.fires(|fault| matches!(fault, Fault::ReadFails)).is_some() {
            return Err(io::Error::other("injected: read failed"));
        }
        let content = &self.inode(inode)?.visible;
        let start = index(offset);
        let part = start.checked_add(buffer.len()).and_then(|end| content.get(start..end));
        buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    pub(super) fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.counters.writes += 1;
        if self.fires(|fault| matches!(fault, Fault::WriteFails)).is_some() {
            // Half of it arrived: after an error nothing is known.
            self.inode_mut(inode)?.write(offset, &bytes[..bytes.len() / 2]);
            return Err(io::Error::other("injected: write failed"));
        }
        let misdirected = self.fires(|fault| matches!(fault, Fault::WriteMisdirected { .. }));
        let offset = match misdirected {
            Some(Fault::WriteMisdirected { to }) => to,
            _ => offset,
        };
        let size = self.inode(inode)?.visible.len() as u64;
        let grows = (offset + bytes.len() as u64).saturating_sub(size);
        if grows > 0 && self.capacity.is_some_and(|capacity| self.used() + grows > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.counters.bytes_written += bytes.len() as u64;
        self.inode_mut(inode)?.write(offset, bytes);
        Ok(())
    }

    pub(super) fn sync(&mut self, inode: u64) -> io::Result<()> {
        self.counters.syncs += 1;
        if self.fires(|fault| matches!(fault, Fault::SyncFails)).is_some() {
            self.inode_mut(inode)?.fail_sync();
            return Err(io::Error::other("injected: fsync failed"));
        }
        if self.fires(|fault| matches!(fault, Fault::SyncLies)).is_none() {
            self.inode_mut(inode)?.sync();
        }
        Ok(())
    }

    pub(super) fn has_unsynced(&self) -> bool {
        self.inodes.values().any(Inode::is_unsynced)
    }

    /// Bytes that files with a name take.
    pub(super) fn used(&self) -> u64 {
        let sizes = self.names.values().filter_map(|inode| self.inodes.get(inode));
        sizes.map(|inode| inode.visible.len() as u64).sum()
    }

    /// The first armed fault that `applies`, taken off the list.
    fn fires(&mut self, applies: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self.faults.iter().position(applies)?;
        self.counters.faults_fired += 1;
        let fault = self.faults.remove(at)?;
        self.fired.push(fault.clone());
        Some(fault)
    }

    pub(super) fn crash(&mut self, rng: &mut Rng, mode: CrashMode) {
        self.life += 1;
        self.operations_left = None;
        self.faults.clear();
        match mode {
            // Only the process ended: the kernel still holds every page and name.
            CrashMode::LoseNone => return,
            CrashMode::LoseAll => self.inodes.values_mut().for_each(Inode::lose_all),
            CrashMode::LoseSubset => {
                self.inodes.values_mut().for_each(|inode| inode.lose_subset(rng));
            }
            CrashMode::Torn => self.inodes.values_mut().for_each(|inode| inode.tear(rng)),
        }
        for change in std::mem::take(&mut self.changes) {
            if mode != CrashMode::LoseAll && rng.chance(500_000) {
                enact(&mut self.durable_names, &change);
            }
        }
        self.names.clone_from(&self.durable_names);
        self.collect();
    }

    pub(super) fn flip(&mut self, name: &str, offset: u64, bit: u8) -> bool {
        let inode = self.names.get(name).and_then(|inode| self.inodes.get_mut(inode));
        inode.is_some_and(|inode| inode.flip(offset, bit))
    }

    /// The durable byte at `place`; zero if there is none.
    pub(super) fn byte(&self, place: &BitPlace) -> u8 {
        let content = self.durable(&place.name).unwrap_or(&[]);
        content.get(index(place.offset)).copied().unwrap_or(0)
    }

    pub(super) fn durable(&self, name: &str) -> Option<&[u8]> {
        Some(&self.inodes.get(self.durable_names.get(name)?)?.durable)
    }

    pub(super) fn visible(&self, name: &str) -> Option<&[u8]> {
        Some(&self.inodes.get(self.names.get(name)?)?.visible)
    }

    /// Drops files that no name, seen or durable, leads to and none may lead to after a crash.
    fn collect(&mut self) {
        let (names, durable, changes) = (&self.names, &self.durable_names, &self.changes);
        self.inodes.retain(|inode, _| {
            let created = |change: &NameChange| {
                matches!(change, NameChange::Create(_, created) if created == inode)
            };
            names.values().chain(durable.values()).any(|known| known == inode)
                || changes.iter().any(created)
        });
    }
}

fn enact(names: &mut BTreeMap<String, u64>, change: &NameChange) {
    match change {
        NameChange::Create(name, inode) => {
            names.insert(name.clone(), *inode);
        }
        NameChange::Rename(from, to) => {
            // An earlier change that was lost may have taken the file away.
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
        NameChange::Remove(name) => {
            names.remove(name);
        }
    }
}
