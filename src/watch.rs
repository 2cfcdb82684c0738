//! Notices that a configuration file changed: what SIGHUP asks for by hand.
//!
//! Polls, for the one case that counts has no useful event: Kubernetes swaps a symbolic link behind a mounted
//! ConfigMap. Every poll looks at link target, inode, size and time; only when one of these moved are the contents
//! read and hashed, so a `touch` reloads nothing. Files named by `${file:...}` are not watched: rotate them, then SIGHUP.
//!
//! Does not know what the files say. A file that cannot be read counts as a change, and loading it then says why.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often is looked.
pub const POLL_EVERY: Duration = Duration::from_secs(2);

/// Contents must stand still for so long before they count: an editor may write in two steps.
const SETTLE: Duration = Duration::from_millis(250);

/// How often contents may move on before they count all the same.
const SETTLES_MAX: u32 = 20;

/// Most bytes of one file that are hashed; the loader refuses longer ones anyway.
const HASHED_MAX: u64 = 16 << 20;

/// Looks at files, and at the `*.yaml` of directories.
pub struct Watch {
    paths: Vec<PathBuf>,
    seen: Look,
}

/// What a look found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Look {
    outside: u64,
    contents: u64,
}

impl Watch {
    /// Takes what stands there now as known; make it before loading, so that no change falls in between.
    #[must_use]
    pub fn new(paths: &[PathBuf]) -> Watch {
        Watch {
            paths: paths.to_vec(),
            seen: look(paths, None),
        }
    }

    /// Returns once the contents differ from what was last seen. Cancel-safe: a change that is not reported now is
    /// reported by the next call.
    pub async fn changed(&mut self) {
        loop {
            tokio::time::sleep(POLL_EVERY).await;
            let mut now = self.look_again(self.seen).await;
            if now.contents == self.seen.contents {
                self.seen = now;
                continue;
            }
            for _ in 0..SETTLES_MAX {
                tokio::time::sleep(SETTLE).await;
                let later = self.look_again(now).await;
                if later.contents == now.contents {
                    break;
                }
                now = later;
            }
            self.seen = now;
            return;
        }
    }

    /// Off the runtime's threads: a file system may hang.
    async fn look_again(&self, known: Look) -> Look {
        let paths = self.paths.clone();
        tokio::task::spawn_blocking(move || look(&paths, Some(known)))
            .await
            .unwrap_or(known)
    }
}

fn look(paths: &[PathBuf], known: Option<Look>) -> Look {
    let files = files(paths);
    let mut outside = DefaultHasher::new();
    for file in &files {
        (file, fs::canonicalize(file).ok()).hash(&mut outside);
        if let Ok(meta) = fs::metadata(file) {
            (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut outside);
        }
    }
    let outside = outside.finish();
    if let Some(known) = known.filter(|known| known.outside == outside) {
        return known;
    }
    let mut contents = DefaultHasher::new();
    for file in &files {
        (file, read(file)).hash(&mut contents);
    }
    Look {
        outside,
        contents: contents.finish(),
    }
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let mut contents = Vec::new();
    fs::File::open(file)
        .ok()?
        .take(HASHED_MAX)
        .read_to_end(&mut contents)
        .ok()?;
    Some(contents)
}

/// The files behind the paths, as the loader takes them: a directory is its `*.yaml` without tests, sorted.
fn files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in paths {
        match fs::read_dir(path) {
            Ok(entries) => {
                let yaml = |p: &PathBuf| {
                    let name = p.to_string_lossy();
                    name.ends_with(".yaml") && !name.ends_with(".test.yaml")
                };
                let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(yaml).collect();
                found.sort();
                files.extend(found);
            }
            Err(_) => files.push(path.clone()),
        }
    }
    files
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let dir = std::env::temp_dir().join(format!("weft-watch-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Dir(dir)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Whether `watch` reports a change within three polls.
    async fn reports(watch: &mut Watch) -> bool {
        tokio::time::timeout(POLL_EVERY * 3, watch.changed())
            .await
            .is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn new_contents_are_reported_once() {
        let dir = Dir::new("contents");
        let file = dir.0.join("a.yaml");
        fs::write(&file, "a: 1").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        assert!(!reports(&mut watch).await);
        fs::write(&file, "a: 22").unwrap();
        assert!(reports(&mut watch).await);
        assert!(!reports(&mut watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_contents_written_again_are_no_change() {
        let dir = Dir::new("touch");
        let file = dir.0.join("a.yaml");
        fs::write(&file, "a: 1").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&file));
        fs::remove_file(&file).unwrap();
        fs::write(&file, "a: 1").unwrap();
        assert!(!reports(&mut watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_swapped_link_of_a_config_map_is_a_change() {
        let dir = Dir::new("swap");
        for (version, text) in [("v1", "a: 1"), ("v2", "a: 2")] {
            fs::create_dir(dir.0.join(version)).unwrap();
            fs::write(dir.0.join(version).join("routes.yaml"), text).unwrap();
        }
        symlink("v1", dir.0.join("..data")).unwrap();
        symlink("..data/routes.yaml", dir.0.join("routes.yaml")).unwrap();
        let mut watch = Watch::new(&[dir.0.join("routes.yaml")]);
        assert!(!reports(&mut watch).await);
        symlink("v2", dir.0.join("..data_tmp")).unwrap();
        fs::rename(dir.0.join("..data_tmp"), dir.0.join("..data")).unwrap();
        assert!(reports(&mut watch).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_joins_or_leaves_a_directory_is_a_change() {
        let dir = Dir::new("join");
        fs::write(dir.0.join("a.yaml"), "a: 1").unwrap();
        let mut watch = Watch::new(std::slice::from_ref(&dir.0));
        fs::write(dir.0.join("notes.txt"), "not ours").unwrap();
        assert!(!reports(&mut watch).await);
        fs::write(dir.0.join("b.yaml"), "b: 1").unwrap();
        assert!(reports(&mut watch).await);
        fs::remove_file(dir.0.join("a.yaml")).unwrap();
        assert!(reports(&mut watch).await);
    }
}
