//! A look at where a store shall be, by somebody who does not open it.
//!
//! Takes no lock, so that a router which has the store goes on, and leaves nothing behind: a directory that could be made is
//! removed again. Does not know: whether the disk takes what is written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::OpenError;
use super::directory::{FORMAT, MAKING};

/// What stands in the way of nobody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Survey {
    /// The directory, from the root.
    pub path: PathBuf,
    /// Bytes that may be written to its file system.
    pub free: u64,
}

/// Whether a store could be opened here, as far as can be seen.
///
/// # Errors
/// Why it could not; see [`OpenError`].
pub fn survey(path: &Path) -> Result<Survey, OpenError> {
    let io = |doing: &'static str| {
        move |error: io::Error| OpenError::Io {
            path: path.to_owned(),
            doing,
            error,
        }
    };
    let whole = std::path::absolute(path).map_err(io("reading the path"))?;
    let mut missing = None;
    for part in whole.ancestors() {
        match fs::metadata(part) {
            Ok(found) if !found.is_dir() => {
                return Err(OpenError::File {
                    path: path.to_owned(),
                    file: part.to_owned(),
                });
            }
            Ok(_) => {
                may_write(part, missing).map_err(io(MAKING))?;
                if missing.is_none() {
                    format(part, path)?;
                }
                let found = statvfs(part).map_err(|error| io("asking what is free")(error.into()))?;
                return Ok(Survey {
                    free: found.f_bavail.saturating_mul(found.f_frsize),
                    path: whole.clone(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing = Some(part),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => missing = Some(part),
            Err(error) => return Err(io("looking for the directory")(error)),
        }
    }
    Err(io(MAKING)(io::ErrorKind::NotFound.into()))
}

/// Whether files can be made in the directory, or in it the next one of the path, which is `missing`.
fn may_write(there: &Path, missing: Option<&Path>) -> io::Result<()> {
    match missing {
        None => Ok(access(there, Access::WRITE_OK | Access::EXEC_OK)?),
        Some(missing) => match fs::create_dir(missing) {
            Ok(()) => fs::remove_dir(missing),
            // Whoever has just made it could.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        },
    }
}

/// Whether what is in the directory is a store of ours, or nothing.
fn format(there: &Path, path: &Path) -> Result<(), OpenError> {
    // Of what cannot be read, the start tells more.
    let is_new = || fs::read_dir(there.join("logs")).map_or(true, |mut logs| logs.next().is_none());
    match fs::read(there.join("format")) {
        Ok(found) if found != FORMAT && !is_new() => Err(OpenError::Format {
            path: path.to_owned(),
            found: String::from_utf8_lossy(&found[..found.len().min(64)])
                .trim_end()
                .to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Dir {
            let path = std::env::temp_dir().join(format!("weft-survey-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Dir(path)
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn names(dir: &Dir) -> Vec<PathBuf> {
        let entries = fs::read_dir(&dir.0).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    #[test]
    fn a_look_leaves_nothing_behind() {
        let dir = Dir::new("nothing");
        for below in ["", "store", "a/store"] {
            let path = dir.0.join(below);
            let survey = survey(&path).unwrap();
            assert!(survey.free > 0 && survey.path.is_absolute(), "{survey:?}");
            assert_eq!(names(&dir), [""; 0].map(PathBuf::from));
        }
    }

    #[test]
    fn what_a_start_would_refuse_is_refused() {
        let dir = Dir::new("refused");
        let file = dir.0.join("file");
        fs::write(&file, "x").unwrap();
        for path in [file.clone(), file.join("store"), file.join("a/store")] {
            let error = survey(&path).unwrap_err();
            assert!(
                matches!(&error, OpenError::File { file: found, .. } if *found == file),
                "{error}"
            );
        }
        let error = survey(Path::new("/proc/weft/store")).unwrap_err();
        assert!(error.is_of_path(), "{error}");
        let store = dir.0.join("store");
        fs::create_dir_all(store.join("logs/d.a")).unwrap();
        fs::write(store.join("format"), FORMAT).unwrap();
        survey(&store).unwrap();
        fs::write(store.join("format"), "weft store 2\n").unwrap();
        let error = survey(&store).unwrap_err();
        assert!(matches!(error, OpenError::Format { .. }), "{error}");
    }
}
