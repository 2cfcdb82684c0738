//! Power cuts, kills, failed calls, flipped bits and full disks, at random.

use super::*;

#[test]
fn what_was_told_survives_any_power_cut() {
    each_seed(|mut world| {
        for _ in 0..4 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            let calls = world.random.u64(1..200);
            world.sim.arm(calls, Fault::PowerCut);
            for _ in 0..60 {
                world.act(&mut running);
            }
            if world.random.u8(..4) == 0 {
                running.committer.close();
            }
            world.learn(&running);
            world.sim = world.sim.after_power_cut(&mut world.random);
            // A start may lose its power, too.
            while world.random.bool() {
                let calls = world.random.u64(1..40);
                world.sim.arm(calls, Fault::PowerCut);
                drop(start(&world.sim));
                world.sim = world.sim.after_power_cut(&mut world.random);
            }
        }
    });
}

#[test]
fn what_was_told_survives_any_kill() {
    each_seed(|mut world| {
        for _ in 0..4 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            for _ in 0..world.random.usize(..40) {
                world.act(&mut running);
            }
            world.sim = world.sim.after_kill();
        }
    });
}

#[test]
fn after_a_failed_write_or_sync_nothing_told_is_lost() {
    each_seed(|mut world| {
        for _ in 0..4 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            let fault = if world.random.bool() {
                Fault::Sync
            } else {
                Fault::Write
            };
            let calls = world.random.u64(1..100);
            world.sim.arm(calls, fault);
            for _ in 0..60 {
                world.act(&mut running);
            }
            world.sim.disarm();
            world.sim = if world.random.bool() {
                world.sim.after_kill()
            } else {
                world.sim.after_power_cut(&mut world.random)
            };
        }
    });
}

#[test]
fn one_flipped_bit_costs_one_record_and_is_told() {
    each_seed(|mut world| {
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        for _ in 0..30 {
            world.append(&running, "a");
            running.round(world.random.u8(..4) == 0);
        }
        running.round(true);
        world.learn(&running);
        if world.random.bool() {
            running.committer.close();
        }
        world.sim = world.sim.after_kill();
        let dir = Path::new("/store/logs/a");
        let mut names = world.sim.list(dir).unwrap();
        names.sort_unstable();
        let name = &names[world.random.usize(..names.len())];
        let length = world.sim.bytes(&dir.join(name)).len();
        let (byte, bit) = (world.random.usize(..length), world.random.u8(..8));
        world.sim.flip(&dir.join(name), byte, bit);
        let running = start(&world.sim).unwrap();
        let (_, damaged) = running.all("a").unwrap();
        assert!(damaged <= 1, "{damaged} damaged by one bit");
        drop(running);
        let running = start(&world.sim.after_kill()).unwrap();
        world.models.values_mut().for_each(|model| {
            // What was found damaged was told, and need not be told again.
            if damaged == 1 {
                let found: BTreeSet<u64> = running.all("a").unwrap().0.iter().map(token_of).collect();
                model.told.retain(|token| found.contains(token));
            }
        });
        world.check(&running, true);
    });
}

/// What ends a file in the middle of its last records.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Torn {
    /// It is shorter.
    Cut,
    /// It reads as zeros from there on.
    Zeros,
}

