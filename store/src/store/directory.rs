//! The directory before anything in it is read: what it must have, its lock, its format, and what logs may be called.

use std::any::Any;
use std::io;
use std::path::Path;

use super::OpenError;
use crate::disk::Disk;
use crate::window::read_at;

/// What `format` says.
pub(super) const FORMAT: &[u8] = b"weft store 1\n";
/// What is being done to a directory that is not there.
pub(super) const MAKING: &str = "making the directory";
/// The longest name of a log, as a file's name.
const NAME_MAX: usize = 200;

/// Makes what is missing of the directory, and takes its lock.
pub(super) fn prepare(
    disk: &dyn Disk,
    path: &Path,
) -> Result<Box<dyn Any + Send + std::marker::Sync>, OpenError> {
    let io = |doing: &'static str| {
        move |error: io::Error| OpenError::Io {
            path: path.to_owned(),
            doing,
            error,
        }
    };
    disk.make_dir(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => no_directory(disk, path, error),
        _ => io(MAKING)(error),
    })?;
    let lock = disk
        .lock(&path.join("lock"))
        .map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked(path.to_owned()),
            _ => io("locking")(error),
        })?;
    for name in ["acks", "quarantine", "logs"] {
        disk.make_dir(&path.join(name)).map_err(io(MAKING))?;
    }
    format(disk, path)?;
    disk.sync_dir(path).map_err(io(MAKING))?;
    Ok(lock)
}

/// The directories that this one is in, from the nearest on.
fn above(path: &Path) -> impl Iterator<Item = &Path> {
    let named = |dir: &Path| !dir.as_os_str().is_empty();
    path.ancestors()
        .skip(1)
        .map(move |dir| if named(dir) { dir } else { Path::new(".") })
}

/// Says which part of the path is a file.
fn no_directory(disk: &dyn Disk, path: &Path, error: io::Error) -> OpenError {
    let is_file = |part: &&Path| {
        let listed = disk.list(part);
        listed.is_err_and(|error| error.kind() == io::ErrorKind::NotADirectory)
    };
    let path = path.to_owned();
    // What is below a file is none, either: the shortest is the file.
    match path.ancestors().filter(is_file).last() {
        Some(file) => OpenError::File {
            file: file.to_owned(),
            path,
        },
        None => OpenError::Io {
            path,
            doing: MAKING,
            error,
        },
    }
}

/// Reads what format the store has, and says so in one that is new.
fn format(disk: &dyn Disk, path: &Path) -> Result<(), OpenError> {
    let io = |error: io::Error| OpenError::Io {
        path: path.to_owned(),
        doing: "reading its format",
        error,
    };
    let name = path.join("format");
    let mut found = vec![0; 64];
    match disk.open(&name) {
        Ok(file) => {
            let read = read_at(&name, &*file, 0, &mut found).map_err(io)?;
            found.truncate(read);
            if found == FORMAT {
                // Whoever wrote it may have been killed before it was durable.
                return file.sync().map_err(io);
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => found.clear(),
        Err(error) => return Err(io(error)),
    }
    // A store of any format has logs, and this one was just being made.
    let is_new = disk.list(&path.join("logs")).map_err(io)?.is_empty();
    if !is_new {
        return Err(OpenError::Format {
            path: path.to_owned(),
            found: String::from_utf8_lossy(&found).trim_end().to_owned(),
        });
    }
    // With a format it is a store that may hold something: it must not go with a name above it, which may be as new.
    for dir in above(path) {
        // Where one may not be read, whoever made it has made it durable.
        let _ = disk.sync_dir(dir);
    }
    disk.remove(&name).map_err(io)?;
    let file = disk.create(&name).map_err(io)?;
    file.write_at(0, FORMAT).map_err(io)?;
    file.sync().map_err(io)
}

/// Whether a log may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte);
    (1..=NAME_MAX).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_is_in_the_directory_of_the_process() {
        let above = |path| Vec::from_iter(above(Path::new(path)));
        assert_eq!(above("store"), [Path::new(".")]);
        assert_eq!(above("a/store"), [Path::new("a"), Path::new(".")]);
        assert_eq!(above("/a/store"), [Path::new("/a"), Path::new("/")]);
    }
}
