//! `docs/connectors/conformance.md`, held against the code: the cases, their clauses, who runs them, and every waiver
//! with its reason.
//!
//! The page has one table of cases for each side, whose first columns are the case and its clauses and whose other
//! columns are subjects, and one table of waivers (subject, case, reason).

use super::Case;

/// The page.
const PAGE: &str = include_str!("../../../../docs/connectors/conformance.md");

/// What a cell says where the subject runs the case, and where it does not.
const RUNS: &str = "yes";
const WAIVED: &str = "waived";

/// Panics where the subject's column of `side` says other than its waivers do.
pub(super) fn check(side: &str, cases: &[Case], name: &str, waives: &dyn Fn(&str) -> Option<&'static str>) {
    let wrong = differences(PAGE, side, cases, name, waives);
    assert!(
        wrong.is_empty(),
        "docs/connectors/conformance.md:\n{}",
        wrong.join("\n")
    );
}

fn differences(
    page: &str,
    side: &str,
    cases: &[Case],
    name: &str,
    waives: &dyn Fn(&str) -> Option<&'static str>,
) -> Vec<String> {
    let table = rows(page, side);
    let Some(column) = table
        .first()
        .and_then(|head| head.iter().position(|cell| *cell == name))
    else {
        return vec![format!("the table of `## {side}` has no column `{name}`")];
    };
    let mut wrong = Vec::new();
    let waivers = rows(page, "Waivers");
    for case in cases {
        let row = table
            .iter()
            .find(|row| row.first().is_some_and(|cell| is_code(cell, case.name)));
        let reason = waives(case.name);
        let cell = row.and_then(|row| row.get(column)).copied().unwrap_or("nothing");
        let expected = if reason.is_some() { WAIVED } else { RUNS };
        if cell != expected {
            wrong.push(format!(
                "`{}`, column {name}: says {cell}, is {expected}",
                case.name
            ));
        }
        let told = waivers.iter().find(|row| {
            row.first() == Some(&name) && row.get(1).is_some_and(|cell| is_code(cell, case.name))
        });
        if told.and_then(|row| row.get(2)).copied() != reason {
            let text = reason.unwrap_or("(no waiver)");
            wrong.push(format!(
                "the waiver must read: | {name} | `{}` | {text} |",
                case.name
            ));
        }
    }
    wrong
}

/// The rows of the first table below a heading, its head included.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let below = page
        .lines()
        .skip_while(|line| line.strip_prefix("## ") != Some(heading));
    let table = below.skip_while(|line| !line.starts_with('|'));
    let rows = table.take_while(|line| line.starts_with('|'));
    rows.filter(|row| !row.starts_with("|---"))
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

fn is_code(cell: &str, text: &str) -> bool {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')) == Some(text)
}

#[cfg(test)]
mod tests {
    use super::super::{EGRESS, INGRESS};
    use super::*;

    fn list(cases: &[Case]) -> Vec<(String, String)> {
        let each = cases
            .iter()
            .map(|case| (format!("`{}`", case.name), case.clauses.replace(' ', ", ")));
        each.collect()
    }

    #[test]
    fn the_page_lists_the_cases_and_clauses_of_the_code() {
        for (side, cases) in [("Ingress", INGRESS), ("Egress", EGRESS)] {
            let told: Vec<(String, String)> = rows(PAGE, side)
                .iter()
                .skip(1)
                .filter_map(|row| Some(((*row.first()?).to_owned(), (*row.get(1)?).to_owned())))
                .collect();
            assert_eq!(told, list(cases), "docs/connectors/conformance.md, `## {side}`");
        }
    }

    #[test]
    fn a_cell_or_a_reason_that_differs_is_found() {
        let case = |name| Case {
            name,
            clauses: "C1",
            hurts: false,
        };
        let cases = [case("one"), case("two")];
        let page = "## Ingress\n| case | clauses | a |\n|---|---|---|\n| `one` | C1 | yes |\n| `two` | C1 | waived |\n\n\
                    ## Waivers\n| subject | case | reason |\n|---|---|---|\n| a | `two` | so |\n";
        let check = |waives: &dyn Fn(&str) -> Option<&'static str>, name: &str| {
            differences(page, "Ingress", &cases, name, waives)
        };
        assert!(check(&|case| (case == "two").then_some("so"), "a").is_empty());
        assert_eq!(check(&|case| (case == "two").then_some("else"), "a").len(), 1);
        assert_eq!(check(&|_| None, "a").len(), 2);
        assert_eq!(check(&|_| None, "b").len(), 1);
    }
}
