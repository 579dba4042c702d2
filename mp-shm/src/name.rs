//! Names: checks, and random names.
//!
//! `scan` and `/scan` are the same name. The system gets `/scan`, and [`SharedMemory::name`] returns `scan`, as in
//! Python.
//!
//! [`SharedMemory::name`]: crate::SharedMemory::name

use crate::error::NameError;
use mp_core::error::OsResult;
use mp_core::sys::process::random_bytes;

/// The longest name of a file, in bytes.
const LONGEST: usize = 255;

/// A checked name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    pub(crate) fn new(text: &str) -> Result<Name, NameError> {
        let bare = text.strip_prefix('/').unwrap_or(text);
        match bare {
            "" => Err(NameError::Empty),
            _ if bare.contains('\0') => Err(NameError::Nul),
            "." | ".." => Err(NameError::Path),
            _ if bare.contains('/') => Err(NameError::Path),
            _ if bare.len() > LONGEST => Err(NameError::TooLong(bare.len())),
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
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("/"), Err(NameError::Empty));
        assert_eq!(Name::new("a\0b"), Err(NameError::Nul));
        for path in ["a/b", "//a", "../a", ".", "..", "/.."] {
            assert_eq!(Name::new(path), Err(NameError::Path), "{path}");
        }
        assert!(Name::new(&"n".repeat(255)).is_ok());
        assert_eq!(Name::new(&"n".repeat(256)), Err(NameError::TooLong(256)));
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
