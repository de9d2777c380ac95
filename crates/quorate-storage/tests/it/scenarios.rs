//! What a node, an operator or a disk does, one story each.

use quorate_core::{LogId, LogIndex, Rng};
use quorate_storage::{
    BitPlace, CrashMode, Damage, Fault, Journal, OpenError, Options, SimDisk, WriteError,
};

use crate::model::{amount, ballot, entries, snapshot};
use crate::world::World;

#[test]
fn a_batch_is_one_write_and_one_sync() {
    let mut world = World::new(1, 8 << 20);
    let before = world.disk.counters();
    for i in 1..=500 {
        world.write(entries(1, i, i, 200));
    }
    world.write(ballot(4));
    world.sync();
    let after = world.disk.counters();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 1));
    world.sync();
    assert_eq!(world.disk.counters(), after, "nothing to sync, nothing done");
}

#[test]
fn a_torn_tail_is_reported() {
    let mut world = World::new(1, 4096);
    world.write(ballot(1));
    world.sync();
    world.write(ballot(2));
    // The power fails between the write and the sync; half of the record has arrived.
    world.disk.inject(Fault::WriteFails);
    assert!(world.journal().sync().is_err());
    world.crash(CrashMode::LoseNone);
    let recovered = world.open();
    assert_eq!(recovered, amount(&[ballot(1)]));
    let torn = world.journal().opened().torn.clone().expect("it was torn");
    assert!(torn.segment.starts_with("journal-") && torn.offset > 0);
    world.crash(CrashMode::LoseAll);
    world.open();
    assert_eq!(world.journal().opened().torn, None, "reported once");
}

#[test]
fn settling_turns_rot_in_the_last_batch_into_damage() {
    for settled in [false, true] {
        let mut world = World::new(1, 4096);
        let name = segments(&world.disk).remove(0);
        let before = world.disk.durable(&name).unwrap();
        world.write(ballot(1));
        world.sync();
        let after = world.disk.durable(&name).unwrap();
        let offset = (0..after.len()).find(|at| before[*at] != after[*at]).unwrap() as u64;
        if settled {
            world.journal().settle().unwrap();
            let counters = world.disk.counters();
            world.journal().settle().unwrap();
            assert_eq!(world.disk.counters(), counters, "settled already");
        }
        assert!(world.disk.flip_bit(&BitPlace { name, offset, bit: 0 }));
        world.crash(CrashMode::LoseAll);
        let opened = Journal::open(world.disk.attach(), world.options.clone());
        let refused = matches!(opened, Err(OpenError::Damaged { damage: Damage::Record, .. }));
        assert_eq!(refused, settled);
    }
}

#[test]
fn recycling_keeps_the_folder_small() {
    let mut world = World::new(1, 1024);
    let mut most = 0;
    for i in 1..=400 {
        world.write(entries(1, i, i, 100));
        if i % 10 == 0 {
            world.write(snapshot(LogId::new(1, i - 2), 50, i));
        }
        world.sync();
        most = most.max(world.disk.names().len());
    }
    assert!(most <= 9, "{most} files");
    world.crash(CrashMode::LoseAll);
    let recovered = world.open();
    assert_eq!(recovered.entries.len(), 2);
}

#[test]
fn a_ballot_outlives_the_segment_it_was_written_to() {
    let mut world = World::new(1, 1024);
    world.write(ballot(9));
    for i in 1..=60 {
        world.write(entries(1, i, i, 100));
    }
    world.write(snapshot(LogId::new(1, 60), 10, 1));
    world.sync();
    world.crash(CrashMode::LoseAll);
    assert_eq!(world.open().ballot, amount(&[ballot(9)]).ballot);
    assert_eq!(segments(&world.disk).len(), 1, "the ballot's segment is gone");
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let mut world = World::new(1, 1024);
    world.write(entries(1, 1, 1, 30_000));
    world.write(entries(1, 2, 2, 10));
    world.sync();
    for _ in 0..2 {
        world.crash(CrashMode::LoseAll);
        assert_eq!(world.open().entries.len(), 2);
    }
    world.write(snapshot(LogId::new(1, 2), 10, 1));
    world.sync();
    world.crash(CrashMode::LoseAll);
    world.open();
    assert!(world.disk.used() < 10_000, "it is not kept as a spare");
}

#[test]
fn a_snapshot_ahead_of_the_log_replaces_it() {
    let mut world = World::new(1, 1024);
    world.write(entries(1, 1, 10, 10));
    world.write(snapshot(LogId::new(3, 50), 10, 1));
    let gap = world.journal().write(&entries(3, 11, 11, 10));
    assert!(matches!(gap, Err(WriteError::Misplaced { tip: LogIndex(50), .. })));
    world.write(entries(3, 51, 52, 10));
    world.sync();
    world.crash(CrashMode::LoseAll);
    let recovered = world.open();
    assert_eq!(recovered.entries[0].id, LogId::new(3, 51));
    assert_eq!(recovered.commit, LogIndex(50));
}

