//! The file of a trace: an array of events, one in a line.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

/// What waits is written when it is so long, or so old.
const MOST_BYTES: usize = 32 << 10;
const OLD: Duration = Duration::from_millis(100);

pub(super) struct TraceFile {
    /// `None`: it is closed, or cannot be written any more.
    file: Option<File>,
    /// A forked copy of this process has it too, and does not write it: it is written by calls of this type alone.
    waits: String,
    written: Instant,
    is_first: bool,
    pub(super) error: Option<String>,
}

impl TraceFile {
    pub(super) fn create(path: &Path) -> io::Result<TraceFile> {
        let mut file = TraceFile {
            file: Some(File::create(path)?),
            waits: "[\n".to_owned(),
            written: Instant::now(),
            is_first: true,
            error: None,
        };
        file.write();
        Ok(file)
    }

    /// Adds an event; `event` has the members of its object.
    pub(super) fn add(&mut self, event: fmt::Arguments<'_>) {
        if self.file.is_none() {
            return;
        }
        let before = if std::mem::take(&mut self.is_first) { "{" } else { ",\n{" };
        // A string takes all.
        let _ = write!(self.waits, "{before}{event}}}");
        if self.waits.len() >= MOST_BYTES {
            self.write();
        }
    }

    /// Writes what waits, if it has waited long.
    pub(super) fn look(&mut self) {
        if !self.waits.is_empty() && self.written.elapsed() >= OLD {
            self.write();
        }
    }

    fn write(&mut self) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(self.waits.as_bytes()) {
            self.error = Some(format!("the trace cannot be written: {error}"));
            self.file = None;
        }
        self.waits.clear();
        self.written = Instant::now();
    }

    pub(super) fn close(&mut self) {
        if self.file.is_some() {
            self.waits.push_str("\n]\n");
            self.write();
            self.file = None;
        }
    }
}

/// Nanoseconds as the format's microseconds.
pub(super) struct Micros(pub(super) u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A text as a string of JSON.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                char if char < ' ' => write!(f, "\\u{:04x}", u32::from(char))?,
                char => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_times_are_json() {
        assert_eq!(Quoted("a \"b\" \\ c\n\u{1}ü").to_string(), r#""a \"b\" \\ c\u000a\u0001ü""#);
        assert_eq!(
            (Micros(1_234_005).to_string(), Micros(7).to_string()),
            ("1234.005".into(), "0.007".into())
        );
    }
}
