//! The story as text.

use std::io::{self, Write};

use super::super::text::plain;
use super::story::{Owed, RouteStory, Story};

pub(super) fn write(story: &Story, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "event {}", plain(story.event.get()))?;
    if let Some(ingress) = &story.ingress {
        writeln!(out, "ingress {ingress}")?;
    }
    for route in &story.routes {
        writeln!(out)?;
        write_route(route, out)?;
    }
    writeln!(out)?;
    match &story.unmatched {
        Some(unmatched) => writeln!(out, "no route matches: {unmatched}"),
        None => {
            writeln!(out, "owed to")?;
            story.owed.iter().try_for_each(|owed| write_owed(owed, out))
        }
    }
}

fn write_route(route: &RouteStory, out: &mut dyn Write) -> io::Result<()> {
    let verdict = match (&route.listens_to, route.matched) {
        (Some(from), _) => format!("does not listen to this ingress, only to {}", from.join(", ")),
        (None, true) => "matched".to_owned(),
        (None, false) => "not matched".to_owned(),
    };
    writeln!(out, "route {}: {verdict}", route.route)?;
    for line in route.filters.to_string().lines() {
        writeln!(out, "  {}", plain(line))?;
    }
    if !route.filters.missing.is_empty() {
        writeln!(out, "  the event has no {}", route.filters.missing.join(", "))?;
    }
    for added in &route.adds {
        match (&added.value, &added.why_not) {
            (Some(value), _) => writeln!(out, "  adds {}: {}", added.attribute, plain(value))?,
            (None, why) => {
                let why = plain(why.as_deref().unwrap_or_default());
                writeln!(out, "  does not add {}: {why}", added.attribute)?;
            }
        }
    }
    if route.matched {
        writeln!(out, "  to {}", route.to)
    } else {
        Ok(())
    }
}

fn write_owed(owed: &Owed, out: &mut dyn Write) -> io::Result<()> {
    let routes = owed.routes.join(", ");
    write!(out, "  {}  ({})  by {routes}", owed.to, plain(&owed.at))?;
    match &owed.dead_letter {
        Some(dead_letter) => writeln!(out, "  else dead letter {dead_letter}"),
        None => writeln!(out),
    }
}
