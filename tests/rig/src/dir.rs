//! Directories that last as long as the test. They are named after the process that made them; what a killed process
//! left behind is swept away by the next one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "weft-rig-";

/// A fresh directory under the system's temporary one. Dropping it removes it with all that is inside.
#[derive(Debug)]
pub struct Dir(PathBuf);

impl Dir {
    /// Makes a directory; `purpose` becomes a part of its name.
    #[must_use]
    pub fn new(purpose: &str) -> Self {
        static SWEPT: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEPT.call_once(sweep);
        let name = format!(
            "{PREFIX}{}-{purpose}-{}",
            process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        // A process id comes round again; what its former owner left is in the way.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap_or_else(|e| panic!("making {}: {e}", path.display()));
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file inside, and says where it is.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap_or_else(|e| panic!("writing {}: {e}", path.display()));
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // Whoever still writes there is about to die with us; the next process sweeps what is left.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the directories of processes that are gone. Only where /proc tells who is alive.
fn sweep() {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(owner_of);
        if owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_with_its_owner_and_foreign_names_are_nobodys() {
        let dir = Dir::new("self");
        let path = dir.path().to_owned();
        dir.write("a", "b");
        assert_eq!(fs::read(path.join("a")).expect("just written"), b"b");
        assert_eq!(
            path.file_name().and_then(|n| n.to_str()).and_then(owner_of),
            Some(process::id())
        );
        drop(dir);
        assert!(!path.exists());
        assert_eq!(owner_of("weft-rigging-1"), None);
        assert_eq!(owner_of("weft-rig-x-1"), None);
    }
}
