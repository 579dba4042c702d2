//! The arguments of libtest that people and tools use.

/// What was asked for on the command line.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) filters: Vec<String>,
    pub(crate) skip: Vec<String>,
    pub(crate) exact: bool,
    pub(crate) list: bool,
    pub(crate) ignored_only: bool,
    pub(crate) no_capture: bool,
    /// How many cases run at once, if it was said.
    pub(crate) test_threads: Option<usize>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Arguments {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--exact" => arguments.exact = true,
                "--list" => arguments.list = true,
                "--ignored" => arguments.ignored_only = true,
                "--nocapture" | "--no-capture" => arguments.no_capture = true,
                "--test-threads" => {
                    arguments.test_threads = words.next().and_then(|count| count.parse().ok())
                }
                "--skip" => arguments.skip.extend(words.next()),
                // With a value of their own, which has no meaning here.
                "--format" | "--color" | "-Z" => drop(words.next()),
                flag if flag.starts_with('-') => {}
                _ => arguments.filters.push(word),
            }
        }
        arguments
    }

    pub(crate) fn selects(&self, name: &str) -> bool {
        let hit =
            |pattern: &String| if self.exact { name == pattern } else { name.contains(pattern.as_str()) };
        (self.filters.is_empty() || self.filters.iter().any(hit)) && !self.skip.iter().any(hit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn filters_choose_by_part_or_whole_name() {
        assert!(parse("lock").selects("lock_survives::fork"));
        assert!(!parse("lock --exact").selects("lock_survives::fork"));
        assert!(!parse("lock --skip fork").selects("lock_survives::fork"));
        assert!(parse("--format terse --test-threads 1").selects("anything"));
        assert_eq!(parse("--test-threads 3 lock").test_threads, Some(3));
    }
}