#[test]
fn a_torn_end_at_every_byte_leaves_what_was_before() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..3 {
        running.append("a", token, 100, 7).unwrap();
    }
    running.round(false);
    let before = last_end(&running);
    // They take parts of a sector, and several.
    let mut ends = Vec::new();
    for (token, bytes) in (3..).zip([9, 16, 700, 1_400, 60]) {
        running.append("a", token, bytes, 7).unwrap();
        let written = running.log("a").lock().batch.bytes.len() as u64;
        ends.push(usize::try_from(before + written).unwrap());
    }
    running.round(false);
    let (before, after) = (usize::try_from(before).unwrap(), ends[ends.len() - 1]);
    assert_eq!(after as u64, last_end(&running));
    assert_eq!(running.tokens("a"), Vec::from_iter(0..8));
    drop(running);
    let path = Path::new("/store/logs/a").join(crate::segment::Title::name(1));
    let bytes = sim.bytes(&path);
    let mut looked = 0;
    for (place, torn) in (before..after).flat_map(|place| [(place, Torn::Cut), (place, Torn::Zeros)]) {
        let sim = sim.after_kill();
        match torn {
            Torn::Cut => sim.cut(&path, place),
            Torn::Zeros => sim.overwrite(&path, place, &vec![0; bytes.len() - place]),
        }
        // A record is there whose last bytes are, or are zeros anyway.
        let is_whole = |end: &&usize| match torn {
            Torn::Cut => **end <= place,
            Torn::Zeros => bytes[place.min(**end)..**end].iter().all(|byte| *byte == 0),
        };
        let whole = ends.iter().take_while(is_whole).count() as u64;
        let running = start(&sim).unwrap();
        let (found, damaged) = running.all("a").unwrap();
        let found: Vec<u64> = found.iter().map(token_of).collect();
        assert_eq!(found, Vec::from_iter(0..3 + whole), "{torn:?} at {place}");
        if torn == Torn::Cut || place % 512 == 0 {
            // No disk leaves a part of a sector; a start may take that for damage.
            assert_eq!(damaged, 0, "{torn:?} at {place}");
        }
        looked += 1;
    }
    assert_eq!(looked, 2 * (after - before));
    assert!(after - before > 4 * 512, "several sectors are torn");
}

fn last_end(running: &Running) -> u64 {
    running.log("a").lock().segments.back().unwrap().end
}

#[test]
fn what_a_failed_sync_left_in_memory_only_is_not_built_upon() {
    let mut seen = 0;
    for calls in 0..40 {
        let mut world = World::new(7);
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        world.append(&running, "a");
        running.round(true);
        world.learn(&running);
        world.append(&running, "a");
        world.sim.arm(calls, Fault::Sync);
        running.round(false);
        world.sim.disarm();
        world.learn(&running);
        seen += u64::from(running.log("a").failure().is_some());
        drop(running);
        // The process ends, and memory still shows all of it.
        world.sim = world.sim.after_kill();
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        world.append(&running, "a");
        running.round(true);
        world.learn(&running);
        drop(running);
        for _ in 0..10 {
            let mut world = World {
                sim: world.sim.after_power_cut(&mut world.random),
                random: world.random.clone(),
                models: world.models.clone(),
                tokens: world.tokens,
                interval: false,
            };
            let running = start(&world.sim).unwrap();
            world.check(&running, false);
        }
    }
    assert!(seen > 0, "no sync failed");
}

#[test]
fn a_full_disk_is_no_failure_and_nothing_told_is_lost() {
    each_seed(|mut world| {
        let mut running = start(&world.sim).unwrap();
        world.check(&running, false);
        for capacity in [200_000, 400_000, 100_000, 2_000_000] {
            world.sim.set_capacity(Some(capacity));
            for _ in 0..20 {
                world.act(&mut running);
            }
            for name in ["a", "b"] {
                assert_eq!(running.log(name).failure(), None);
            }
        }
        world.sim.set_capacity(None);
        running.round(true);
        running.round(true);
        world.learn(&running);
        for (name, model) in &world.models {
            // What waited for room has found it, in its order.
            assert_eq!(running.log(name).holding().unsynced, 0, "{name}");
            assert_eq!(model.told.len(), model.appended.len(), "{name}");
        }
        world.sim = world.sim.after_power_cut(&mut world.random);
        let running = start(&world.sim).unwrap();
        world.check(&running, false);
    });
}

#[test]
fn what_was_told_survives_kills_and_power_cuts_in_any_order() {
    each_seed(|mut world| {
        for _ in 0..6 {
            let mut running = start(&world.sim).unwrap();
            world.check(&running, false);
            for _ in 0..world.random.usize(..40) {
                world.act(&mut running);
            }
            if world.random.u8(..3) == 0 {
                // Everything goes, so that the next start finds a log that is empty.
                running.round(true);
                world.acknowledge_all(&running, "a");
                running.round(true);
                running.committer.close();
                running.round(true);
            }
            world.learn(&running);
            world.sim = if world.random.bool() {
                world.sim.after_kill()
            } else {
                world.sim.after_power_cut(&mut world.random)
            };
        }
    });
}

