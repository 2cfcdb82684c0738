//! The list of guards: blocks of `== name`, `key: value` lines, and text behind bars.

/// One guard and what it is undone by.
#[derive(Default)]
pub(crate) struct Guard {
    pub(crate) name: String,
    /// The clause that it stands for.
    pub(crate) clause: String,
    /// Where it stands.
    pub(crate) file: String,
    /// The first seed that failed without it.
    pub(crate) seed: String,
    /// The cases that need it have a store.
    pub(crate) stored: bool,
    pub(crate) from: String,
    pub(crate) to: String,
}

pub(crate) fn read(list: &str) -> Vec<Guard> {
    let blocks = list.split("\n== ").skip(1);
    blocks.map(block).collect()
}

fn block(text: &str) -> Guard {
    let mut lines = text.lines();
    let mut guard = Guard {
        name: lines.next().unwrap_or_default().to_owned(),
        ..Guard::default()
    };
    let (mut from, mut to) = (Vec::new(), Vec::new());
    let mut after = false;
    for line in lines {
        match line.split_once(": ") {
            Some(("clause", value)) => guard.clause = value.to_owned(),
            Some(("file", value)) => guard.file = value.to_owned(),
            Some(("store", value)) => guard.stored = value == "yes",
            Some(("seed", value)) => guard.seed = value.to_owned(),
            _ if line == "to:" => after = true,
            _ => {
                if let Some(line) = line.strip_prefix('|') {
                    let lines = if after { &mut to } else { &mut from };
                    lines.push(line);
                }
            }
        }
    }
    guard.from = from.join("\n");
    guard.to = to.join("\n");
    guard
}
