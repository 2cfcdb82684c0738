//! What the parser says about broken YAML, and what a person most often did to bring it about.

/// What the parser says, and what most often brings it about.
pub(super) fn explain<'e>(info: &'e str, line: &str) -> (&'e str, &'static str) {
    if line.contains("${") && line.contains(['{', '[']) {
        return (info, "inside `{ }` and `[ ]`, put texts with `${...}` in quotes");
    }
    if info.contains("mapping values are not allowed") || info.contains("simple key") {
        return (
            info,
            "put a text with `: ` in it in quotes, and give each key a line of its own",
        );
    }
    if info.contains("cannot start any token")
        || info.contains("unexpected character")
        || info.contains("indicator")
    {
        return (info, "put a text that begins with a special character in quotes");
    }
    if info.contains("unknown anchor") {
        return (info, "define the anchor with `&name` before it is used");
    }
    if info.contains("quoted scalar") {
        return (info, "close the quotes");
    }
    if info.contains("flow") || info.contains("','") || info.contains(']') || info.contains('}') {
        return (
            info,
            "check that brackets and braces are closed, with commas between",
        );
    }
    (
        info,
        "check the indentation, quotes and brackets here and on the line before",
    )
}
