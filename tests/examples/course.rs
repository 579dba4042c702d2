//! The course itself: what it runs, what it says on a terminal, to a pipe and as JSON, and its exit status.

use crate::lesson::Lesson;
use crate::{become_subreaper, command, run};
use nix::pty::openpty;
use std::io::Read;
use std::process::{Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn course(words: &[&str]) -> Output {
    command("course").args(words).output().unwrap()
}

/// (lessons and twins, cells that say pass, cells that say FAIL) of a table.
fn table(output: &Output) -> (Vec<String>, usize, usize) {
    let table = text(&output.stdout);
    let rows =
        table.lines().filter(|line| line.contains("/") && (line.contains("pass") || line.contains("FAIL")));
    let names = rows.map(|row| row.split("  ").find(|part| !part.is_empty()).unwrap().trim().to_owned());
    let words: Vec<&str> = table.split_whitespace().collect();
    let cells = |verdict| words.windows(2).filter(|pair| pair[0].contains('/') && pair[1] == verdict).count();
    (names.collect(), cells("pass"), cells("FAIL"))
}

pub(crate) fn the_course_passes_as_a_whole() {
    become_subreaper().unwrap();
    // On a machine that stands still for a while, no lesson hangs.
    let output = run("course", &["--limit", "1000000"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    let lessons = crate::LESSONS.len();
    let twins = crate::LESSONS.iter().filter(|source| source.contains("//! As in course:")).count();
    let (names, pass, fail) = table(&output);
    assert!(lessons >= 39 && twins >= 8);
    assert_eq!((names.len(), pass, fail), (lessons + twins, 3 * (lessons + twins), 0), "{said}");
    assert!(said.ends_with(&format!("\n{pass} of {pass} runs pass\n")), "{said}");
}

pub(crate) fn the_course_notices_a_lesson_that_fails() {
    let output = course(&["--fail", "ex05", "ex05"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(said.matches("0/6 FAIL").count(), 3, "{said}");
    assert!(said.ends_with("0 of 3 runs pass\n"), "{said}");
    let output = course(&["show", "--fail", "ex05", "ex05"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("NOT what its header promises"));
    // Too short a time is told as such.
    let output = course(&["--limit", "0", "--method", "spawn", "ex05"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("hangs"), "{}", text(&output.stderr));
}

pub(crate) fn the_course_refuses_to_run_nothing() {
    for words in [
        &["no such lesson"][..],
        &["ex01", "ex99"],
        &["show", "ex99"],
        &["--fail", "no such lesson"],
        &[""],
        &["show"],
        &["--fail"],
        &["--limit", "soon"],
        &["--method", "thread"],
        &["--no-such-flag"],
        &["list", "--json"],
    ] {
        let output = course(words);
        let wrong = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {wrong}");
        assert!(output.stdout.is_empty(), "{words:?}");
        // It says what there is instead.
        let names =
            words.iter().any(|word| word.is_empty() || word.contains("such lesson") || *word == "ex99");
        if names || words == ["show"] {
            assert!(wrong.contains("notebook: ") && wrong.contains("ex08b_barrier_script"), "{wrong}");
            // On a terminal the last line is what is seen.
            assert!(wrong.trim_end().ends_with("Above is what there is."), "{wrong}");
        }
    }
}

pub(crate) fn the_course_runs_one_or_a_group_or_what_has_a_part_of_a_name() {
    let names = |words: &[&str]| {
        let output = course(&[&["--method", "forkserver"], words].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        table(&output).0
    };
    let twin = "with the document's fault";
    // A number is one lesson, though the name of another begins with it.
    assert_eq!(names(&["ex03"]), ["ex03_background_process"]);
    assert_eq!(names(&["ex03b_background_script"]), ["ex03b_background_script"]);
    assert_eq!(names(&["ex06"]), ["ex06_queue", twin]);
    assert_eq!(names(&["ex21", "ex01"]), ["ex21_worker_hello", "ex01_create_processes"]);
    assert_eq!(names(&["queue"]), ["ex06_queue", twin, "ex22_queue_objects", "ex50_queue_add", twin]);
    let of_group = names(&["notebook"]);
    assert!(of_group.iter().all(|name| name.starts_with("ex2") || name == twin), "{of_group:?}");
    assert_eq!(of_group.iter().filter(|name| name.starts_with("ex2")).count(), 8);
}

pub(crate) fn the_course_shows_source_and_output_side_by_side() {
    let output = course(&["show", "ex06", "--method", "spawn"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}");
    let source = crate::LESSONS.iter().find(|source| source.contains("--example ex06_queue")).unwrap();
    let (left, right): (Vec<&str>, Vec<&str>) =
        said.lines().filter_map(|line| line.split_once(" |")).map(|(l, r)| (l.trim_end(), r.trim())).unzip();
    assert_eq!(left[..source.lines().count()], source.lines().collect::<Vec<_>>());
    let lesson = Lesson::read("ex06_queue", source);
    for promise in [Some(lesson.prints), lesson.as_in_course] {
        let found = promise.unwrap();
        let at = right.iter().position(|line| found.kept_by(line).0 == 1 && found.count() > 0);
        let printed: Vec<&str> = right[at.unwrap()..][..found.count()].to_vec();
        assert!(found.kept_by(&printed.join("\n")).1, "{printed:?}");
    }
    assert_eq!(right.iter().filter(|line| line.ends_with("as its header promises")).count(), 2, "{said}");
    assert!(said.starts_with("ex06_queue: answers notebook 6 of \"Unidad 8: Multiprocessing\""), "{said}");
}

pub(crate) fn the_course_lists_all_lessons_of_each_document() {
    let output = course(&["list"]);
    let said = text(&output.stdout);
    assert!(output.status.success());
    assert_eq!(said.lines().filter(|line| line.starts_with("  ex")).count(), crate::LESSONS.len(), "{said}");
    for title in ["Unidad 8", "December 12, 2020", "Curso Avanzado", "multi processing, threading"] {
        assert!(said.contains(title), "{said}");
    }
    let help = course(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("course show NAME"));
}

pub(crate) fn the_course_gives_json() {
    let output = course(&["--json", "--method", "fork", "ex06"]);
    assert!(output.status.success());
    let common = r#"{"lesson":"ex06_queue","document":"unidad8","answers":"notebook 6","shows":"SHOWS","variant":"VARIANT","method":"fork","end":"exit status: 0","promised":PROMISED,"kept":PROMISED,"passed":true}"#;
    let source = crate::LESSONS.iter().find(|source| source.contains("--example ex06_queue")).unwrap();
    let object = |variant, promised: usize| {
        let shows = Lesson::read("", source).shows.replace('"', "\\\"");
        let of = common.replace("SHOWS", &shows).replace("VARIANT", variant);
        of.replace("PROMISED", &promised.to_string())
    };
    let expected = format!(
        "{{\"passed\":2,\"runs\":2,\"results\":[\n{},\n{}\n]}}\n",
        object("plain", Lesson::read("", source).prints.count()),
        object("as in course", Lesson::read("", source).as_in_course.unwrap().count())
    );
    assert_eq!(text(&output.stdout), expected);
    // Quotation marks in a text.
    let output = course(&["--json", "--method", "fork", "ex50", "--fail", "ex50"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains(r#""answers":"the template \"Multi-processing\"""#), "{said}");
    assert!(said.contains("\"kept\":0,\"passed\":false"), "{said}");
}

pub(crate) fn the_course_is_plain_but_on_a_terminal() {
    let on_terminal = |name: &str, value: &str| {
        let (terminal, ours) = openpty(None, None).map(|pair| (pair.slave, pair.master)).unwrap();
        let mut course = command("course");
        course
            .args(["ex21", "--method", "fork"])
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .env(name, value);
        course.stdout(terminal.try_clone().unwrap()).stderr(terminal);
        let mut child = course.spawn().unwrap();
        // It has the terminal still.
        drop(course);
        let mut said = Vec::new();
        // When no process has the terminal open any more, reading fails.
        let _ = std::fs::File::from(ours).read_to_end(&mut said);
        assert!(child.wait().unwrap().success());
        text(&said)
    };
    let said = on_terminal("TERM", "xterm");
    assert!(said.contains("\x1b[32m   3/3 pass\x1b[0m"), "{said:?}");
    assert!(
        said.contains("\r\x1b[K[........................] 0/1 ex21_worker_hello under fork\r\x1b[K"),
        "{said:?}"
    );
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert!(!on_terminal(name, value).contains("\x1b[32m"));
    }
    let output =
        command("course").args(["ex21", "--method", "fork"]).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(text(&output.stdout).contains("   3/3 pass ") && !output.stdout.contains(&0x1b));
}
