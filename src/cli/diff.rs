//! `weft check --diff OLD NEW`: which entries differ, and what a reload from one to the other would do.

use std::io::{self, Write};
use std::path::Path;
use std::path::PathBuf;
use std::slice::from_ref;

use serde_json::{Value, json};

use super::CliError;
use super::load::{load, plural, warn};
use super::text::plain;
use crate::app::compare::{Change, Comparison, Entry, compare};
use crate::config::{KeyChange, Removed};

/// How it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

pub(super) fn run(files: &[PathBuf], format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    let [old, new] = files else {
        let what =
            "--diff compares two configurations: weft check --diff OLD NEW (each a file or a directory)";
        return Err(CliError::Config(what.to_owned()));
    };
    let (before, after) = (load(from_ref(old))?, load(from_ref(new))?);
    warn(&after.warnings);
    let comparison = compare(&before, &after);
    match format {
        Format::Text => text(&comparison, old, new, out)?,
        Format::Json => writeln!(out, "{:#}", as_json(&comparison))?,
    }
    match comparison.refused.as_slice() {
        [] => Ok(()),
        why => Err(CliError::Config(format!(
            "a reload would be refused: {}; restart the router to change that",
            why.join("; ")
        ))),
    }
}

/// A section's name and its entries.
type Section<'a> = (&'static str, &'a [Entry]);

fn sections(comparison: &Comparison) -> [Section<'_>; 4] {
    [
        ("ingress", &comparison.ingresses),
        ("destinations", &comparison.destinations),
        ("groups", &comparison.groups),
        ("routes", &comparison.routes),
    ]
}

fn text(comparison: &Comparison, old: &Path, new: &Path, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} -> {}", old.display(), new.display())?;
    if comparison.is_same() {
        writeln!(out, "no difference: a reload would change nothing")?;
        return Ok(());
    }
    if !comparison.router.is_empty() {
        writeln!(out, "\nrouter")?;
        keys(&comparison.router, out)?;
    }
    if let Some(path) = &comparison.left_behind {
        writeln!(
            out,
            "      a restart would leave what is in {} behind: its events, and its dead letters, are delivered by nobody, and told of by nobody",
            plain(path)
        )?;
    }
    for (section, entries) in sections(comparison) {
        if entries.is_empty() {
            continue;
        }
        writeln!(out, "\n{section}")?;
        for entry in entries {
            let sign = match entry.change {
                Change::Added => '+',
                Change::Changed => '~',
                Change::Removed => '-',
            };
            let kind = match entry.kind {
                "" => String::new(),
                kind => format!(" ({kind})"),
            };
            writeln!(
                out,
                "  {sign} {}{kind}: {}",
                entry.name,
                plain(&effect(section, entry))
            )?;
            keys(&entry.keys, out)?;
        }
    }
    if !comparison.needless.is_empty() {
        let names: Vec<&str> = comparison.needless.iter().map(|name| &**name).collect();
        writeln!(
            out,
            "\nremoved: names {}, which {} no destination of {}",
            names.join(", "),
            if names.len() == 1 { "is" } else { "are" },
            old.display()
        )?;
    }
    writeln!(out, "\n{}", summary(comparison))
}

fn keys(keys: &[KeyChange], out: &mut dyn Write) -> io::Result<()> {
    let value = |value: &Option<String>| value.as_deref().map_or("not given".to_owned(), plain);
    for key in keys {
        let line = match (&key.from, &key.to) {
            (Some(from), Some(to)) if from == to => format!("{}: another value, not shown", key.path),
            (from, to) => format!("{}: {} -> {}", key.path, value(from), value(to)),
        };
        writeln!(out, "      {line}")?;
    }
    Ok(())
}

/// What a reload does to an entry, in a clause.
fn effect(section: &str, entry: &Entry) -> String {
    let said = match (section, entry.change) {
        ("ingress", Change::Added) => "opened",
        ("ingress", Change::Changed) if entry.anew => return reopened(entry),
        ("ingress", Change::Changed) => "stays open; for events that come in from now on",
        ("ingress", Change::Removed) => {
            "closed: it takes nothing more in, and what is unsettled goes back to its senders"
        }
        ("destinations", Change::Added) => "a new client",
        ("destinations", Change::Changed) if entry.anew => return another_client(entry),
        ("destinations", Change::Changed) => return format!("keeps its client; {}", its_log(entry)),
        ("destinations", Change::Removed) => return gone(entry),
        ("groups", Change::Added) => "new",
        ("groups", Change::Changed) if only_its_log(entry) => its_log(entry),
        ("groups", Change::Changed) => {
            "for events that match from now on; those that are under way keep their plan"
        }
        ("groups", Change::Removed) => "gone; events that are under way keep their plan",
        (_, Change::Added) => "for events that come in from now on",
        (_, Change::Changed) => {
            "for events that come in from now on; those that are under way keep the old route"
        }
        (_, Change::Removed) => "events that come in from now on do not meet it; those that are under way do",
    };
    said.to_owned()
}

fn reopened(entry: &Entry) -> String {
    let how = match entry.kind {
        "kafka" => {
            "it leaves its group and joins again, which is a rebalance; records that are not settled come again"
        }
        "amqp" => "its links are attached anew; messages that are not settled are released, and come again",
        "mqtt" => "it connects anew and resumes its session; messages that are not acknowledged come again",
        "http" => "it answers what is under way and listens anew; until then connections are refused",
        _ => "it ends what is under way and begins anew",
    };
    format!("reopened: {how}{}", common(entry))
}

