//! One property per invariant of the crate.

use proptest::prelude::*;
use quorate_core::{LogId, Record};
use quorate_storage::{
    BitPlace, CrashMode, Fault, Journal, OpenError, Options, SimDisk, WriteError,
};

use crate::model::{ballot, entries, snapshot};
use crate::world::World;

fn mode() -> impl Strategy<Value = CrashMode> {
    prop::sample::select(CrashMode::ALL.to_vec())
}

/// A journal with a history of several segments and a snapshot; everything in it is durable.
fn aged(seed: u64) -> World {
    let mut world = World::new(seed, 1024);
    for i in 0..30 {
        world.write(entries(1, i * 3 + 1, i * 3 + 3, 20));
        if i == 20 {
            world.write(snapshot(LogId::new(1, 40), 300, 7));
        }
        world.write(ballot(i));
        if i % 3 == 0 {
            world.sync();
        }
    }
    world.sync();
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn j1_a_synced_record_survives_every_crash(seed in any::<u64>(), mode in mode()) {
        let mut world = aged(seed);
        for i in 0..world.rng.below(4) {
            world.write(entries(2, 91 + i, 91 + i, 300));
        }
        world.crash(mode);
        world.open();
    }

    /// Any script of writes, syncs, faults and crashes, also of the start itself, with segments
    /// small enough to be changed and recycled all the time.
    #[test]
    fn j2_a_start_recovers_a_first_part_of_what_was_written(
        seed in any::<u64>(),
        segment_bytes in prop::sample::select(vec![512_u64, 1024, 4096]),
    ) {
        let mut world = World::new(seed, segment_bytes);
        for _ in 0..120 {
            world.step();
        }
        world.disk.set_capacity(None);
        world.restart();
    }

    /// One flipped bit, anywhere: the start refuses, or nothing is missing.
    #[test]
    fn j3_damage_before_the_tail_is_refused_and_nothing_is_changed(
        seed in any::<u64>(),
        settled in any::<bool>(),
    ) {
        let mut world = aged(seed);
        if settled {
            world.journal().settle().unwrap();
        } else {
            // A start rests on nothing that it did not make durable.
            world.crash(CrashMode::LoseAll);
            world.open();
        }
        let (sum, image) = (world.sum(), world.disk.image());
        for _ in 0..40 {
            world.disk.restore(&image);
            let place = world.disk.flip_random_bit(&mut world.rng).unwrap();
            let found = world.disk.image();
            match Journal::open(world.disk.attach(), world.options.clone()) {
                Ok((_, recovered)) => prop_assert_eq!(&recovered, &sum, "{:?}", place),
                Err(OpenError::Disk { .. } | OpenError::Full { .. }) => prop_assert!(false),
                Err(_) => {
                    let after = world.disk.image();
                    world.disk.restore(&found);
                    let before: Vec<_> = content(&world.disk);
                    world.disk.restore(&after);
                    prop_assert_eq!(content(&world.disk), before);
                }
            }
        }
    }

    /// What a crash leaves of a batch that was never durable is cut, in whatever order it arrived.
    #[test]
    fn j3_a_torn_tail_is_cut(seed in any::<u64>()) {
        let mut world = World::new(seed, 16_384);
        world.write(ballot(1));
        world.sync();
        for i in 1..=12 {
            let size = world.rng.below(900) as usize;
            world.write(entries(2, i, i, size));
        }
        // Handed to the file system, but the power fails before the sync.
        world.disk.cut_power_after(1);
        prop_assert!(world.journal().sync().is_err());
        world.crash(CrashMode::LoseSubset);
        world.open();
    }

    /// Two lives write records of the same sizes to the same places; those of the first never
    /// reappear behind those of the second.
    #[test]
    fn j4_a_recycled_record_never_comes_back(seed in any::<u64>(), mode in mode()) {
        let mut world = World::new(seed, 1024);
        for life in 1..8 {
            for i in 0..world.rng.between(1, 12) {
                world.write(ballot(life * 64 + i));
                if world.rng.chance(300_000) {
                    world.sync();
                }
            }
            world.crash(mode);
            world.open();
        }
    }

    #[test]
    fn j5_after_a_failure_nothing_more_is_accepted(
        seed in any::<u64>(),
        fault in prop::sample::select(vec![Fault::SyncFails, Fault::WriteFails]),
        mode in mode(),
    ) {
        let mut world = aged(seed);
        world.write(ballot(99));
        world.disk.inject(fault);
        let disk_failed = matches!(world.journal().sync(), Err(WriteError::Disk { .. }));
        prop_assert!(disk_failed);
        for _ in 0..2 {
            let refused = world.journal().write(&ballot(100));
            prop_assert!(matches!(refused, Err(WriteError::Poisoned)));
            let refused = world.journal().sync();
            prop_assert!(matches!(refused, Err(WriteError::Poisoned)));
            let refused = world.journal().settle();
            prop_assert!(matches!(refused, Err(WriteError::Poisoned)));
        }
        world.crash(mode);
        world.open();
    }

    /// A process dies after a failed fsync, another recovers what the page cache shows, and then
    /// the power fails.
    #[test]
    fn j6_what_a_start_returns_is_durable(seed in any::<u64>(), lost in any::<bool>()) {
        let mut world = aged(seed);
        world.write(ballot(99));
        world.write(entries(2, 91, 92, 100));
        if lost {
            world.disk.inject(Fault::SyncFails);
        } else {
            world.disk.cut_power_after(1);
        }
        prop_assert!(world.journal().sync().is_err());
        world.crash(CrashMode::LoseNone);
        let first = world.open();
        world.crash(CrashMode::LoseAll);
        prop_assert_eq!(world.open(), first);
    }

    #[test]
    fn j7_a_full_disk_loses_nothing_and_prevents_no_start(seed in any::<u64>(), mode in mode()) {
        let mut world = World::new(seed, 1024);
        world.disk.set_capacity(Some(world.disk.used() + world.rng.below(3_000)));
        let refused = loop {
            let next = world.records.len() as u64 + 1;
            let record = entries(1, next, next, 50);
            match world.journal().write(&record) {
                Ok(()) => world.records.push(record),
                Err(error) => break error,
            }
        };
        let full = matches!(refused, WriteError::Full { .. });
        prop_assert!(full);
        world.sync();
        world.crash(mode);
        let recovered = world.open();
        prop_assert_eq!(recovered.entries.len(), world.records.len());
        world.disk.set_capacity(None);
        for _ in 0..30 {
            let next = world.records.len() as u64 + 1;
            world.write(entries(1, next, next, 50));
        }
        world.sync();
        world.crash(CrashMode::LoseAll);
        world.open();
    }
}

