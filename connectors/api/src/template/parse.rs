//! The grammar, read from left to right with no way back:
//! ```text
//! template   = *( text / "{{" / "}}" / "{" expression "}" )
//! expression = input *( "|" ( function / "else" operand ) )
//! operand    = "{" input "}" / quoted / word
//! input      = name *( "." name / "[" number "]" / "[" quoted "]" )
//! ```
//! A word after `else` is an input where it names one that the place is known to have, a literal anywhere
//! else.

use super::function::Function;
use super::scope::{Scope, StepRule};
use super::{From, Part, Reference, Stage, Step, TEMPLATE_MAX, Template, TemplateError};

/// The core attributes: names that a word after `else` is known to mean.
const CORE: [&str; 8] = [
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "specversion",
];

pub(super) fn parse(text: &str, scope: &Scope) -> Result<Template, TemplateError> {
    let mut parser = Parser { text, at: 0, scope };
    if text.len() > TEMPLATE_MAX {
        let what = format!("the template is longer than {TEMPLATE_MAX} bytes");
        return Err(parser.error(0, &what, "shorten it"));
    }
    let (mut parts, mut literal) = (Vec::new(), String::new());
    while let Some(next) = parser.peek() {
        let start = parser.at;
        parser.at += next.len_utf8();
        match next {
            '{' | '}' if parser.eat(next) => literal.push(next),
            '}' => {
                return Err(parser.error(
                    start,
                    "a `}` that closes nothing",
                    "write `}}` for the character itself",
                ));
            }
            '{' => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                }
                parts.push(parser.expression(start)?);
            }
            other => literal.push(other),
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(Template { parts })
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    scope: &'a Scope,
}

impl<'a> Parser<'a> {
    /// After the `{` at `open`, through the `}`.
    fn expression(&mut self, open: usize) -> Result<Part, TemplateError> {
        let input = self.input()?;
        let mut stages: Vec<Stage> = Vec::new();
        loop {
            self.space();
            if self.eat('}') {
                return Ok(Part::Expression { input, stages });
            }
            if !self.eat('|') {
                return Err(match self.peek() {
                    None => self.error(
                        open,
                        "a `{` without its `}`",
                        "close it, or write `{{` for the character itself",
                    ),
                    Some(_) => self.error(
                        self.at,
                        "something else than `|` or `}` after an input",
                        "write `|` before a function",
                    ),
                });
            }
            self.space();
            let start = self.at;
            let word = self.word();
            let stage = match (word, Function::by_name(word)) {
                ("else", _) => self.operand(&stages)?,
                (_, Some(function)) => Stage::Apply(function),
                _ => {
                    let names: Vec<_> = Function::ALL.iter().map(|(name, _)| *name).collect();
                    let remedy = format!("use one of: else, {}", names.join(", "));
                    return Err(self.error(start, &format!("there is no function `{word}`"), &remedy));
                }
            };
            stages.push(stage);
        }
    }

    /// What follows `else`.
    fn operand(&mut self, before: &[Stage]) -> Result<Stage, TemplateError> {
        self.space();
        let start = self.at;
        let stage = if self.eat('{') {
            let input = self.input()?;
            self.space();
            if !self.eat('}') {
                return Err(self.error(
                    start,
                    "a `{` after else without its `}`",
                    "write `else {name}`; functions stand behind it",
                ));
            }
            Stage::ElseInput(input)
        } else if let Some('"' | '\'') = self.peek() {
            Stage::ElseLiteral(self.quoted()?.into())
        } else if self.is_input() {
            Stage::ElseInput(self.input()?)
        } else {
            match self.word() {
                "" => {
                    return Err(self.error(
                        start,
                        "nothing after else",
                        "write a word, a \"quoted text\" or an input",
                    ));
                }
                word => Stage::ElseLiteral(word.into()),
            }
        };
        // The attribute's type is fixed when the file is read: an Integer must not turn into text for one
        // message.
        let integer = before.iter().rev().find_map(|stage| match stage {
            Stage::Apply(function) => Some(function.makes_integer()),
            _ => None,
        });
        let fits = match &stage {
            Stage::ElseLiteral(text) => text
                .parse::<i32>()
                .is_ok_and(|number| number.to_string() == **text),
            _ => false,
        };
        if integer == Some(true) && !fits {
            let remedy = "write a whole number there, or put `| int` after the else";
            return Err(self.error(
                start,
                "what stands after int or round and else is no whole number",
                remedy,
            ));
        }
        Ok(stage)
    }

    /// Whether the word that comes next names an input of this place.
    fn is_input(&self) -> bool {
        let rest = &self.text[self.at..];
        let name = &rest[..rest.find(|c: char| !is_name(c)).unwrap_or(rest.len())];
        self.scope.roots.iter().any(|root| root.name == name)
            || self.scope.data && matches!(name, "data" | "uuid")
            || self.scope.attributes && CORE.contains(&name)
    }

