//! CESQL against the facts of the specification and of its test kit: every row is an expression, what the event
//! has, and what must come out. A row `X` is an expression that must not parse.

#![allow(clippy::unwrap_used)]

use super::{ErrorKind, Expression, Value, parse};
use crate::routing::AttrKind::{self, Boolean, Integer, String as Text, Timestamp, Uri, UriReference};
use crate::routing::fields::Fields;

use ErrorKind::{Cast, FunctionEvaluation, Math, MissingAttribute, MissingFunction};
use Want::{B, E, I, S, X};

type Attribute = (&'static str, AttrKind, &'static str);

#[derive(Clone, Copy)]
enum Want {
    B(bool),
    I(i32),
    S(&'static str),
    /// An error, and the value beside it.
    E(ErrorKind, &'static Want),
    /// A parse error.
    X,
}

impl Want {
    fn value(self) -> Value {
        match self {
            B(value) => Value::Boolean(value),
            I(value) => Value::Integer(value),
            S(value) => Value::String(value.into()),
            E(_, beside) => beside.value(),
            X => unreachable!("a row that does not parse has no value"),
        }
    }
}

const T: Want = B(true);
const F: Want = B(false);
const F_MISSING: Want = E(MissingAttribute, &F);

fn check(rows: &[(&str, Want)]) {
    check_with(&[], rows);
}

fn check_with(attributes: &[Attribute], rows: &[(&str, Want)]) {
    let event = Fields::event(attributes);
    for (text, want) in rows {
        let parsed = parse(text);
        if matches!(want, X) {
            assert!(parsed.is_err(), "{text} must not parse, and gave {parsed:?}");
            continue;
        }
        let expr = parsed.unwrap_or_else(|error| panic!("{text}: {error}"));
        let got = Expression::new(&expr).evaluate(&event);
        let error = if let E(kind, _) = want { Some(*kind) } else { None };
        assert_eq!(got.value, want.value(), "value of {text} ({:?})", got.error);
        assert_eq!(got.error.as_ref().map(|error| error.kind), error, "error of {text}");
    }
}

#[test]
fn literals() {
    check(&[
        ("TRUE", T), ("true", T), ("tRuE", T), ("FALSE", F), ("false", F), ("FaLsE", F),
        ("0", I(0)), ("1", I(1)), ("+7", I(7)), ("-7", I(-7)), ("007", I(7)),
        ("2147483647", I(i32::MAX)), ("-2147483648", I(i32::MIN)), ("2147483648", X), ("-2147483649", X), ("- 2147483648", X),
        ("'abc'", S("abc")), ("\"abc\"", S("abc")), ("'aBc'", S("aBc")), ("\"AbC\"", S("AbC")), ("''", S("")),
        (r#"'a"b\'c'"#, S("a\"b'c")), (r#""a'b\"c""#, S("a'b\"c")),
        (r"'a\b'", S(r"a\b")), (r"'a\\'", S(r"a\\")), (r"'a\'", X), ("'it''s'", X), ("'open", X),
        ("'žluťoučký 🐎'", S("žluťoučký 🐎")),
    ]);
}

#[test]
fn equality() {
    check(&[
        ("TRUE = FALSE", F), ("FALSE = FALSE", T), ("1 = 2", F), ("2 = 2", T), ("'abc' = '123'", F), ("'abc' = 'abc'", T),
        ("TRUE != FALSE", T), ("FALSE != FALSE", F), ("1 != 2", T), ("2 != 2", F), ("'abc' != '123'", T), ("'abc' != 'abc'", F),
        ("TRUE <> FALSE", T), ("FALSE <> FALSE", F), ("1 <> 2", T), ("2 <> 2", F), ("'abc' <> '123'", T), ("'abc' <> 'abc'", F),
        ("'abc' = 'ABC'", F),
        ("missing = 2", F_MISSING), ("missing != 2", F_MISSING), ("missing <> 2", F_MISSING), ("2 = missing", F_MISSING),
        ("missing = other", F_MISSING),
        // The right operand's type decides.
        ("true = 'TRUE'", F), ("'TRUE' = true", T), ("TRUE = \"true\" AND FALSE = \"false\"", T),
        ("TRUE = \"TRUE\" OR FALSE = \"FALSE\"", F), ("'05' = 5", T), ("5 = '05'", F), ("5 = '5'", T), ("1 = TRUE", T),
        ("TRUE = 1", T), ("'abc' = 5", E(Cast, &F)), ("'abc' != 5", E(Cast, &F)), ("'abc' = FALSE", E(Cast, &F)),
        // From left to right: (1 = 1) = TRUE.
        ("1 = 1 = TRUE", T), ("3 = 3 = 3", F),
    ]);
}

#[test]
fn order() {
    check(&[
        ("2 <= 2", T), ("3 <= 2", F), ("1 < 2", T), ("2 < 2", F), ("2 >= 2", T), ("2 >= 3", F), ("2 > 1", T), ("2 > 2", F),
        ("missing <= 2", F_MISSING), ("2 < missing", F_MISSING), ("'10' > '9'", T), ("'a' < 'b'", E(Cast, &F)), ("TRUE > FALSE", T),
    ]);
}

#[test]
fn logic() {
    check(&[
        ("FALSE AND FALSE", F), ("FALSE AND TRUE", F), ("TRUE AND FALSE", F), ("TRUE AND TRUE", T),
        ("FALSE OR FALSE", F), ("FALSE OR TRUE", T), ("TRUE OR FALSE", T), ("TRUE OR TRUE", T),
        ("FALSE XOR FALSE", F), ("FALSE XOR TRUE", T), ("TRUE XOR FALSE", T), ("TRUE XOR TRUE", F),
        ("NOT TRUE", F), ("NOT FALSE", T), ("NOT 'TRUE'", F), ("NOT 'FALSE'", T), ("NOT 10", F), ("NOT 0", T),
        ("NOT missing", F_MISSING), ("NOT 'abc'", E(Cast, &F)), ("NOT NOT TRUE", T), ("tRuE aNd FaLsE", F),
        // Short-circuits hide what they leave out, and nothing else.
        ("false and (1 != 1 / 0)", F), ("true and (1 != 1 / 0)", E(Math, &F)),
        ("true or (1 != 1 / 0)", T), ("false or (1 != 1 / 0)", E(Math, &F)),
        ("TRUE AND (missing = '')", F_MISSING), ("missing AND TRUE", F_MISSING), ("TRUE OR missing", T), ("FALSE AND missing", F),
        ("TRUE XOR missing", F_MISSING), ("FALSE AND 'abc'", F), ("TRUE AND 'abc'", E(Cast, &F)), ("1 AND 'true'", T),
        // One level, from left to right.
        ("TRUE OR FALSE AND FALSE", F), ("FALSE AND FALSE OR TRUE", T), ("TRUE XOR TRUE OR TRUE", T), ("TRUE OR TRUE XOR TRUE", F),
    ]);
}

#[test]
fn arithmetic() {
    const ZERO_MISSING: Want = E(MissingAttribute, &I(0));
    const OVERFLOW: Want = E(Math, &I(0));
    check(&[
        ("4 * 2 + 4 / 2", I(10)), ("4 * (2 + 4) / 2", I(12)), ("4 * (2 + 3)", I(20)), ("(2 + 3) * 4", I(20)),
        ("5 / 3", I(1)), ("-5 / 3", I(-1)), ("5 / -3", I(-1)), ("5 % 2", I(1)), ("-5 % 3", I(-2)), ("5 % -3", I(2)),
        ("5 / 0", E(Math, &I(0))), ("5 % 0", E(Math, &I(0))),
        ("missing / 0", ZERO_MISSING), ("missing % 0", ZERO_MISSING), ("1 / missing", ZERO_MISSING), ("missing * 5", ZERO_MISSING),
        ("4 + 1", I(5)), ("-4 + 1", I(-3)), ("-4 + -1", I(-5)), ("4 + -1", I(3)), ("4 - 1", I(3)), ("-4 - 1", I(-5)),
        ("4 -1", I(3)), ("4-1", I(3)), ("10 - 3 - 2", I(5)), ("100 / 10 / 5", I(2)),
        ("'5' + 3", I(8)), ("5 + '3'", I(8)), ("'5' + '3'", I(8)), ("5 + TRUE", I(6)), ("'a' + 1", E(Cast, &I(0))),
        ("2147483647 + 1", OVERFLOW), ("-2147483648 - 1", OVERFLOW), ("65536 * 65536", OVERFLOW),
        ("-2147483648 / -1", OVERFLOW), ("-2147483648 % -1", I(0)), ("--2147483648", OVERFLOW),
        ("-10", I(-10)), ("--10", I(10)), ("-'10'", I(-10)), ("--'10'", I(10)), ("-TRUE", I(-1)), ("-missing", ZERO_MISSING),
        ("+'10'", X), ("ABS(10)", I(10)), ("ABS(-10)", I(10)), ("ABS(0)", I(0)), ("ABS(-2147483648)", E(Math, &I(i32::MAX))),
        ("ABS(1/0)", E(Math, &I(0))), ("ABS(missing)", ZERO_MISSING), ("aBs(-1)", I(1)),
    ]);
}

#[test]
fn casts_by_name() {
    check(&[
        ("INT('1')", I(1)), ("INT('-1')", I(-1)), ("INT('+1')", I(1)), ("INT(1)", I(1)), ("INT(-1)", I(-1)), ("INT(TRUE)", I(1)),
        ("INT(FALSE)", I(0)), ("INT('ABC')", E(Cast, &I(0))), ("INT('')", E(Cast, &I(0))), ("INT(' 1')", E(Cast, &I(0))),
        ("INT('2147483648')", E(Cast, &I(0))), ("INT('-2147483648')", I(i32::MIN)), ("INT(missing)", E(MissingAttribute, &I(0))),
        ("BOOL('TRUE')", T), ("BOOL(\"false\")", F), ("BOOL(TRUE)", T), ("BOOL(FALSE)", F), ("BOOL('ABC')", E(Cast, &F)),
        ("BOOL(1)", T), ("BOOL(0)", F), ("BOOL(100)", T), ("BOOL(-50)", T), ("BOOL(missing)", F_MISSING),
        ("STRING(TRUE)", S("true")), ("STRING(FALSE)", S("false")), ("STRING(1)", S("1")), ("STRING(-1)", S("-1")),
        ("STRING(\"abc\")", S("abc")), ("STRING(-2147483648)", S("-2147483648")), ("STRING(0)", S("0")),
        ("STRING(missing)", E(MissingAttribute, &S(""))),
        ("IS_INT('12')", T), ("IS_INT('a')", F), ("IS_INT(3)", T), ("IS_INT(missing)", F_MISSING), ("IS_BOOL('False')", T),
        ("IS_BOOL('no')", F), ("IS_INT(1/0)", E(Math, &F)), ("IS_INT(LEFT('a', -1))", E(FunctionEvaluation, &F)),
    ]);
}

#[test]
fn strings() {
    check(&[
        ("LENGTH('abc')", I(3)), ("LENGTH('')", I(0)), ("LENGTH('2')", I(1)), ("LENGTH(TRUE)", I(4)), ("LENGTH('žž🐎')", I(3)),
        ("CONCAT('a', 'b', 'c')", S("abc")), ("CONCAT()", S("")), ("CONCAT('a')", S("a")), ("CONCAT('a', 1, TRUE)", S("a1true")),
        ("CONCAT_WS(',', 'a', 'b', 'c')", S("a,b,c")), ("CONCAT_WS(',')", S("")), ("CONCAT_WS(',', 'a')", S("a")),
        ("CONCAT_WS()", E(MissingFunction, &F)), ("CoNcAt_Ws('-', 1, 2)", S("1-2")),
        ("LOWER('ABC')", S("abc")), ("LOWER('AbC')", S("abc")), ("LOWER('abc')", S("abc")), ("LOWER('ŽÍT')", S("žít")),
        ("UPPER('ABC')", S("ABC")), ("UPPER('AbC')", S("ABC")), ("UPPER('abc')", S("ABC")),
        ("TRIM('   a b c   ')", S("a b c")), ("TRIM('   a b c')", S("a b c")), ("TRIM('a b c   ')", S("a b c")),
        ("TRIM('a b c')", S("a b c")), ("TRIM('\u{2003}a\u{a0}')", S("a")), ("TRIM('\u{0}a')", S("\u{0}a")), ("TRIM('  ')", S("")),
        ("LEFT('abc', 2)", S("ab")), ("LEFT('abc', 10)", S("abc")), ("LEFT('', 0)", S("")), ("LEFT('žluť', 2)", S("žl")),
        ("LEFT('abc', -2)", E(FunctionEvaluation, &S("abc"))), ("LEFT('abc', 'x')", E(Cast, &S(""))),
        ("RIGHT('abc', 2)", S("bc")), ("RIGHT('abc', 10)", S("abc")), ("RIGHT('', 0)", S("")), ("RIGHT('žluť', 1)", S("ť")),
        ("RIGHT('abc', -2)", E(FunctionEvaluation, &S("abc"))), ("LENGTH(LEFT('abc', -2))", E(FunctionEvaluation, &I(0))),
        ("SUBSTRING('abcdef', 1)", S("abcdef")), ("SUBSTRING('abcdef', 2)", S("bcdef")), ("SUBSTRING('Quadratically', 5)", S("ratically")),
        ("SUBSTRING('Sakila', -3)", S("ila")), ("SUBSTRING('abcdef', 1, 6)", S("abcdef")), ("SUBSTRING('abcdef', 2, 4)", S("bcde")),
        ("SUBSTRING('Sakila', -5, 3)", S("aki")), ("SUBSTRING('Quadratically', 0)", S("")), ("SUBSTRING('Quadratically', 0, 1)", S("")),
        ("SUBSTRING('abcdef', 4, 100)", S("def")), ("SUBSTRING('abcdef', 2, 0)", S("")), ("SUBSTRING('žluť', 2, 2)", S("lu")),
        ("SUBSTRING('abcdef', 10)", E(FunctionEvaluation, &S(""))), ("SUBSTRING('abcdef', -10)", E(FunctionEvaluation, &S(""))),
        ("SUBSTRING('abcdef', 10, 10)", E(FunctionEvaluation, &S(""))), ("SUBSTRING('abcdef', -10, 10)", E(FunctionEvaluation, &S(""))),
        ("SUBSTRING('abcdef', 1, -1)", E(FunctionEvaluation, &S(""))), ("SUBSTRING('abc', -2147483648)", E(FunctionEvaluation, &S(""))),
        ("NOSUCH('a')", E(MissingFunction, &F)), ("ABS()", E(MissingFunction, &F)), ("ABS(1, 2)", E(MissingFunction, &F)),
    ]);
}

#[test]
fn like() {
    check(&[
        ("'abc' LIKE 'abc'", T), (r"'ab\c' LIKE 'ab\c'", T), ("'abc' NOT LIKE 'abc'", F), ("'ABC' LIKE 'abc'", F), ("'aBc' LIKE '_bc'", F),
        ("'abc' LIKE 'a%b%c'", T), ("'azbc' LIKE 'a%b%c'", T), ("'azzzbzzzc' LIKE 'a%b%c'", T), ("'a%b%c' LIKE 'a%b%c'", T),
        ("'ac' LIKE 'abc'", F), ("'' LIKE 'abc'", F), ("'.ab.cde.' LIKE '.%.%.'", T), ("'ab.cde' LIKE '.%.%.'", F),
        ("'' LIKE ''", T), ("'' LIKE '%'", T), ("'' LIKE '_'", F), ("'a' LIKE ''", F), ("'aa' LIKE 'a%a'", T), ("'a' LIKE 'a%a'", F),
        ("'abc' LIKE 'a_b_c'", F), ("'a_b_c' LIKE 'a_b_c'", T), ("'abzc' LIKE 'a_b_c'", F), ("'azbc' LIKE 'a_b_c'", F),
        ("'azbzc' LIKE 'a_b_c'", T), ("'.a.b.' LIKE '._._.'", T), ("'abcd.' LIKE '._._.'", F), ("'žluť' LIKE '_lu_'", T),
        ("'xabyabz' LIKE '%a_%z'", T), ("'abab' LIKE '%_b'", T), ("'b' LIKE '%_b'", F), ("'abcab' LIKE '%a_'", T),
        (r"'a_b_c' LIKE 'a\_b\_c'", T), (r"'a_b_c' NOT LIKE 'a\_b\_c'", F), (r"'azbzc' LIKE 'a\_b\_c'", F), (r"'abc' LIKE 'a\_b\_c'", F),
        (r"'abc' LIKE 'a\%b\%c'", F), (r"'a%b%c' LIKE 'a\%b\%c'", T), (r"'azbzc' LIKE 'a\%b\%c'", F), (r"'abc%' LIKE 'abc\%'", T),
        ("234 LIKE '23_'", T), ("2344 LIKE '23%'", T), ("2344 LIKE '23_'", F), ("TRUE LIKE 'tr%'", T), ("TRUE LIKE '%ue'", T),
        ("FALSE LIKE 'tr%'", F), ("FALSE LIKE 'fal%'", T), ("missing LIKE 'a%'", F_MISSING), ("missing NOT LIKE 'a%'", F_MISSING),
        ("x LIKE 123", X), ("x LIKE y", X), ("x LIKE ('a')", X), ("x NOT 'a'", X),
    ]);
    let myext = [("myext", Text, "abc123123%456_dzf")];
    check_with(&myext, &[(r"myext LIKE 'abc%123\%456\_d_f'", T), (r"myext NOT LIKE 'abc%123\%456\_d_f'", F)]);
}

#[test]
fn membership() {
    check(&[
        ("123 IN (1, 2, 3, 12, 13, 23, 123)", T), ("123 NOT IN (1, 2, 3, 12, 13, 23, 123)", F), ("'abc' IN ('abc', \"bcd\")", T),
        ("'aaa' IN ('abc', \"bcd\")", F), ("TRUE IN (TRUE, FALSE)", T), ("TRUE IN (FALSE)", F), ("1 NOT IN (2)", T),
        // The left operand's type decides.
        ("'true' IN (TRUE, 'false')", T), ("'true' IN ('TRUE', 'false')", F), ("TRUE IN ('true', 'false')", T), ("'TRUE' IN (TRUE, 'false')", F),
        ("1 IN ('1', '2')", T), ("'1' IN (1, 2)", T), ("'01' IN (1, 2)", F), ("1 IN ('01')", T), ("1 IN ('a')", E(Cast, &F)),
        // The order of the elements does not matter, not even to errors.
        ("1 IN (1, 'a')", E(Cast, &F)), ("1 IN ('a', 1)", E(Cast, &F)), ("1 NOT IN ('a', 2)", E(Cast, &F)), ("missing IN ('a')", F_MISSING),
        ("missing NOT IN ('a')", F_MISSING), ("'a' IN ('a', missing)", F_MISSING), ("1 IN ()", X), ("1 IN 1", X),
    ]);
    let event = [("source", UriReference, "/here"), ("myext", Text, "/here"), ("n", Integer, "5"), ("b", Boolean, "true")];
    check_with(&event, &[
        ("source IN (myext, 'abc')", T), ("source IN (id, '/here')", T), ("source IN (id, 'xyz')", F), ("source NOT IN (id, 'xyz')", T),
        ("n IN ('05', 7)", T), ("n IN ('a', 5)", E(Cast, &F)), ("b IN ('TRUE')", T), ("b IN (n)", T), ("myext IN (n, b)", F), ("n + 1 IN (6)", I(5)),
        ("(n + 1) IN (6)", T),
    ]);
}

#[test]
fn attributes() {
    check_with(&[("id", Text, "myId"), ("subject", Text, "mySubject"), ("mybool", Boolean, "true"), ("myint", Integer, "10"),
        ("myext", Text, "my extension"), ("source", UriReference, "http://localhost/source"), ("dataschema", Uri, "urn:x"),
        ("time", Timestamp, "2018-04-26T14:48:09+02:00"), ("123abc", Text, "odd")], &[
        ("id", S("myId")), ("subject", S("mySubject")), ("mybool", T), ("myint", I(10)), ("myext", S("my extension")),
        ("source", S("http://localhost/source")), ("time", S("2018-04-26T14:48:09+02:00")), ("dataschema", S("urn:x")), ("123abc", S("odd")),
        ("EXISTS subject", T), ("EXISTS id AND EXISTS source AND EXISTS type AND EXISTS specversion", T), ("NOT EXISTS nothere", T),
        ("EXISTS nothere", F), ("exists myext", T), ("EXISTS nothere AND nothere = 'abc'", F), ("EXISTS myint = TRUE", T),
        ("mybool = 'true'", T), ("mybool = 1", T), ("myint = 'x'", F), ("myint = '10'", T), ("myint = mybool", T), ("mybool = myint", F),
        ("myint + 1 > 10", T), ("myext = 5", E(Cast, &F)), ("id != 'myid'", T), ("myint LIKE '1_'", T), ("'my extension' = myext", T),
        ("Type = 'x'", X), ("my_ext = 'x'", X), ("and = 1", X), ("EXISTS", X), ("EXISTS 'id'", X), ("EXISTS Not", X), ("data.x = 1", X),
    ]);
    check(&[("subject", F_MISSING), ("EXISTS time", F), ("EXISTS id", T)]);
}

#[test]
fn a_boolean_attribute_compared_with_an_integer_attribute_is_cast_to_it() {
    check_with(&[("b", Boolean, "true"), ("one", Integer, "1"), ("s", Text, "1")], &[
        ("b = one", T), ("one = b", T), ("s = one", T), ("one = s", T), ("s = b", E(Cast, &F)), ("b = s", F),
    ]);
}

#[test]
fn examples_of_the_specification() {
    let hops = [("hop", Text, "5"), ("ttl", Text, "10"), ("sequence", Text, "5")];
    check_with(&hops, &[
        ("int(hop) < int(ttl) and int(hop) < 1000", T), ("INT(hop) < INT(ttl) AND INT(hop) < 1000", T), ("hop < ttl", T),
        ("sequence = 5", T), ("sequence = 6", F), ("LENGTH(sequence + 10)", I(2)),
    ]);
    let either = "firstname = 'Francesco' OR subject = 'Francesco'";
    let both = "(firstname = 'Francesco' AND lastname = 'Guardiani') OR subject = 'Francesco Guardiani'";
    check_with(&[("subject", Text, "Francesco"), ("firstname", Text, "Doug")], &[(either, T)]);
    check_with(&[("subject", Text, "Doug"), ("firstname", Text, "Francesco")], &[(either, T)]);
    check_with(&[("subject", Text, "Doug"), ("firstname", Text, "Francesco"), ("lastname", Text, "Guardiani")], &[(both, T)]);
    check_with(&[("subject", Text, "Francesco Guardiani"), ("firstname", Text, "Doug"), ("lastname", Text, "Davis")], &[(both, T)]);
}

#[test]
fn the_subscription_filters_written_as_expressions() {
    check_with(&[("source", Uri, "https://example.com"), ("myext", Text, "customext"), ("type", Text, "com.github.error")], &[
        ("source LIKE 'https://%'", T), ("source LIKE 'http://%'", F), ("myext LIKE 'custom%'", T), ("type like '%.error'", T),
        ("type like '%.success'", F), ("myext LIKE '%ext'", T), ("myext = 'customext'", T), ("nope LIKE 'custom%'", F_MISSING),
        ("nope LIKE '%ext'", F_MISSING), ("nope = 'customext'", F_MISSING), ("myext LIKE 'custom%' AND type LIKE '%.error'", T),
        ("type LIKE 'com.%' AND nope LIKE 'custom%'", F_MISSING), ("type LIKE 'x.%' OR nope LIKE '%ext'", F_MISSING),
    ]);
    let two = "id LIKE 'my%' AND source LIKE '%.ca'";
    let one = "id LIKE 'my%' OR source LIKE '%.ca'";
    check_with(&[("id", Text, "myId"), ("source", Uri, "http://www.some-website.ca")], &[("id = 'myId'", T), (two, T), (one, T)]);
    check_with(&[("id", Text, "myId"), ("source", Uri, "http://www.some-website.com")], &[(two, F), (one, T)]);
    check_with(&[("id", Text, "notmyId"), ("source", Uri, "http://www.some-website.ca")], &[("id = 'myId'", F), (two, F), (one, T)]);
    check_with(&[("id", Text, "notmyId"), ("source", Uri, "http://www.some-website.com")], &[(one, F)]);
}

#[test]
fn normal_forms() {
    let or = "(id = 'myId' AND type LIKE '%.success') OR (id = 'notmyId' AND source LIKE 'http://%' AND type LIKE '%.warning')";
    let and = "(id = 'myId' OR type LIKE '%.success') AND (id = 'notmyId' OR source LIKE 'https://%' OR type LIKE '%.warning')";
    let (or_ext, and_ext) = (format!("{or} OR (myext = 'x')"), format!("{and} AND (myext = 'x')"));
    let event = |id, of_type, source| [("id", Text, id), ("type", Text, of_type), ("source", Uri, source)];
    check_with(&event("myId", "example.event.success", "http://localhost"), &[(or, T), (and, F), (&or_ext, T), (&and_ext, F)]);
    check_with(&event("notmyId", "example.event.warning", "http://localhost"), &[(or, T), (and, F)]);
    check_with(&event("notmyId", "example.event.warning", "https://localhost"), &[(or, F), (&or_ext, F_MISSING)]);
    check_with(&event("myId", "example.event.warning", "http://localhost"), &[(and, T), (&and_ext, F_MISSING)]);
    check_with(&event("notmyId", "example.event.success", "http://localhost"), &[(and, T)]);
}

#[test]
fn precedence() {
    check(&[
        ("2 + 3 * 4", I(14)), ("2 * 3 + 4 * 5", I(26)), ("1 + 1 = 2", T), ("1 < 2 AND 2 < 3", T), ("NOT FALSE = FALSE", F),
        ("NOT (FALSE = FALSE)", F), ("NOT TRUE = FALSE", T), ("NOT TRUE LIKE 'f%'", T), ("-1 IN (-1)", T), ("1 + 1 LIKE '1'", I(2)),
        ("((((1))))", I(1)), ("(1", X), ("1)", X), ("ABC(", X), ("", X), ("  ", X), ("1 2", X), ("1 +", X), ("* 1", X), ("a == b", X),
        ("a && b", X), ("a; b", X), ("ABS(1,)", X), ("A1(1)", X), ("TRUE(1)", X), ("a = 'x' AND", X), ("(1, 2)", X), ("a ! b", X),
    ]);
}