#[test]
fn a_snapshot_of_another_history_drops_the_log() {
    let mut world = World::new(1, 1024);
    world.write(entries(1, 1, 10, 10));
    world.write(snapshot(LogId::new(2, 5), 10, 1));
    world.sync();
    world.crash(CrashMode::LoseAll);
    assert_eq!(world.open().entries, []);
}

#[test]
fn a_snapshot_of_the_log_keeps_what_is_behind_it() {
    let mut world = World::new(1, 1024);
    world.write(entries(1, 1, 10, 10));
    world.write(snapshot(LogId::new(1, 5), 10, 1));
    let older = snapshot(LogId::new(1, 4), 10, 1);
    world.journal().write(&older).unwrap();
    world.sync();
    world.crash(CrashMode::LoseAll);
    let recovered = world.open();
    assert_eq!(recovered.entries.len(), 5);
    assert_eq!(recovered.snapshot.unwrap().last, LogId::new(1, 5), "older ones are skipped");
}

#[test]
fn what_is_committed_is_never_overwritten() {
    let mut world = World::new(1, 4096);
    world.write(entries(1, 1, 10, 10));
    world.write(quorate_core::Record::Commit(LogIndex(6)));
    for (bad, first) in [(entries(2, 6, 9, 1), 6), (entries(2, 12, 12, 1), 12)] {
        match world.journal().write(&bad) {
            Err(WriteError::Misplaced { first: f, tip, commit }) => {
                assert_eq!((f.0, tip.0, commit.0), (first, 10, 6));
            }
            other => panic!("{other:?}"),
        }
    }
    world.write(entries(2, 7, 7, 1));
    world.sync();
    world.crash(CrashMode::LoseAll);
    assert_eq!(world.open().entries.len(), 7);
}

#[test]
fn a_missing_or_damaged_file_is_refused_by_name() {
    let aged = || {
        let mut world = World::new(1, 1024);
        for i in 1..=40 {
            world.write(entries(1, i, i, 100));
        }
        world.write(snapshot(LogId::new(1, 12), 10, 1));
        world.sync();
        world.crash(CrashMode::LoseAll);
        world
    };
    let open = |world: &World| Journal::open(world.disk.attach(), world.options.clone());
    let world = aged();
    let names = world.disk.names();
    for name in names.iter().filter(|name| !name.starts_with("spare")) {
        let world = aged();
        world.disk.attach().remove(name).unwrap();
        let refused = open(&world);
        let newest = Some(name) == segments(&world.disk).last();
        assert!(refused.is_err() || newest, "{name} removed: {refused:?}");
        let world = aged();
        assert!(world.disk.flip_bit(&BitPlace { name: name.clone(), offset: 20, bit: 1 }));
        let refused = open(&world).expect_err("damaged");
        let (OpenError::Damaged { segment: culprit, .. }
        | OpenError::SnapshotDamaged { name: culprit }) = &refused
        else {
            panic!("{refused}")
        };
        assert_eq!(culprit, name);
        assert!(refused.to_string().contains("restore the folder"));
    }
    for name in segments(&world.disk) {
        world.disk.attach().remove(&name).unwrap();
    }
    assert!(matches!(open(&world), Err(OpenError::JournalMissing)));
}

#[test]
fn a_newer_format_is_named() {
    let mut world = World::new(1, 1024);
    world.crash(CrashMode::LoseNone);
    let name = segments(&world.disk).remove(0);
    assert!(world.disk.flip_bit(&BitPlace { name, offset: 8, bit: 1 }));
    let refused = Journal::open(world.disk.attach(), world.options.clone());
    assert!(matches!(refused, Err(OpenError::UnknownFormat { version: 3, .. })));
}

#[test]
fn no_room_for_a_snapshot_is_an_error_that_passes() {
    let mut world = World::new(1, 4096);
    world.write(entries(1, 1, 9, 10));
    world.disk.set_capacity(Some(world.disk.used() + 100));
    let refused = world.journal().write(&snapshot(LogId::new(1, 5), 10_000, 1));
    assert!(matches!(refused, Err(WriteError::Full { .. })));
    world.write(ballot(5));
    world.sync();
    world.disk.set_capacity(None);
    world.write(snapshot(LogId::new(1, 5), 10_000, 1));
    world.sync();
    world.crash(CrashMode::LoseAll);
    assert_eq!(world.open().entries.len(), 4);
}

#[test]
fn the_size_of_segments_may_change_between_starts() {
    let mut world = World::new(1, 4096);
    for segment_bytes in [1024, 16_384, 512] {
        let next = world.records.len() as u64 + 1;
        for i in next..next + 40 {
            world.write(entries(1, i, i, 50));
        }
        world.sync();
        world.crash(CrashMode::LoseAll);
        world.options = Options::default().segment_bytes(segment_bytes);
        world.open();
    }
}

