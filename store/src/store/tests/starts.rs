//! Starts that are ended in the middle of what they mend.

use super::*;

#[test]
fn what_was_told_survives_starts_that_are_killed_at_any_call() {
    for seed in 0..6 {
        let mut calls = 0;
        while ends_starts(seed, calls) {
            calls += 1;
        }
        assert!(calls > 50, "{calls} calls are no start");
    }
}

/// A log that nobody opens, as the place that it was of is gone: looked at, it stays what it is.
#[test]
fn what_is_left_of_a_log_that_is_gone_says_whether_it_holds_anything() {
    let mut world = World::new(1);
    let mut running = start(&world.sim).unwrap();
    world.append(&running, "a");
    running.round(true);
    world.learn(&running);
    let empty = |sim: &Sim| {
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let keeper: Arc<dyn Keeper<u64>> = Arc::new(Told::default());
        let (store, _committer) = Store::assemble(disk, settings(), &[], keeper, Spares::none()).unwrap();
        assert_eq!(store.unopened().unwrap(), ["a", "b"]);
        ["a", "b"].map(|name| store.is_empty(name).unwrap())
    };
    drop(running);
    world.sim = world.sim.after_kill();
    for _ in 0..2 {
        assert_eq!(empty(&world.sim), [false, true]);
        world.sim = world.sim.after_kill();
    }
    let mut running = start(&world.sim).unwrap();
    let model = world.models.get_mut("a").unwrap();
    let all = 0..model.appended.len() as u64;
    running.log("a").acknowledge(all.clone());
    model.acknowledged.extend(all);
    running.round(true);
    drop(running);
    world.sim = world.sim.after_kill();
    assert_eq!(empty(&world.sim), [true, true]);
}

#[test]
fn a_store_in_directories_that_it_made_survives_a_power_cut() {
    let settings = || Settings {
        path: PathBuf::from("/a/b/c/store"),
        ..settings()
    };
    let mut random = fastrand::Rng::with_seed(3);
    for calls in 0.. {
        let sim = Sim::default();
        // The first start may end anywhere: the one that takes something sees to it that it stays.
        sim.arm(calls, Fault::PowerCut);
        let whole = start_with(&sim, settings(), &bounds()).is_ok();
        let sim = sim.after_kill();
        let mut running = start_with(&sim, settings(), &bounds()).unwrap();
        running.append("a", 5, 100, 7).unwrap();
        running.round(true);
        for _ in 0..20 {
            let sim = sim.after_power_cut(&mut random);
            let running = start_with(&sim, settings(), &bounds()).unwrap();
            assert_eq!(running.tokens("a"), [5], "the first start ended at call {calls}");
        }
        if whole {
            assert!(calls > 20, "{calls} calls are no start");
            break;
        }
    }
}

/// A log whose end nothing marks, so that a start copies it; and two starts that end at this call, of which the second
/// mends what the first one left. Says whether any of them ended.
fn ends_starts(seed: u64, calls: u64) -> bool {
    let mut world = World::new(seed);
    let mut running = start(&world.sim).unwrap();
    world.check(&running, false);
    let mut tail = 0;
    for _ in 0..5 {
        tail = world.models["a"].appended.len() as u64;
        world.append(&running, "a");
        running.round(false);
        world.learn(&running);
    }
    drop(running);
    let mut ended = 0;
    for _ in 0..2 {
        world.sim = world.sim.after_kill();
        world.sim.arm(calls, Fault::PowerCut);
        ended += usize::from(start(&world.sim).is_err());
    }
    world.sim = world.sim.after_kill();
    let mut running = start(&world.sim).unwrap();
    world.check(&running, false);
    // The copy goes, others come, and the segment that it was made from is still there.
    let model = world.models.get_mut("a").unwrap();
    let end = model.appended.len() as u64;
    running.log("a").acknowledge(tail..end);
    model.acknowledged.extend(tail..end);
    running.round(true);
    world.learn(&running);
    world.append(&running, "a");
    running.round(false);
    world.learn(&running);
    drop(running);
    world.sim = world.sim.after_kill();
    let running = start(&world.sim).unwrap();
    world.check(&running, false);
    let set_aside = world.sim.list(Path::new("/store/quarantine")).unwrap();
    assert_eq!(set_aside, [""; 0], "seed {seed}, killed at call {calls}");
    ended > 0
}