/// The last records of a sealed segment are missed although nothing behind them refers to them.
#[test]
fn j3_rot_at_the_end_of_a_sealed_segment_is_refused() {
    let mut world = World::new(1, 1024);
    let sealed = world.disk.names().into_iter().find(|name| name.starts_with("journal")).unwrap();
    let before = world.disk.visible(&sealed).unwrap();
    // The entry keeps the segment from being recycled.
    world.write(entries(1, 1, 1, 10));
    while world.disk.names().iter().filter(|name| name.starts_with("journal")).count() == 1 {
        let next = world.records.len() as u64;
        world.write(ballot(next));
    }
    world.sync();
    let after = world.disk.visible(&sealed).unwrap();
    let last = (0..after.len()).rev().find(|at| before[*at] != after[*at]).unwrap() as u64;
    assert!(world.disk.flip_bit(&BitPlace { name: sealed, offset: last, bit: 0 }));
    let refused = Journal::open(world.disk.attach(), world.options.clone());
    assert!(matches!(refused, Err(OpenError::Damaged { .. })));
}

fn content(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    disk.names().into_iter().map(|name| (name.clone(), disk.visible(&name).unwrap())).collect()
}

/// A later record proves that an earlier one was durable, without any settling.
#[test]
fn j3_rot_before_the_last_batch_is_refused() {
    let disk = SimDisk::new();
    let options = || Options::default().segment_bytes(4096);
    let (mut journal, _) = Journal::open(disk.attach(), options()).unwrap();
    let name = disk.names().into_iter().find(|name| name.starts_with("journal")).unwrap();
    let before = disk.visible(&name).unwrap();
    journal.write(&ballot(1)).unwrap();
    journal.sync().unwrap();
    let after = disk.visible(&name).unwrap();
    journal.write(&ballot(2)).unwrap();
    journal.sync().unwrap();
    let image = disk.image();
    let changed: Vec<usize> = (0..before.len()).filter(|at| before[*at] != after[*at]).collect();
    assert!(changed.len() > 10);
    for at in changed {
        disk.restore(&image);
        assert!(disk.flip_bit(&BitPlace { name: name.clone(), offset: at as u64, bit: 2 }));
        let refused = Journal::open(disk.attach(), options());
        let Err(OpenError::Damaged { segment, offset, .. }) = refused else {
            panic!("byte {at}: {refused:?}")
        };
        assert!(segment == name && offset <= at as u64);
    }
    disk.restore(&image);
    let (_, recovered) = Journal::open(disk.attach(), options()).unwrap();
    assert_eq!(Record::Ballot(recovered.ballot), ballot(2));
}
