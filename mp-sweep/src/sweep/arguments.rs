//! The command line.

use super::scene::{Mode, Operation};

pub(super) const USAGE: &str = "\
usage: mp-sweep [operation…] [--stop] [--barge] [--tsv] [--list] [--every n] [--jobs n]
  operation    a name that --list gives, or what several of them begin with (lock, queue); all, if none is given
  --stop       stop the victim at each point, and have it go on later, instead of killing it
  --barge      have a third party act at each point, before the kill
  --tsv        rows for tools
  --list       the operations' names, and nothing else
  --every n    only every n-th point (the mode says so: kill/n)
  --jobs n     points tried at the same time (default 4)";

/// What was asked for.
#[derive(Debug)]
pub(super) struct Arguments {
    names: Vec<String>,
    pub(super) modes: Vec<Mode>,
    pub(super) tsv: bool,
    pub(super) list: bool,
    pub(super) every: u64,
    pub(super) jobs: u64,
}

/// What to sweep.
pub(super) struct Wanted<'a> {
    pub(super) operations: Vec<&'a Operation>,
    /// The first name that selects nothing.
    pub(super) unknown: Option<String>,
}

impl Arguments {
    pub(super) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments =
            Arguments { names: Vec::new(), modes: Vec::new(), tsv: false, list: false, every: 1, jobs: 4 };
        while let Some(word) = words.next() {
            let mut number = || {
                let given = words.next().and_then(|text| text.parse().ok());
                given.filter(|number| *number > 0).ok_or(format!("{word} takes a number from 1 up"))
            };
            match word.as_str() {
                "--stop" => arguments.modes.push(Mode::Stop),
                "--barge" => arguments.modes.push(Mode::Barge),
                "--tsv" => arguments.tsv = true,
                "--list" => arguments.list = true,
                "--every" => arguments.every = number()?,
                "--jobs" => arguments.jobs = number()?,
                flag if flag.starts_with('-') => return Err(format!("there is no {flag}")),
                _ => arguments.names.push(word),
            }
        }
        if arguments.modes.is_empty() {
            arguments.modes.push(Mode::Kill);
        }
        Ok(arguments)
    }

    pub(super) fn wanted<'a>(&self, known: &'a [Operation]) -> Wanted<'a> {
        let selects = |name: &String, operation: &Operation| {
            let below = operation.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
            let names_one = known.iter().any(|other| other.name == name);
            operation.name == name || below && !names_one && !operation.hidden
        };
        let wanted = |operation: &&Operation| {
            if self.names.is_empty() {
                !operation.hidden
            } else {
                self.names.iter().any(|name| selects(name, operation))
            }
        };
        let known_to_somebody = |name: &&String| !known.iter().any(|operation| selects(name, operation));
        Wanted {
            operations: known.iter().filter(wanted).collect(),
            unknown: self.names.iter().find(known_to_somebody).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    fn chosen(line: &str) -> Vec<&'static str> {
        let known = crate::operations::all();
        parse(line).unwrap().wanted(&known).operations.iter().map(|one| one.name).collect()
    }

    #[test]
    fn a_name_selects_one_operation_or_all_of_a_type() {
        assert_eq!(chosen("lock.release"), ["lock.release"]);
        assert_eq!(chosen("event.wait event.set"), ["event.set", "event.wait"]);
        assert!(chosen("semaphore.release").len() < chosen("semaphore").len());
        assert!(chosen("lock").contains(&"lock.acquire"));
        assert!(!chosen("lock").contains(&"rlock.acquire"));
        assert_eq!(chosen("plain"), [] as [&str; 0]);
        assert_eq!(chosen("plain.lock"), ["plain.lock"]);
        assert!(!chosen("").contains(&"plain.lock"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse("--every 0").is_err());
        assert!(parse("--evry 2").is_err());
        let known = crate::operations::all();
        assert_eq!(parse("lock lok").unwrap().wanted(&known).unknown.as_deref(), Some("lok"));
    }

    #[test]
    fn killing_is_the_default() {
        assert_eq!(parse("lock").unwrap().modes, [Mode::Kill]);
        assert_eq!(parse("--stop --barge").unwrap().modes, [Mode::Stop, Mode::Barge]);
    }
}
