//! YAML text into a tree whose nodes know where they stand.
//!
//! Owns: the bounds on depth and size, aliases, duplicate keys, and the words in which syntax errors are told.
//! Invariant: whatever the text, the work and the tree are bounded, and nothing panics.
//! Does not know: the meaning of any key; `${...}` is still text here.

mod alias;
mod syntax;

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};
use weft_api::config::{Finding, Key, Node, Severity, Span, Value};

use self::alias::{rename, size};
use self::syntax::explain;
use super::scalar;

/// Deepest nesting that is read.
pub const DEPTH_MAX: usize = 64;

/// Most nodes of one file after its aliases were put in: an alias of aliases could else ask for any amount of memory.
pub const NODES_MAX: usize = 200_000;

/// Longest key, in bytes.
const KEY_MAX: usize = 1024;

/// Most bytes of the paths of all nodes: long keys on many levels could else ask for any amount of memory.
const PATHS_MAX: usize = 64 << 20;

/// Most findings of one file's syntax that are worth telling.
const FINDINGS_MAX: usize = 100;

/// Reads one file; an empty one is an empty mapping. What stands twice, and a tag, is told beside the tree, which has
/// the first and the bare value, so that the rest of the file can be checked, too.
///
/// # Errors
/// The syntax error, or the constructs that leave holes in the tree (merge keys), with what was told before.
pub(super) fn parse(file: &Arc<str>, text: &str) -> Result<(Node, Vec<Finding>), Vec<Finding>> {
    // A byte order mark is no part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        text,
        file: file.clone(),
        anchors: HashMap::new(),
        nodes: 0,
        paths: 0,
        holes: false,
        findings: Vec::new(),
    };
    let root = match reader.file() {
        Ok(root) => root,
        Err(stop) => {
            reader.findings.push(*stop);
            return Err(reader.findings);
        }
    };
    if reader.holes {
        Err(reader.findings)
    } else {
        Ok((root, reader.findings))
    }
}

type Stop = Box<Finding>;

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    text: &'t str,
    file: Arc<str>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    paths: usize,
    /// Something was left out that the file means to have: what is missing would be told as a mistake of its own.
    holes: bool,
    findings: Vec<Finding>,
}

