//! Address: where a listener is to be found.

use mp_core::error::OsResult;
use mp_core::sys::address::Place;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Bytes that a path or an abstract name may have: the kernel's `sun_path`, less its zero byte.
pub(crate) const LONGEST: usize = 107;

/// Where a [`Listener`](crate::Listener) is to be found. Can be sent to another process.
///
/// ```
/// use mp_pipe::Address;
///
/// assert_eq!(Address::from("/run/user/1000/jobs"), Address::Path("/run/user/1000/jobs".into()));
/// assert_eq!(Address::from("\0jobs"), Address::Abstract(b"jobs".to_vec()));
/// assert_eq!(Address::from(("localhost", 8000)).to_string(), "localhost:8000");
/// ```
///
/// Python: the address of a `Listener`: a `str`, one that begins with a zero byte, or `(host, port)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Address {
    /// A socket in the file system, of at most 107 bytes.
    Path(PathBuf),
    /// A name without a file, of at most 107 bytes, without the zero byte that stands before it in Python. Every
    /// process in the same network namespace can see it, take it and connect to it.
    Abstract(Vec<u8>),
    /// A host's name or number, and a TCP port. Of a name's numbers those of IPv4 come first. What is sent there is not
    /// encrypted.
    Tcp(String, u16),
}

/// The error of an address that no socket can have.
#[derive(Debug)]
pub(crate) enum AddressError {
    /// What is wrong with it.
    Invalid(&'static str),
    /// The host has no number.
    Host { host: String, source: io::Error },
}

const EMPTY: &str = "the address is empty: give a path, a name, or a host and port";
const NUL: &str = "the path contains a zero byte: leave it out";
const TOO_LONG: &str = "the path or name is too long for a socket: give one of at most 107 bytes";

impl Address {
    /// A free port of this host, which other hosts cannot reach (`127.0.0.1`).
    ///
    /// Python: `("localhost", 0)`.
    pub fn loopback() -> Address {
        Address::Tcp("127.0.0.1".to_owned(), 0)
    }

    /// Whether it is known without being tried that nothing can be there.
    pub(crate) fn check(&self) -> Result<(), AddressError> {
        let bytes = match self {
            Address::Path(path) => path.as_os_str().as_bytes(),
            Address::Abstract(name) => name,
            Address::Tcp(..) => return Ok(()),
        };
        match bytes.len() {
            0 => Err(AddressError::Invalid(EMPTY)),
            length if length > LONGEST => Err(AddressError::Invalid(TOO_LONG)),
            _ if matches!(self, Address::Path(_)) && bytes.contains(&0) => Err(AddressError::Invalid(NUL)),
            _ => Ok(()),
        }
    }

    /// The places it stands for: a host's name may have several numbers.
    fn places(&self) -> Result<Vec<Place<'_>>, AddressError> {
        self.check()?;
        Ok(match self {
            Address::Path(path) => vec![Place::Path(path)],
            Address::Abstract(name) => vec![Place::Abstract(name)],
            Address::Tcp(host, port) => {
                let unknown = |source| AddressError::Host { host: host.clone(), source };
                let numbers = (&**host, *port).to_socket_addrs().map_err(unknown)?;
                let mut numbers: Vec<_> = numbers.collect();
                // CPython's listeners and clients know no others, and a name means the same host to both.
                numbers.sort_by_key(SocketAddr::is_ipv6);
                let places: Vec<_> = numbers.into_iter().map(Place::Tcp).collect();
                if places.is_empty() {
                    return Err(unknown(io::ErrorKind::NotFound.into()));
                }
                places
            }
        })
    }

    /// What `attempt` gives for the first of the places where it succeeds; else why it did not at the last.
    pub(crate) fn at_first<T>(
        &self,
        mut attempt: impl FnMut(Place<'_>) -> OsResult<T>,
    ) -> Result<OsResult<T>, AddressError> {
        let mut last = None;
        for place in self.places()? {
            match attempt(place) {
                Ok(made) => return Ok(Ok(made)),
                Err(error) => last = Some(error),
            }
        }
        Ok(Err(last.expect("an address stands for one place at least")))
    }

    /// Whether the peer's user can be asked for.
    pub(crate) fn is_local(&self) -> bool {
        !matches!(self, Address::Tcp(..))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Path(path) => path.display().fmt(f),
            Address::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
            Address::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Address::Tcp(host, port) => write!(f, "{host}:{port}"),
        }
    }
}

/// A path, or an abstract name if it begins with a zero byte, as in Python.
impl From<&OsStr> for Address {
    fn from(text: &OsStr) -> Address {
        match text.as_bytes().strip_prefix(&[0]) {
            Some(name) => Address::Abstract(name.to_vec()),
            None => Address::Path(text.into()),
        }
    }
}

/// As from an `OsStr`.
impl From<&str> for Address {
    fn from(text: &str) -> Address {
        OsStr::new(text).into()
    }
}

/// As from an `OsStr`.
impl From<String> for Address {
    fn from(text: String) -> Address {
        OsStr::new(&text).into()
    }
}

/// As from an `OsStr`.
impl From<&Path> for Address {
    fn from(path: &Path) -> Address {
        path.as_os_str().into()
    }
}

/// As from an `OsStr`.
impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Address {
        path.as_os_str().into()
    }
}

impl From<(&str, u16)> for Address {
    fn from((host, port): (&str, u16)) -> Address {
        Address::Tcp(host.to_owned(), port)
    }
}

impl From<(String, u16)> for Address {
    fn from((host, port): (String, u16)) -> Address {
        Address::Tcp(host, port)
    }
}

impl From<(IpAddr, u16)> for Address {
    fn from((host, port): (IpAddr, u16)) -> Address {
        Address::Tcp(host.to_string(), port)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        // A zone belongs to the number.
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            other => other.ip().to_string(),
        };
        Address::Tcp(host, address.port())
    }
}

impl From<&Address> for Address {
    fn from(address: &Address) -> Address {
        address.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_understood_as_in_python() {
        assert_eq!(Address::from("a/b"), Address::Path("a/b".into()));
        assert_eq!(Address::from("\0a\0b"), Address::Abstract(b"a\0b".to_vec()));
        assert_eq!(Address::from("\0a\0b").to_string(), r"@a\x00b");
        assert_eq!(Address::from(("::1", 5)).to_string(), "[::1]:5");
        let address: SocketAddr = "[fe80::1%3]:9".parse().unwrap();
        assert_eq!(Address::from(address), Address::Tcp("fe80::1%3".to_owned(), 9));
    }

    #[test]
    fn what_can_be_nowhere_is_an_error() {
        let refused = |text: &str| match Address::from(text).check() {
            Err(AddressError::Invalid(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!((refused(""), refused("\0"), refused("a\0b")), (EMPTY, EMPTY, NUL));
        let long = "x".repeat(108);
        assert_eq!((refused(&long), refused(&format!("\0{long}"))), (TOO_LONG, TOO_LONG));
        assert!(Address::from(&*"x".repeat(107)).check().is_ok());
    }
}