/// A life with changes of segments, a snapshot and recycling; `false` once the power fails.
fn live(world: &mut World) -> bool {
    (1..=24).all(|i| {
        world.try_write(entries(1, i, i, 100))
            && (i % 5 != 0 || world.try_write(ballot(i)))
            && (i % 8 != 0 || world.try_write(snapshot(LogId::new(1, i - 3), 40, i)))
            && (i % 2 != 0 || world.try_sync())
    })
}

#[test]
fn the_power_may_fail_at_any_step() {
    for mode in CrashMode::ALL {
        for step in 0.. {
            let mut world = World::new(step, 512);
            world.disk.cut_power_after(step);
            let whole = live(&mut world);
            world.crash(mode);
            world.open();
            if whole {
                assert!(step > 100, "only {step} steps");
                break;
            }
        }
    }
}

/// A process ends anywhere, and while the next one starts on what the page cache shows, the power
/// fails.
#[test]
fn the_power_may_fail_at_any_step_of_a_start() {
    for step in 0.. {
        let mut world = World::new(step, 512);
        world.disk.cut_power_after(step);
        let whole = live(&mut world);
        world.crash(CrashMode::LoseNone);
        let image = world.disk.image();
        for start in 0.. {
            world.disk.restore(&image);
            world.disk.cut_power_after(start);
            let opened = Journal::open(world.disk.attach(), world.options.clone());
            let started = opened.is_ok();
            let (records, durable) = (world.records.clone(), world.durable);
            for mode in [CrashMode::LoseAll, CrashMode::LoseSubset] {
                let image = world.disk.image();
                world.crash(mode);
                world.open();
                world.disk.restore(&image);
                (world.records, world.durable) = (records.clone(), durable);
            }
            if started {
                break;
            }
        }
        if whole {
            break;
        }
    }
}

/// What is on the disks of users must stay readable: a change here is a new version of the format.
#[test]
fn the_format_is_what_it_was() {
    let mut world = World::new(1, 512);
    world.write(ballot(7));
    world.sync();
    world.journal().settle().unwrap();
    world.write(entries(1, 1, 1, 2));
    world.write(snapshot(LogId::new(1, 1), 3, 9));
    world.sync();
    let hex = |name: &str| {
        let bytes = world.disk.durable(name).unwrap();
        let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        let digits = |chunk: &[u8]| chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes[..end.next_multiple_of(8).min(bytes.len())]
            .chunks(8)
            .map(digits)
            .collect::<Vec<String>>()
    };
    assert_eq!(hex("journal-0000000000000001").join(" "), JOURNAL);
    assert_eq!(hex("snapshot-0000000000000001").join(" "), SNAPSHOT);
}

const JOURNAL: &str = "\
    71756f726a726e6c 010000000a000000 0100000000000000 0000000000000000 0000000000000000 \
    0000000000000000 babf465200000000 0000000000000000 0000000000000000 c3428cf106000000 \
    0000000000000000 0000000001000000 010701026e320000 1a94b21b00000000 2000000000000000 \
    0000000003000000 3a65102b09000000 3800000000000000 0000000001000000 0301010101010201 \
    0100000000000000 6316eddb03000000 6000000000000000 2800000002000000 0101010000000000";
const SNAPSHOT: &str = "\
    71756f72736e6170 010000000d000000 0300000000000000 335e255d00000000 01010101026e3100 \
    6400000000c28f70 0b090909";

#[test]
fn a_journal_can_live_on_a_thread_of_its_own() {
    const fn sendable<T: Send>() {}
    sendable::<Journal>();
    sendable::<SimDisk>();
    sendable::<quorate_storage::FileDisk>();
}

/// The hooks for faults that no journal can survive alone do what they say.
#[test]
fn lying_syncs_misdirected_writes_and_old_images_are_simulated() {
    let disk = SimDisk::new();
    let mut attached = disk.attach();
    let mut file = attached.open("a").unwrap();
    attached.sync_names().unwrap();
    file.write_at(0, &[1; 1024]).unwrap();
    file.sync().unwrap();
    let image = disk.image();
    disk.inject(Fault::WriteMisdirected { to: 512 });
    file.write_at(0, &[2; 8]).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.durable("a").unwrap()[..8], [1; 8]);
    assert_eq!(disk.durable("a").unwrap()[512..520], [2; 8]);
    disk.inject(Fault::SyncLies);
    file.write_at(0, &[3; 8]).unwrap();
    file.sync().unwrap();
    disk.inject(Fault::ReadFails);
    assert!(file.read_at(0, &mut [0; 8]).is_err());
    assert_eq!(disk.counters().faults_fired, 3);
    disk.crash(&mut Rng::seeded(1), CrashMode::LoseAll);
    assert_eq!(disk.visible("a").unwrap()[..8], [1; 8]);
    assert!(file.write_at(0, &[4; 8]).is_err(), "a dead process writes nothing");
    disk.restore(&image);
    assert_eq!(disk.visible("a").unwrap(), [1; 1024]);
    disk.wipe();
    assert_eq!(disk.names(), [""; 0]);
}

fn segments(disk: &SimDisk) -> Vec<String> {
    disk.names().into_iter().filter(|name| name.starts_with("journal")).collect()
}
