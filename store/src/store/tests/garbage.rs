//! Files as no disk and no writer leaves them: overwritten, cut, lengthened, swapped, copied. A start may find little, but it
//! ends, nobody panics, and the store works.

use super::*;

impl World {
    /// Every file of the store but its lock and its format.
    fn files(&self) -> Vec<PathBuf> {
        let dirs = ["acks", "logs/a", "logs/b"].map(|dir| Path::new("/store").join(dir));
        let names = |dir: &PathBuf| {
            self.sim
                .list(dir)
                .unwrap()
                .into_iter()
                .map(|name| dir.join(name))
                .collect::<Vec<_>>()
        };
        dirs.iter().flat_map(names).collect()
    }

    fn spoil(&mut self) {
        let files = self.files();
        let path = files[self.random.usize(..files.len())].clone();
        let mut bytes = self.sim.bytes(&path);
        let at = self.random.usize(..=bytes.len());
        let to = (at + self.random.usize(..20_000)).min(bytes.len());
        match self.random.u8(..8) {
            0 => bytes.truncate(at),
            1 => bytes.extend(std::iter::repeat_with(|| self.random.u8(..)).take(to - at)),
            2 => bytes[at..to].fill(0),
            3 => bytes[at..to]
                .iter_mut()
                .for_each(|byte| *byte = self.random.u8(..)),
            4 if at < bytes.len() => bytes[at] ^= 1 << self.random.u8(..8),
            5 => {
                // A part of it once more, in another place.
                let part = bytes[at..to].to_vec();
                let place = self.random.usize(..=bytes.len()) / 8 * 8;
                bytes.splice(place..(place + part.len()).min(bytes.len()), part);
            }
            6 => {
                let near: Vec<_> = files
                    .iter()
                    .filter(|other| other.parent() == path.parent())
                    .collect();
                bytes = self.sim.bytes(near[self.random.usize(..near.len())]);
            }
            _ => {
                // Under another number.
                let dir = path.parent().unwrap();
                let copy = dir.join(crate::segment::Title::name(self.random.u64(..8)));
                self.replace(&copy, &bytes);
            }
        }
        self.replace(&path, &bytes);
    }

    fn replace(&self, path: &Path, bytes: &[u8]) {
        self.sim.remove(path).unwrap();
        self.sim.create(path).unwrap().write_at(0, bytes).unwrap();
    }
}

#[test]
fn whatever_the_files_say_a_start_ends_and_the_store_works() {
    each_seed(|mut world| {
        let mut running = start(&world.sim).unwrap();
        for _ in 0..world.random.usize(..50) {
            world.act(&mut running);
        }
        if world.random.bool() {
            running.round(true);
            running.committer.close();
        }
        drop(running);
        world.sim = world.sim.after_kill();
        for _ in 0..world.random.usize(1..12) {
            world.spoil();
        }
        for life in 0..3 {
            let mut running = start(&world.sim).unwrap();
            for name in ["a", "b"] {
                let (found, _) = running.all(name).unwrap();
                assert!(found.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
                let token = 1 << 40 | life;
                running.append(name, token, 100, 7).unwrap();
                running.round(true);
                let tokens = running.tokens(name);
                assert_eq!(
                    tokens.last(),
                    Some(&token),
                    "{name}: what is appended now is read"
                );
                running.log(name).acknowledge(0..u64::MAX);
                running.round(true);
                assert!(running.log(name).is_empty());
                running.append(name, token + 8, 100, 7).unwrap();
            }
            running.round(true);
            drop(running);
            world.sim = world.sim.after_kill();
            let running = start(&world.sim).unwrap();
            for name in ["a", "b"] {
                assert_eq!(running.tokens(name), [(1 << 40 | life) + 8], "{name}");
                running.log(name).acknowledge(0..u64::MAX);
            }
        }
    });
}

#[test]
fn a_name_that_only_looks_like_one_of_ours_is_left_alone() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    for token in 0..3 {
        running.append("a", token, 100, 7).unwrap();
    }
    running.log("a").acknowledge(0..1);
    running.round(true);
    drop(running);
    let sim = sim.after_kill();
    let mut strange = Vec::new();
    for digits in [
        "000000000000000A",
        "ffffffffffffffff",
        "+00000000000000a",
        "0000000000000x01",
        "1",
        "",
    ] {
        for path in ["logs/a/N.seg", "logs/a/N.unreadable", "acks/N.acks"] {
            let path = Path::new("/store").join(path.replace('N', digits));
            sim.create(&path).unwrap().write_at(0, b"mine").unwrap();
            strange.push(path);
        }
    }
    for _ in 0..2 {
        assert_eq!(start(&sim).unwrap().tokens("a"), [1, 2]);
        assert!(strange.iter().all(|path| sim.bytes(path) == b"mine"));
    }
}

#[test]
fn a_copy_of_a_log_is_refused_and_neither_is_written_to() {
    let sim = Sim::default();
    let mut running = start(&sim).unwrap();
    running.append("a", 1, 100, 7).unwrap();
    running.round(true);
    running.committer.close();
    drop(running);
    let sim = sim.after_kill();
    let name = crate::segment::Title::name(1);
    let (from, to) = (
        Path::new("/store/logs/a").join(&name),
        Path::new("/store/logs/b").join(&name),
    );
    let bytes = sim.bytes(&from);
    sim.create(&to).unwrap().write_at(0, &bytes).unwrap();
    let error = start(&sim).err().unwrap().to_string();
    assert!(error.contains("logs/a is a copy of it"), "{error}");
    assert_eq!((sim.bytes(&from), sim.bytes(&to)), (bytes.clone(), bytes));
    sim.remove(&to).unwrap();
    assert_eq!(start(&sim).unwrap().tokens("a"), [1]);
}
