//! A program that was started as an argument of the dynamic loader (`ld-linux-x86-64.so.2 [OPTIONS] ./program
//! ARGUMENTS`), as bundles that bring their own C library do.
//!
//! `/proc/self/exe` is the loader then, which takes the first argument for a program's path. A child is started as the
//! program was: by the loader, with the options that it had, and the path of the program. What that needs is noted
//! before `main`, while the kernel still has the command line as it was and the current directory is the one in which
//! the path was found.

use super::image;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

static COMMAND: OnceLock<Option<LoaderCommand>> = OnceLock::new();

/// The loader's part of a command line.
#[derive(Debug, PartialEq, Eq)]
struct LoaderCommand {
    /// The loader's name and its options.
    loader: Vec<OsString>,
    /// The program's path as it was given, and from the root.
    given: PathBuf,
    absolute: PathBuf,
    /// The program's file: device and number.
    file: (u64, u64),
}

/// Before `main`: notes how the program was started, if by the loader. `arguments` are the program's own.
pub(crate) fn note(arguments: impl FnOnce() -> Vec<OsString>) {
    if image::was_started_by_loader() {
        COMMAND.get_or_init(|| {
            let text = std::fs::read("/proc/self/cmdline").ok()?;
            LoaderCommand::parse(text.strip_suffix(b"\0")?, &arguments())
        });
    }
}

/// The arguments with which `/proc/self/exe` is this program with `arguments`: the loader's come before them, if that
/// was how this process was started. `None` if they are not known, or the program's file is not where it was.
pub(crate) fn command(arguments: Vec<OsString>) -> Option<Vec<OsString>> {
    if image::was_started_by_loader() { COMMAND.get()?.as_ref()?.with(&arguments) } else { Some(arguments) }
}

impl LoaderCommand {
    fn parse(command_line: &[u8], arguments: &[OsString]) -> Option<LoaderCommand> {
        let mut whole: Vec<OsString> =
            command_line.split(|byte| *byte == 0).map(|part| OsString::from_vec(part.to_vec())).collect();
        // The program's own name is its path, or what the loader was told to say instead (`--argv0`).
        let own = arguments.get(1..)?;
        let program =
            whole.len().checked_sub(own.len() + 1).filter(|&at| at > 0 && whole[at + 1..] == *own)?;
        let given = PathBuf::from(&whole[program]);
        whole.truncate(program);
        let absolute = std::path::absolute(&given).ok()?;
        Some(LoaderCommand { loader: whole, file: file_at(&given)?, given, absolute })
    }

    fn with(&self, arguments: &[OsString]) -> Option<Vec<OsString>> {
        // As it was given, if it is the same from here: the program's name is made of it.
        let path = [&self.given, &self.absolute].into_iter().find(|path| file_at(path) == Some(self.file))?;
        let loader = self.loader.iter().map(OsString::as_os_str);
        let program = [OsStr::new(path)].into_iter().chain(arguments.iter().skip(1).map(OsString::as_os_str));
        Some(loader.chain(program).map(OsStr::to_owned).collect())
    }
}

fn file_at(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<OsString> {
        list.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_loaders_part_is_what_precedes_the_programs() {
        let line = b"/lib/ld.so\0--library-path\0lib\0/proc/self/exe\0a\0\0b";
        let own = strings(&["/proc/self/exe", "a", "", "b"]);
        let command = LoaderCommand::parse(line, &own).unwrap();
        let again = ["/lib/ld.so", "--library-path", "lib", "/proc/self/exe", "a", "", "b"];
        assert_eq!(command.with(&own).unwrap(), strings(&again));
        // Named otherwise by `--argv0`.
        assert_eq!(LoaderCommand::parse(line, &strings(&["name", "a", "", "b"])).unwrap(), command);
        let alone = LoaderCommand::parse(b"ld.so\0/proc/self/exe", &strings(&["/proc/self/exe"])).unwrap();
        assert_eq!(alone.with(&[]).unwrap(), strings(&["ld.so", "/proc/self/exe"]));
    }

    #[test]
    fn what_does_not_fit_is_no_command() {
        let own = strings(&["/proc/self/exe", "a"]);
        for line in ["", "a", "/proc/self/exe\0a", "ld.so\0/proc/self/exe\0b", "ld.so\0/no/such/program\0a"] {
            assert_eq!(LoaderCommand::parse(line.as_bytes(), &own), None, "{line}");
        }
        assert_eq!(LoaderCommand::parse(b"ld.so\0/proc/self/exe", &[]), None);
    }

    #[test]
    fn another_file_is_not_executed() {
        let mut command =
            LoaderCommand::parse(b"ld.so\0/proc/self/exe", &strings(&["/proc/self/exe"])).unwrap();
        command.given = PathBuf::from("/dev/null");
        command.absolute = PathBuf::from("/proc/self/exe");
        assert_eq!(command.with(&[]).unwrap(), strings(&["ld.so", "/proc/self/exe"]));
        command.absolute = PathBuf::from("/dev/null");
        assert_eq!(command.with(&[]), None);
    }
}