fn another_client(entry: &Entry) -> String {
    format!(
        "another client; pending events go through it, and what is in flight ends first{}",
        common(entry)
    )
}

/// Whether nothing differs but `store`.
fn only_its_log(entry: &Entry) -> bool {
    let of_log = |key: &KeyChange| key.path == "store" || key.path.starts_with("store.");
    !entry.keys.is_empty() && entry.keys.iter().all(of_log)
}

/// What becomes of the log of an entry in which nothing else differs.
fn its_log(entry: &Entry) -> &'static str {
    // Which routers read a log in Kafka this one does not know.
    const LEFT: &str =
        "what is left in its topic is delivered by the routers that still read it, or by nobody";
    let change = |path: &str| entry.keys.iter().find(|key| key.path == path);
    if let Some(key) = change("store") {
        return match &key.from {
            None => "events that come in from now on are kept first",
            // No key of a log on the disk has such a value.
            Some(from) if from.contains("kafka:") => LEFT,
            Some(_) => "what its log holds is delivered first; once that is empty, nothing is kept any more",
        };
    }
    let another = |key: &str| change(&format!("store.kafka.{key}")).is_some();
    match change("store.kafka") {
        Some(key) if key.from.is_none() => {
            "kept in Kafka from now on; what its log on the disk holds is delivered first"
        }
        Some(_) => LEFT,
        None if ["topic", "group", "brokers"].into_iter().any(another) => LEFT,
        None => "its log goes on with what the new file says",
    }
}

/// Why an entry is made anew that says the same.
fn common(entry: &Entry) -> &'static str {
    match entry.keys.is_empty() {
        true => " (since node or limits.event is another)",
        false => "",
    }
}

fn gone(entry: &Entry) -> String {
    let name = &entry.name;
    match entry.removed {
        None => format!(
            "gone; while events are pending here the reload is refused: say what shall become of them \
             (removed: {{ {name}: drain | dead_letter | purge }})"
        ),
        Some(Removed::Drain) => {
            "gone; drain: pending events are still delivered, and it goes with the last of them".to_owned()
        }
        Some(Removed::DeadLetter) => {
            let ways: Vec<String> = entry
                .letters
                .iter()
                .map(|(route, letter)| match letter {
                    Some(letter) => format!("those of {route} to {letter}"),
                    None => format!("those of {route}, which has none, back to their senders"),
                })
                .collect();
            let ways = match ways.is_empty() {
                true => "back to their senders".to_owned(),
                false => ways.join(", "),
            };
            format!("gone; dead_letter: pending events go on in their plans, else to the dead letter: {ways}")
        }
        Some(Removed::Purge) => "gone; purge: pending events are dropped and counted".to_owned(),
    }
}

fn summary(comparison: &Comparison) -> String {
    let count = |entries: &[Entry], which: &dyn Fn(&Entry) -> bool| {
        entries.iter().filter(|entry| which(entry)).count()
    };
    let anew = |entry: &Entry| entry.anew;
    let gone = |entry: &Entry| entry.change == Change::Removed;
    let mut said = Vec::new();
    let ingresses = &comparison.ingresses;
    match count(ingresses, &anew) {
        0 => said.push("no ingress is reopened".to_owned()),
        reopened => said.push(format!("{} reopened", plural(reopened, "ingress"))),
    }
    let destinations = &comparison.destinations;
    match count(destinations, &anew) {
        0 => {}
        more => said.push(format!("another client for {}", plural(more, "destination"))),
    }
    let unsaid = |entry: &Entry| gone(entry) && entry.removed.is_none();
    match count(destinations, &unsaid) {
        0 => {}
        more => said.push(format!(
            "{} gone without a word under removed:",
            plural(more, "destination")
        )),
    }
    format!("a reload: {}", said.join(", "))
}

fn as_json(comparison: &Comparison) -> Value {
    let key = |key: &KeyChange| json!({ "key": key.path, "from": key.from, "to": key.to });
    let keys = |keys: &[KeyChange]| keys.iter().map(key).collect::<Vec<_>>();
    let entry = |section: &str, entry: &Entry| {
        let change = match entry.change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Removed => "removed",
        };
        let mut all = json!({
            "name": &*entry.name,
            "change": change,
            "keys": keys(&entry.keys),
            "effect": effect(section, entry),
        });
        if !entry.kind.is_empty() {
            all["kind"] = entry.kind.into();
        }
        match section {
            "ingress" => all["reopened"] = entry.anew.into(),
            "destinations" => all["new_client"] = (entry.anew || entry.change == Change::Added).into(),
            _ => {}
        }
        if section == "destinations" && entry.change == Change::Removed {
            all["removed"] = json!(entry.removed);
        }
        all
    };
    let mut all = json!({
        "same": comparison.is_same(),
        "refused": comparison.refused,
        "router": keys(&comparison.router),
        "store_left_behind": comparison.left_behind,
    });
    for (section, entries) in sections(comparison) {
        all[section] = entries.iter().map(|one| entry(section, one)).collect();
    }
    all["removed_without_need"] = comparison
        .needless
        .iter()
        .map(|name| Value::from(&**name))
        .collect();
    all
}