#[test]
fn with_an_interval_only_what_was_not_synced_is_lost_and_none_of_it_is_damage() {
    let settings = || Settings {
        sync: Sync::Interval(Duration::from_secs(3600)),
        ..settings()
    };
    each_seed(|mut world| {
        world.interval = true;
        for _ in 0..4 {
            let mut running = start_with(&world.sim, settings(), &bounds()).unwrap();
            world.check(&running, false);
            let mut durable = BTreeSet::new();
            let before = ["a", "b"].map(|name| (name, running.log(name).lock().next));
            let before = BTreeMap::from(before);
            let calls = world.random.u64(1..300);
            world.sim.arm(calls, Fault::PowerCut);
            for _ in 0..world.random.usize(..60) {
                world.act(&mut running);
                if world.random.u8(..8) == 0 {
                    running.round(true);
                    world.learn(&running);
                    if running.log("a").is_failed() || running.log("b").is_failed() {
                        break;
                    }
                    durable.extend(world.models.values().flat_map(|model| model.told.iter().copied()));
                }
            }
            // What was appended and written was told, without any sync.
            running.round(false);
            world.learn(&running);
            let off = world.sim.is_off();
            for name in ["a", "b"] {
                let log = running.log(name);
                if off {
                    continue;
                }
                let told = |token: &u64| world.models[name].told.contains(token);
                let state = log.lock();
                let own = world.models[name].appended.range(before[name]..);
                assert!(state.batch.tokens.is_empty() && own.map(|(_, token)| token).all(told));
            }
            if !off && world.random.bool() {
                world.sim = world.sim.after_kill();
            } else {
                world.sim = world.sim.after_power_cut(&mut world.random);
                for model in world.models.values_mut() {
                    model.told.retain(|token| durable.contains(token));
                }
            }
        }
    });
}

#[test]
fn a_start_that_loses_its_power_at_any_call_has_lost_nothing() {
    let mut ends = 0;
    for seed in 0..12 {
        let mut world = World::new(seed);
        let mut running = start(&world.sim).unwrap();
        for _ in 0..3 {
            world.append(&running, "a");
            running.round(false);
        }
        world.learn(&running);
        if seed % 2 == 0 {
            // A tail that nobody was told of.
            world.append(&running, "a");
            world.sim.arm(seed % 4, Fault::PowerCut);
            running.round(false);
        }
        world.sim = world.sim.after_power_cut(&mut world.random);
        for call in 0.. {
            let sim = world.sim.after_kill();
            sim.arm(call, Fault::PowerCut);
            let whole = start(&sim).is_ok();
            for _ in 0..6 {
                let mut after = World {
                    sim: sim.after_power_cut(&mut world.random),
                    random: world.random.clone(),
                    models: world.models.clone(),
                    ..World::new(seed)
                };
                let running = start(&after.sim).unwrap();
                after.check(&running, false);
            }
            if whole {
                ends += 1;
                break;
            }
        }
    }
    assert_eq!(ends, 12);
}

#[test]
fn a_stranger_among_the_logs_is_left_alone() {
    let sim = Sim::default();
    drop(start(&sim).unwrap());
    sim.create(Path::new("/store/logs/notes.txt"))
        .unwrap()
        .write_at(0, b"mine")
        .unwrap();
    let mut running = start(&sim).unwrap();
    running.append("a", 0, 10, 7).unwrap();
    running.round(true);
    assert_eq!(start(&sim.after_kill()).unwrap().tokens("a"), [0]);
    assert_eq!(sim.bytes(Path::new("/store/logs/notes.txt")), b"mine");
    assert!(
        running
            .store
            .unopened()
            .unwrap()
            .contains(&"notes.txt".to_owned())
    );
}
