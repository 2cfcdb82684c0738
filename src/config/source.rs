//! Reads configuration files: the only part of `config` that touches the disk.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weft_api::config::{Finding, Severity, Span};

use super::substitute::Environment;

/// Largest file that is read, configuration or `${file:...}`.
pub const FILE_MAX: u64 = 8 << 20;

/// One file's name, as it was given, and its text.
pub struct Source {
    /// For messages.
    pub name: Arc<str>,
    /// What it says.
    pub text: String,
}

/// The environment and the files of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Process;

impl Environment for Process {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &str) -> Result<String, String> {
        text_of(Path::new(path))
    }
}

/// Reads the files; a directory stands for its `*.yaml`, sorted by name.
///
/// # Errors
/// Each file that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for path in paths {
        match listed(path) {
            Ok(files) if files.is_empty() => {
                findings.push(unread(
                    path,
                    "the directory has no *.yaml file",
                    "put the files there, or name a file",
                ));
            }
            Ok(files) => {
                for file in files {
                    match text_of(&file) {
                        Ok(text) => sources.push(Source {
                            name: file.to_string_lossy().into(),
                            text,
                        }),
                        Err(why) => findings.push(unread(&file, &why, "check the path and who may read it")),
                    }
                }
            }
            Err(error) => findings.push(unread(
                path,
                &clause(&error),
                "check the path and who may read it",
            )),
        }
    }
    if findings.is_empty() {
        Ok(sources)
    } else {
        Err(findings)
    }
}

fn listed(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        // A mounted ConfigMap has its files as links, and `..data` beside them.
        if is_configuration(&file) && fs::metadata(&file)?.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a directory's file is part of the configuration: tests of routes may stand beside them.
fn is_configuration(file: &Path) -> bool {
    let name = file.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.ends_with(".yaml") && !name.ends_with(".test.yaml"))
}

fn text_of(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| clause(&error))?;
    file.take(FILE_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| clause(&error))?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(format!("it is larger than {} MiB", FILE_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn clause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        _ => error.to_string(),
    }
}

fn unread(path: &Path, why: &str, remedy: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        span: Span {
            file: path.to_string_lossy().into(),
            line: 1,
            column: 1,
        },
        path: String::new(),
        what: format!("the configuration cannot be read: {why}"),
        remedy: remedy.to_owned(),
    }
}