    fn input(&mut self) -> Result<Reference, TemplateError> {
        self.space();
        let start = self.at;
        let name = self.name();
        let steps_at = self.at;
        let root = self.scope.roots.iter().find(|root| root.name == name);
        let from = match (name, root) {
            ("", _) => {
                return Err(self.error(
                    start,
                    "an input is missing",
                    &format!("here are {}", self.scope.listed()),
                ));
            }
            (_, Some(root)) => From::Root(root.name, self.root_step(root.step, root.name)?),
            ("data", _) if self.scope.data => From::Data(self.path()?),
            ("uuid", _) if self.scope.data => From::Uuid,
            _ if self.scope.attributes
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) =>
            {
                if name == "data" {
                    let remedy = "use attributes; an ingress can make one of the data";
                    return Err(self.error(start, &format!("{} has no data", self.scope.place), remedy));
                }
                From::Attribute(name.into())
            }
            _ => {
                let what = format!("{} has no input `{name}`", self.scope.place);
                return Err(self.error(start, &what, &format!("here are {}", self.scope.listed())));
            }
        };
        if matches!(self.peek(), Some('.' | '[')) {
            return Err(self.error(steps_at, &format!("nothing can follow `{name}`"), "leave it out"));
        }
        Ok(Reference {
            text: self.text[start..self.at].into(),
            from,
        })
    }

    fn root_step(&mut self, rule: StepRule, name: &str) -> Result<Option<Step>, TemplateError> {
        let start = self.at;
        // A header's name may have dots, so that it reaches to the end of the word.
        let step = if rule == StepRule::MustName && self.eat('.') {
            Some(Step::Member(self.word().into()))
        } else {
            self.step()?
        };
        match (rule, &step) {
            (StepRule::None, None) | (StepRule::MayIndex, None | Some(Step::Element(_))) => Ok(step),
            (StepRule::MustName, Some(Step::Member(name))) if !name.is_empty() => Ok(step),
            (StepRule::None, _) => {
                Err(self.error(start, &format!("nothing can follow `{name}`"), "leave it out"))
            }
            (StepRule::MayIndex, _) => Err(self.error(
                start,
                &format!("`{name}` takes a number, not a name"),
                &format!("write {name}[0]"),
            )),
            (StepRule::MustName, _) => Err(self.error(
                start,
                &format!("`{name}` needs a name"),
                &format!("write {name}.NAME"),
            )),
        }
    }

    fn path(&mut self) -> Result<Vec<Step>, TemplateError> {
        let mut path = Vec::new();
        while let Some(step) = self.step()? {
            path.push(step);
        }
        Ok(path)
    }

    fn step(&mut self) -> Result<Option<Step>, TemplateError> {
        let start = self.at;
        if self.eat('.') {
            return match self.name() {
                "" => Err(self.error(start, "a `.` without a name", "write a name, or [\"any name\"]")),
                name => Ok(Some(Step::Member(name.into()))),
            };
        }
        if !self.eat('[') {
            return Ok(None);
        }
        let step = match self.peek() {
            Some('"' | '\'') => Some(Step::Member(self.quoted()?.into())),
            _ => self.name().parse().ok().map(Step::Element),
        };
        match step {
            Some(step) if self.eat(']') => Ok(Some(step)),
            _ => Err(self.error(
                start,
                "brackets that do not hold one number or one quoted name",
                "write [0] or [\"name\"]",
            )),
        }
    }

    /// A text in double or single quotes; a backslash takes the next character as it is.
    fn quoted(&mut self) -> Result<String, TemplateError> {
        let start = self.at;
        let mut characters = self.text[self.at..].char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        let mut out = String::new();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => out.extend(characters.next().map(|(_, character)| character)),
                _ if Some(character) == quote => {
                    self.at += at + 1;
                    return Ok(out);
                }
                _ => out.push(character),
            }
        }
        Err(self.error(start, "a quote without its end", "close it with the same quote"))
    }

    /// Up to what separates steps.
    fn name(&mut self) -> &'a str {
        self.take(is_name)
    }

    /// Up to what separates stages.
    fn word(&mut self) -> &'a str {
        self.take(|character| {
            !character.is_whitespace() && !matches!(character, '|' | '{' | '}' | '"' | '\'')
        })
    }

    fn take(&mut self, allowed: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let taken = &rest[..rest.find(|character| !allowed(character)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn space(&mut self) {
        self.take(char::is_whitespace);
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn eat(&mut self, character: char) -> bool {
        let found = self.peek() == Some(character);
        self.at += if found { character.len_utf8() } else { 0 };
        found
    }

    fn error(&self, at: usize, what: &str, remedy: &str) -> TemplateError {
        let column = self.text[..at].chars().count() + 1;
        TemplateError {
            column,
            what: what.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

fn is_name(character: char) -> bool {
    !character.is_whitespace() && !matches!(character, '.' | '[' | ']' | '|' | '{' | '}' | '"' | '\'')
}
