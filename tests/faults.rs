//! Holds `docs/faults.md` to its word: all 70 rows, in order, and each test that it names is one.

use mp_testing::sources_below;
use std::fs;
use std::path::Path;

/// What a row without a test may wait for.
const PARTS: &[&str] = &["listener", "pool", "manager", "named memory"];
const ROWS: usize = 70;

fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// What is wrong with the table; nothing, it is to be hoped.
fn wrong(table: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # "));
    let mut numbers = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [number, fault, done, shown] = cells[..] else {
            wrong.push(format!("not four columns: {row}"));
            continue;
        };
        numbers.push(number.to_owned());
        let tests: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        let waits = shown.rsplit_once("waits for the ").or(shown.rsplit_once("waits for "));
        let waits = waits.map(|(_, part)| part);
        let missing = |what: &str| format!("row {number}: {what}");
        if fault.is_empty() || done.is_empty() && !tests.is_empty() {
            wrong.push(missing("says not what it is, or what is done"));
        }
        if tests.is_empty() && waits.is_none() {
            wrong.push(missing("has no test and waits for nothing"));
        }
        if waits.is_some_and(|part| !PARTS.contains(&part)) {
            wrong.push(missing("waits for what is no part"));
        }
        wrong.extend(tests.into_iter().filter_map(|test| is_none(test).map(|why| missing(&why))));
    }
    let expected: Vec<String> = (1..=ROWS).map(|number| number.to_string()).collect();
    if numbers != expected {
        wrong.push(format!("the rows are {numbers:?}"));
    }
    wrong
}

/// Why this is the name of no test.
fn is_none(name: &str) -> Option<String> {
    let there = match (name.split_once(' '), name.split_once("::")) {
        (Some(("sweep", operation)), _) => is_swept(operation),
        (Some(("model", model)), _) => {
            let models = read("mp-sync/tests/loom.rs").unwrap_or_default();
            words(&models).any(
                |words| matches!(words[..], ["explore" | "sweep" | "sweep_woken", name, _] if name == model),
            )
        }
        (Some(("just", recipe)), _) => {
            let recipes = read("justfile").unwrap_or_default();
            recipes.lines().any(|line| {
                line.starts_with(recipe)
                    && line[recipe.len()..].starts_with([' ', ':'])
                    && line.ends_with(':')
            })
        }
        (_, Some((path, function))) => match read(path) {
            Some(text) => is_test(&text, function),
            None => return Some(format!("there is no {path}")),
        },
        _ => false,
    };
    (!there).then(|| format!("there is no {name}"))
}

fn words(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.trim().trim_end_matches(';').split(' ').collect())
}

fn is_swept(operation: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/sweep/src/operations");
    let name = format!("\"{operation}\"");
    sources_below(&folder).iter().any(|path| fs::read_to_string(path).unwrap().contains(&name))
}

/// A function that takes nothing, and that the harness runs: by its attribute, or since it is listed.
fn is_test(text: &str, function: &str) -> bool {
    let declared = format!("fn {function}() {{");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let Some(at) = lines.iter().position(|line| *line == declared) else { return false };
    if !text.contains("mp_testing::cases!") {
        return lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
            .any(|line| *line == "#[test]");
    }
    let list = text
        .split("mp_testing::cases! {")
        .nth(1)
        .and_then(|rest| rest.split("\n}").next())
        .unwrap_or_default();
    list.split([',', '[', ']', ' ', '\n']).any(|name| name == function)
}

fn table() -> String {
    read("docs/faults.md").expect("docs/faults.md is there")
}

#[test]
fn every_fault_has_its_row_and_every_test_is_one() {
    let wrong = wrong(&table());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// That the check finds what it is there for.
#[test]
fn a_table_that_lies_is_found_out() {
    let table = table();
    assert_eq!(wrong(&table), [""; 0]);
    let row = |number: usize| {
        let begin = format!("| {number} |");
        table.lines().find(|line| line.starts_with(&begin)).unwrap().to_owned() + "\n"
    };
    let changed = |from: &str, to: &str| {
        assert!(table.contains(from), "{from}");
        table.replacen(from, to, 1)
    };
    let lies = [
        ("a row is missing", changed(&row(17), "")),
        ("two are exchanged", changed(&(row(20) + &row(21)), &(row(21) + &row(20)))),
        ("one is there twice", changed(&row(5), &(row(5) + &row(5)))),
        ("the last is missing", changed(&row(45), "")),
        ("no such function", changed("queue.rs::closed_means_closed", "queue.rs::closed_means_open")),
        (
            "a function that is no case",
            changed("signalled.rs::a_stopped_party_is_waited_for", "signalled.rs::two_of_three"),
        ),
        ("no such file", changed("mp-sync/tests/model.rs::", "mp-sync/tests/models.rs::")),
        (
            "a function that is no test",
            changed("frame.rs::the_buffer_grows_with_what_arrives", "frame.rs::grow"),
        ),
        ("no such operation", changed("`sweep queue.get`", "`sweep queue.gets`")),
        ("no such model", changed("`model barrier_dead_party`", "`model barrier_dead_parties`")),
        ("no such command", changed("`just interrupted`", "`just interrupt`")),
        ("nothing known", changed("`just interrupted`", "`by hand`")),
        ("neither a test nor a reason", changed(&row(15), "| 15 | a wrong authkey | refused | later |\n")),
        ("waits for nothing we know", changed("waits for the listener", "waits for better times")),
        (
            "does nothing, and tests it",
            changed("reserved when an object is made", "reserved").replacen(
                &row(23),
                "| 23 | join before | | `just kills` |\n",
                1,
            ),
        ),
        ("a column is missing", changed(&row(45), "| 45 | descriptors | refused |\n")),
    ];
    for (what, lie) in lies {
        assert_ne!(lie, table, "{what}");
        assert!(!wrong(&lie).is_empty(), "{what}: not found out");
    }
}
