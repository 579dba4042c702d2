//! The command line.

use super::scene::{Every, Mode, Operation};
use std::fmt;

pub(super) const USAGE: &str = "\
usage: mp-sweep [operation…] [--stop] [--barge] [--pass] [--twice] [--tsv] [--list] [--every n|call] [--jobs n]
  operation    a name that --list gives, or what several of them begin with (lock, queue); all, if none is given
  --stop       stop the victim at each point, and have it go on later, instead of killing it
  --barge      have a third party act at each point, before the kill
  --pass       have a third party act at each point, and the victim go on beside it
  --twice      kill the next one to do the operation too, after each of its instructions
  --tsv        rows for tools
  --list       the operations' names, and nothing else
  --every n    only every n-th point (the mode says so: kill/n); long operations have an n of their own
  --every call only the point just after each system call (kill/call)
  --jobs n     points tried at the same time (default 4)";

/// What was asked for.
#[derive(Debug)]
pub(super) struct Arguments {
    names: Vec<String>,
    pub(super) modes: Vec<Mode>,
    pub(super) tsv: bool,
    pub(super) list: bool,
    /// `None`: as the operation has it.
    pub(super) every: Option<Every>,
    pub(super) jobs: u64,
}

/// Why nothing is swept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// This name selects nothing.
    Unknown(String),
    /// This operation was named, and cannot be swept in this mode.
    NoSuchMode(&'static str, Mode),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unknown(name) => write!(f, "no operation is called {name}; --list names them"),
            Refused::NoSuchMode(name, mode) => {
                write!(f, "{name} has no --{}: its scene cannot tell what would be right then", mode.name())
            }
        }
    }
}

impl Arguments {
    pub(super) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments =
            Arguments { names: Vec::new(), modes: Vec::new(), tsv: false, list: false, every: None, jobs: 4 };
        while let Some(word) = words.next() {
            let number = |given: Option<String>| {
                let given = given.and_then(|text| text.parse().ok());
                given.filter(|number| *number > 0).ok_or(format!("{word} takes a number from 1 up"))
            };
            match word.as_str() {
                "--stop" => arguments.modes.push(Mode::Stop),
                "--barge" => arguments.modes.push(Mode::Barge),
                "--pass" => arguments.modes.push(Mode::Pass),
                "--twice" => arguments.modes.push(Mode::Twice),
                "--tsv" => arguments.tsv = true,
                "--list" => arguments.list = true,
                "--every" => {
                    let given = words.next();
                    let call = given.as_deref() == Some("call");
                    arguments.every = Some(if call { Every::Call } else { Every::Point(number(given)?) });
                }
                "--jobs" => arguments.jobs = number(words.next())?,
                flag if flag.starts_with('-') => return Err(format!("there is no {flag}")),
                _ => arguments.names.push(word),
            }
        }
        if arguments.modes.is_empty() {
            arguments.modes.push(Mode::Kill);
        }
        Ok(arguments)
    }

    /// The operations to sweep, for each mode. Of those that were not named, none in a mode that it has not.
    pub(super) fn wanted<'a>(&self, known: &'a [Operation]) -> Result<Vec<(Mode, &'a Operation)>, Refused> {
        let selects = |name: &String, operation: &Operation| {
            let below = operation.name.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'));
            let names_one = known.iter().any(|other| other.name == name);
            operation.name == name || below && !names_one && !operation.hidden
        };
        let selects_none = |name: &&String| !known.iter().any(|operation| selects(name, operation));
        if let Some(name) = self.names.iter().find(selects_none) {
            return Err(Refused::Unknown(name.clone()));
        }
        let mut wanted = Vec::new();
        for mode in &self.modes {
            for operation in known {
                let named = self.names.iter().any(|name| selects(name, operation));
                let has_it = operation.modes.contains(mode);
                if named && !has_it {
                    return Err(Refused::NoSuchMode(operation.name, *mode));
                }
                if named || self.names.is_empty() && !operation.hidden && has_it {
                    wanted.push((*mode, operation));
                }
            }
        }
        Ok(wanted)
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
        parse(line).unwrap().wanted(&known).unwrap().iter().map(|(_, one)| one.name).collect()
    }

    #[test]
    fn a_name_selects_one_operation_or_all_of_a_type() {
        assert_eq!(chosen("lock.release"), ["lock.release"]);
        assert_eq!(chosen("event.wait event.set"), ["event.set", "event.wait"]);
        assert!(chosen("semaphore.release").len() < chosen("semaphore").len());
        assert!(chosen("lock").contains(&"lock.acquire"));
        assert!(!chosen("lock").contains(&"rlock.acquire"));
        assert_eq!(chosen("plain.lock"), ["plain.lock"]);
        assert!(!chosen("").contains(&"plain.lock"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        assert!(parse("--every 0").is_err());
        assert!(parse("--every").is_err());
        assert!(parse("--jobs call").is_err());
        assert!(parse("--evry 2").is_err());
        let known = crate::operations::all();
        // Hidden ones are named whole.
        assert!(parse("plain").unwrap().wanted(&known).is_err());
        let refused = parse("lock lok").unwrap().wanted(&known).err();
        assert_eq!(refused, Some(Refused::Unknown("lok".to_owned())));
    }

    #[test]
    fn a_mode_that_a_named_operation_has_not_is_refused_and_otherwise_left_out() {
        let known = crate::operations::all();
        let refused = parse("lock process.start.fork --barge").unwrap().wanted(&known).err();
        assert_eq!(refused, Some(Refused::NoSuchMode("process.start.fork", Mode::Barge)));
        assert!(!chosen("--barge").iter().any(|name| name.starts_with("process.")));
        assert!(chosen("--barge --stop").contains(&"process.start.fork"));
    }

    #[test]
    fn every_takes_a_number_or_calls() {
        assert_eq!(parse("lock").unwrap().every, None);
        assert_eq!(parse("--every 7").unwrap().every, Some(Every::Point(7)));
        assert_eq!(parse("--every call").unwrap().every, Some(Every::Call));
    }

    #[test]
    fn killing_is_the_default() {
        assert_eq!(parse("lock").unwrap().modes, [Mode::Kill]);
        assert_eq!(parse("--stop --barge").unwrap().modes, [Mode::Stop, Mode::Barge]);
    }
}
