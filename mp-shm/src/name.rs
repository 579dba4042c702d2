//! Names: checks, and random names.
//!
//! `scan` and `/scan` are the same name. The system gets `/scan`, and [`SharedMemory::name`] returns `scan`, as in
//! Python.
//!
//! [`SharedMemory::name`]: crate::SharedMemory::name

use mp_core::error::OsResult;
use mp_core::sys::process::random_bytes;

/// The longest name of a file, in bytes.
const LONGEST: usize = 255;

const EMPTY: &str = "the name is empty: give the name of a block";
const NUL: &str = "the name contains a zero byte: leave it out";
const PATH: &str = "the name is a path: give a name without slashes, other than `.` and `..`";
/// Some C libraries allow shorter names than file systems do.
pub(crate) const TOO_LONG: &str = "the name is longer than the system allows: give one of at most 255 bytes";

/// A checked name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// Refuses what is no name, with the reason.
    pub(crate) fn new(text: &str) -> Result<Name, &'static str> {
        let bare = text.strip_prefix('/').unwrap_or(text);
        match bare {
            "" => Err(EMPTY),
            _ if bare.contains('\0') => Err(NUL),
            "." | ".." => Err(PATH),
            _ if bare.contains('/') => Err(PATH),
            _ if bare.len() > LONGEST => Err(TOO_LONG),
            _ => Ok(Name(format!("/{bare}"))),
        }
    }

    /// A random name in Python's form: `psm_` and eight hexadecimal digits.
    pub(crate) fn random() -> OsResult<Name> {
        let mut bytes = [0; 4];
        random_bytes(&mut bytes)?;
        Ok(Name(format!("/psm_{:08x}", u32::from_be_bytes(bytes))))
    }

    /// Without the slash, for users.
    pub(crate) fn bare(&self) -> &str {
        &self.0[1..]
    }

    /// With the slash, for the system.
    pub(crate) fn with_slash(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leading_slash_makes_no_difference() {
        assert_eq!(Name::new("scan"), Name::new("/scan"));
        assert_eq!(Name::new("scan").unwrap().bare(), "scan");
        assert_eq!(Name::new("scan").unwrap().with_slash(), "/scan");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(Name::new(""), Err(EMPTY));
        assert_eq!(Name::new("/"), Err(EMPTY));
        assert_eq!(Name::new("a\0b"), Err(NUL));
        for path in ["a/b", "//a", "../a", ".", "..", "/.."] {
            assert_eq!(Name::new(path), Err(PATH), "{path}");
        }
        assert!(Name::new(&"n".repeat(255)).is_ok());
        assert_eq!(Name::new(&"n".repeat(256)), Err(TOO_LONG));
    }

    #[test]
    fn a_random_name_is_one_and_looks_like_pythons() {
        let name = Name::random().unwrap();
        assert_eq!(Name::new(name.bare()), Ok(name.clone()));
        let digits = name.bare().strip_prefix("psm_").unwrap();
        assert!(digits.len() == 8 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')));
        assert_ne!(Name::random().unwrap(), Name::random().unwrap());
    }
}