impl<'t> Reader<'t> {
    fn file(&mut self) -> Result<Node, Stop> {
        let mut root: Option<Node> = None;
        loop {
            let (event, at) = self.event("")?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) => {
                    if root.is_some() {
                        let what = "a second document begins here";
                        return Err(self.stop(
                            at,
                            "",
                            what,
                            "keep one document in a file, and give several files",
                        ));
                    }
                    let (event, at) = self.event("")?;
                    root = Some(self.node(event, at, "", 0)?);
                }
                _ => {}
            }
        }
        let empty = || Node {
            value: Value::Map(Vec::new()),
            span: self.span(1, 0),
            path: "".into(),
            secret: false,
        };
        Ok(match root {
            None => empty(),
            Some(node) if matches!(node.value, Value::Null) => empty(),
            Some(node) => node,
        })
    }

    fn event(&mut self, path: &str) -> Result<(Event<'t>, Marker), Stop> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(self.syntax(&error, path)),
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }

    /// Builds the node that begins with `event`; recursion ends at [`DEPTH_MAX`].
    fn node(&mut self, event: Event<'t>, at: Marker, path: &str, depth: usize) -> Result<Node, Stop> {
        self.count(1, path.len(), at, path)?;
        if depth > DEPTH_MAX {
            let what = format!("the file nests deeper than {DEPTH_MAX} levels");
            return Err(self.stop(at, path, &what, "check the brackets and the indentation"));
        }
        let (anchor, value) = match event {
            Event::Alias(id) => return self.alias(id, at, path),
            Event::Scalar(text, style, anchor, tag) => {
                (anchor, self.scalar(&text, style, tag.as_deref(), at, path))
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", at, path);
                (anchor, Value::List(self.items(path, depth)?))
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "map", at, path);
                (anchor, Value::Map(self.entries(path, depth)?))
            }
            _ => (0, Value::Null),
        };
        let node = Node {
            value,
            span: self.span(at.line(), at.col()),
            path: path.into(),
            secret: false,
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self, path: &str, depth: usize) -> Result<Vec<Node>, Stop> {
        let mut items = Vec::new();
        loop {
            let (event, at) = self.event(path)?;
            if matches!(event, Event::SequenceEnd | Event::StreamEnd) {
                return Ok(items);
            }
            items.push(self.node(event, at, &format!("{path}[{}]", items.len()), depth + 1)?);
        }
    }

    fn entries(&mut self, path: &str, depth: usize) -> Result<Vec<(Key, Node)>, Stop> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            let (event, at) = self.event(path)?;
            let name = match event {
                Event::MappingEnd | Event::StreamEnd => return Ok(entries),
                Event::Scalar(text, ..) if text.len() > KEY_MAX => {
                    let what = format!("a key has at most {KEY_MAX} bytes, and this has {}", text.len());
                    return Err(self.stop(at, path, &what, "use a shorter key"));
                }
                Event::Scalar(text, ..) => text.into_owned(),
                _ => {
                    let what = "a key must be a name, and this is something else";
                    return Err(self.stop(at, path, what, "put texts with braces or brackets in quotes"));
                }
            };
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            let key = Key {
                name,
                span: self.span(at.line(), at.col()),
            };
            let (event, value_at) = self.event(&below)?;
            // Nothing behind the colon has no place of its own: the key's is where a person looks.
            let absent = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text.is_empty());
            let node = self.node(event, if absent { at } else { value_at }, &below, depth + 1)?;
            if key.name == "<<" {
                self.holes = true;
                let what = "merge keys (`<<`) are no part of YAML 1.2";
                self.report(
                    &key.span,
                    &below,
                    what,
                    "share settings through `defaults:` or `connections:`",
                );
                continue;
            }
            if let Some(&first) = places.get(&key.name) {
                let what = format!(
                    "the key `{}` stands here twice; it stands first at {}",
                    key.name, entries[first].0.span
                );
                self.report(&key.span, &below, &what, "keep one of them");
                continue;
            }
            places.insert(key.name.clone(), entries.len());
            entries.push((key, node));
        }
    }

    fn alias(&mut self, id: usize, at: Marker, path: &str) -> Result<Node, Stop> {
        let Some((nodes, paths)) = self.anchors.get(&id).map(|anchored| size(anchored, path)) else {
            let what = "this alias stands inside its own anchor";
            return Err(self.stop(at, path, what, "write the value out"));
        };
        // Counted before it is copied.
        self.count(nodes, paths, at, path)?;
        let mut node = self.anchors[&id].clone();
        rename(&mut node, path);
        Ok(node)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Marker, path: &str) -> Value {
        match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
                return Value::Text(text.to_owned());
            }
            Some(_) => self.refuse_tag(tag, "", at, path),
            None => {}
        }
        if style == ScalarStyle::Plain {
            scalar::resolve(text)
        } else {
            Value::Text(text.to_owned())
        }
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, allowed: &str, at: Marker, path: &str) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == allowed)
        {
            let span = self.span(at.line(), at.col());
            self.report(
                &span,
                path,
                &format!("the tag `{tag}` means nothing here"),
                "remove the tag",
            );
        }
    }

    fn count(&mut self, nodes: usize, paths: usize, at: Marker, path: &str) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.paths = self.paths.saturating_add(paths);
        if self.nodes > NODES_MAX {
            let what = format!("the file has more than {NODES_MAX} values once its aliases are put in");
            return Err(self.stop(at, path, &what, "use fewer aliases"));
        }
        if self.paths > PATHS_MAX {
            let what = "the file's keys are too long for how deep they stand";
            return Err(self.stop(at, "", what, "use shorter keys"));
        }
        Ok(())
    }

    fn report(&mut self, span: &Span, path: &str, what: &str, remedy: &str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding(span.clone(), path, what, remedy));
        }
    }

    fn stop(&self, at: Marker, path: &str, what: &str, remedy: &str) -> Stop {
        Box::new(finding(self.span(at.line(), at.col()), path, what, remedy))
    }

    /// A syntax error in the words of the person who made it.
    fn syntax(&self, error: &ScanError, path: &str) -> Stop {
        let at = *error.marker();
        let line = self
            .text
            .lines()
            .nth(at.line().saturating_sub(1))
            .unwrap_or_default();
        let indentation: String = line.chars().take_while(|c| c.is_whitespace()).collect();
        let (what, remedy) = if let Some(column) = indentation.chars().position(|c| c == '\t') {
            let span = self.span(at.line(), column);
            return Box::new(finding(
                span,
                path,
                "a tab stands in the indentation",
                "indent with spaces",
            ));
        } else {
            explain(error.info(), line)
        };
        self.stop(at, path, &format!("not YAML: {what}"), remedy)
    }

    fn span(&self, line: usize, column: usize) -> Span {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Span {
            file: self.file.clone(),
            line: narrow(line.max(1)),
            column: narrow(column.saturating_add(1)),
        }
    }
}

fn finding(span: Span, path: &str, what: &str, remedy: &str) -> Finding {
    Finding {
        severity: Severity::Error,
        span,
        path: path.to_owned(),
        what: what.to_owned(),
        remedy: remedy.to_owned(),
    }
}
