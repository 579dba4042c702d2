//! What the command line asks for.

use crate::documents::{DOCUMENTS, Document};
use crate::lesson::Lesson;
use mp::StartMethod;
use std::fmt::Write;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
usage: course [NAME ...] [OPTIONS]       run lessons: all, or those that are named
       course show NAME ... [OPTIONS]    a lesson's source and what it prints, side by side
       course list                       the documents and their lessons

A NAME is a lesson (ex08_barrier_lock), its number (ex08), a group (notebook), or a part of a lesson's name (queue).

  --method fork|spawn|forkserver   under this start method only
  --json                           the results as one JSON document
  --limit SECONDS                  a run that takes longer counts as one that hangs (60)
  --fail NAME                      make this lesson fail, to see what that looks like

The exit status is 0 if all runs pass, 1 if one falls short, and 2 if the command line is wrong.";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Run,
    Show,
    List,
    Help,
}

#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) task: Task,
    pub(crate) lessons: Vec<&'a Lesson>,
    /// These are made to fail.
    pub(crate) failing: Vec<&'a Lesson>,
    pub(crate) methods: Vec<StartMethod>,
    pub(crate) json: bool,
    pub(crate) limit: Duration,
}

impl<'a> Wanted<'a> {
    /// # Errors
    /// What is wrong with the words, for a person to read.
    pub(crate) fn parse(words: &[String], all: &'a [Lesson]) -> Result<Wanted<'a>, String> {
        let mut wanted = Wanted {
            task: Task::Run,
            lessons: Vec::new(),
            failing: Vec::new(),
            methods: vec![StartMethod::Fork, StartMethod::Spawn, StartMethod::ForkServer],
            json: false,
            limit: Duration::from_secs(60),
        };
        let mut words = words.iter().map(String::as_str).peekable();
        wanted.task = match words.peek() {
            Some(&"show") => Task::Show,
            Some(&"list") => Task::List,
            _ => Task::Run,
        };
        if wanted.task != Task::Run {
            words.next();
        }
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| format!("{word} needs a value after it.\n\n{USAGE}"));
            match word {
                "--help" | "-h" => wanted.task = Task::Help,
                "--json" => wanted.json = true,
                "--fail" => wanted.failing.extend(find(value()?, all)?),
                "--method" => wanted.methods = vec![value()?.parse().map_err(|error| format!("{error}"))?],
                "--limit" => {
                    let seconds = value()?.parse().map_err(|error| format!("--limit: {error}"))?;
                    wanted.limit = Duration::from_secs(seconds);
                }
                flag if flag.starts_with('-') => {
                    return Err(format!("there is no option {flag}.\n\n{USAGE}"));
                }
                name => wanted.lessons.extend(find(name, all)?),
            }
        }
        if wanted.json && wanted.task != Task::Run {
            return Err(format!("--json is for a run of lessons.\n\n{USAGE}"));
        }
        if wanted.lessons.is_empty() {
            if wanted.task == Task::Show {
                return Err(instead("show needs the name of a lesson.", all));
            }
            wanted.lessons = all.iter().collect();
        }
        Ok(wanted)
    }
}

/// The lessons that a name means: the one with this name or number, or a group, or all whose name holds it.
fn find<'a>(name: &str, all: &'a [Lesson]) -> Result<Vec<&'a Lesson>, String> {
    let by = |is: &dyn Fn(&Lesson) -> bool| all.iter().filter(|lesson| is(lesson)).collect::<Vec<_>>();
    let exact = by(&|lesson| lesson.name == name || lesson.name.split('_').next() == Some(name));
    let group = by(&|lesson| Document::of(lesson.name).group == name);
    let part = by(&|lesson| !name.is_empty() && lesson.name.contains(name));
    let found = [exact, group, part].into_iter().find(|found| !found.is_empty());
    found.ok_or_else(|| instead(&format!("no lesson and no group is called {name:?}."), all))
}

/// The list first: it is longer than a terminal, whose last lines are what is seen.
fn instead(wrong: &str, all: &[Lesson]) -> String {
    format!("{}\n{wrong} Above is what there is.", what_there_is(all))
}

/// Every group with its lessons.
pub(crate) fn what_there_is(all: &[Lesson]) -> String {
    let mut text = String::new();
    for document in &DOCUMENTS {
        let lessons: Vec<_> = all.iter().filter(|lesson| Document::of(lesson.name) == document).collect();
        if lessons.is_empty() {
            continue;
        }
        let _ = writeln!(text, "{}: \"{}\", {}", document.group, document.title, document.what);
        for lesson in lessons {
            let _ = writeln!(text, "  {:<28} {}", lesson.name, lesson.answers_and_shows());
        }
    }
    text
}
