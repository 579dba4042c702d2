//! One error for a program that passes on what any call of the family says.

use serde::{Deserialize, Serialize};
use std::error::Error as StdError;
use std::fmt;

/// Any error, as its words and those of its causes. Made by `?` from every error of the family and from the usual ones
/// of the standard library; from any other by [`Error::new`] or [`Error::from_error`].
///
/// It is a `std::error::Error`, so `?` takes it where `anyhow` or `Box<dyn Error>` is asked for. It crosses to other
/// processes: a function that runs in one may return an [`mp::Result`](Result).
///
/// ```no_run
/// use mp::Process;
///
/// fn parse(text: String) -> mp::Result<i32> {
///     Ok(text.parse::<i32>()?)
/// }
///
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let child = Process::new(parse, ("five".to_owned(),)).start()?;
///     let number: mp::Result<i32> = child.join()?;
///     assert_eq!(number.unwrap_err().to_string(), "invalid digit found in string");
///     Ok(())
/// }
/// ```
///
/// By one implementation `?` takes an error of the program's own, too:
///
/// ```
/// #[derive(Debug)]
/// struct NoAccount(u64);
///
/// impl std::fmt::Display for NoAccount {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         write!(f, "there is no account {}", self.0)
///     }
/// }
///
/// impl std::error::Error for NoAccount {}
///
/// impl From<NoAccount> for mp::Error {
///     fn from(error: NoAccount) -> mp::Error {
///         mp::Error::from_error(&error)
///     }
/// }
///
/// fn close(account: u64) -> mp::Result<()> {
///     Err(NoAccount(account))?
/// }
///
/// assert_eq!(close(7).unwrap_err().to_string(), "there is no account 7");
/// ```
///
/// Each call has a typed error of its own; this is for the program that passes it on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    message: String,
    source: Option<Box<Error>>,
}

/// What `main` returns, and what a function in another process may return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with words of one's own.
    pub fn new(message: impl fmt::Display) -> Error {
        Error { message: message.to_string(), source: None }
    }

    /// The words of any error, and of its causes. An error may borrow (a guard in `OwnerDiedError`, a value in
    /// `NotPutError`), and has no form in which it could cross, so its words are taken.
    pub fn from_error(error: &(impl StdError + ?Sized)) -> Error {
        let source = error.source().map(|source| Box::new(Error::from_error(source)));
        Error { message: error.to_string(), source }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As it is printed when `main` returns it.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Error {
        Error::new(message)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Error {
        Error { message, source: None }
    }
}

impl From<Box<dyn StdError>> for Error {
    fn from(error: Box<dyn StdError>) -> Error {
        Error::from_error(&*error)
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Error {
        Error::from_error(&*error)
    }
}

/// A blanket `impl<E: std::error::Error> From<E>` would forbid `Error` itself to be one.
macro_rules! from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::from_error(&error)
            }
        }
    )*};
}

/// The same for errors that have something of the caller's in them.
macro_rules! from_any {
    ($generic:ident: $($error:ty),* $(,)?) => {$(
        impl<$generic> From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::from_error(&error)
            }
        }
    )*};
}

from! {
    mp_core::AlreadySetError, mp_core::CodecError, mp_core::CreateError, mp_core::JoinError, mp_core::MemError,
    mp_core::OsError, mp_core::OutOfRangeError, mp_core::StartError, mp_core::transfer::ParcelError,
}
from! {
    mp_sync::BrokenBarrierError, mp_sync::DictError, mp_sync::ReleaseError, mp_sync::WaitError,
}
from_any! { R: mp_core::process::CloseError<R> }
from_any! { G: mp_sync::AcquireError<G>, mp_sync::OwnerDiedError<G> }
from! { mp_shm::ListError, mp_shm::SharedMemoryError }
#[cfg(feature = "listener")]
from! {
    mp_manager::ConnectManagerError,
    mp_pipe::AcceptError, mp_pipe::AuthenticationError, mp_pipe::BindError, mp_pipe::ConnectError,
    mp_pipe::HandshakeError,
}
from! {
    mp_pipe::PollError, mp_pipe::RecvError, mp_pipe::SendError,
}
from_any! { W: mp_pipe::AddError<W> }
#[cfg(feature = "pickle")]
from! { mp_manager::PythonError, mp_pipe::pickle::PickleError }
from! {
    mp_queue::GetError, mp_queue::PutError, mp_queue::PutManyError, mp_queue::TasksError,
}
from_any! { T: mp_queue::NotPutError<T> }
from! {
    mp_pool::JoinPoolError, mp_pool::MapError, mp_pool::NewPoolError, mp_pool::ResizeError, mp_pool::SubmitError, mp_pool::TaskError,
    mp_pool::pipeline::BuildError, mp_pool::pipeline::ContextError, mp_pool::pipeline::PipelineError,
    mp_pool::progress::ProgressError,
    mp_pool::backend::ServeError,
    mp_pool::YieldError,
    mp_manager::ManagerError, mp_manager::StartManagerError,
}
from! {
    fmt::Error, std::array::TryFromSliceError, std::char::CharTryFromError, std::char::ParseCharError,
    std::env::VarError, std::ffi::FromBytesWithNulError, std::ffi::IntoStringError, std::ffi::NulError,
    std::io::Error, std::net::AddrParseError, std::num::ParseFloatError, std::num::ParseIntError,
    std::num::TryFromIntError, std::str::ParseBoolError, std::str::Utf8Error, std::string::FromUtf8Error,
    std::string::FromUtf16Error, std::sync::mpsc::RecvError, std::sync::mpsc::RecvTimeoutError,
    std::sync::mpsc::TryRecvError, std::thread::AccessError,
}
from_any! { T: std::sync::PoisonError<T>, std::sync::TryLockError<T>, std::sync::mpsc::SendError<T> }

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed() -> std::result::Result<(), Box<dyn StdError + Send + Sync>> {
        Err(Error::new("mine"))?
    }

    fn of_family() -> Result {
        Err(mp_core::OsError::new("connect", 111))?
    }

    #[test]
    fn it_is_an_error_of_std_with_its_causes() {
        fn goes_anywhere<T: StdError + Send + Sync + 'static>() {}
        goes_anywhere::<Error>();
        assert_eq!(boxed().unwrap_err().to_string(), "mine");
        let error = of_family().unwrap_err();
        assert!(error.to_string().starts_with("connect: Connection refused"), "{error}");
        assert!(error.source().unwrap().to_string().starts_with("Connection refused"));
        assert!(
            std::io::Error::from(mp_core::OsError::new("connect", 111)).to_string().starts_with("connect")
        );
    }

    #[test]
    fn anyhow_takes_it_and_every_error_of_the_family() {
        use anyhow::Context;
        fn ours() -> anyhow::Result<()> {
            of_family().context("while starting")?;
            Ok(())
        }
        let error = ours().unwrap_err();
        assert_eq!(error.downcast_ref::<Error>(), Some(&of_family().unwrap_err()));
        let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
        assert_eq!(chain.len(), 3);
        assert_eq!(chain[0], "while starting");
        assert!(chain[1].starts_with("connect: ") && chain[2].starts_with("Connection refused"), "{chain:?}");
        // And back: its words, and its causes.
        let back = Error::from(Box::<dyn StdError + Send + Sync>::from(error));
        assert_eq!(back.to_string(), "while starting");
        assert_eq!(back.source().unwrap().to_string(), chain[1]);

        fn typed(queue: &mp_queue::Queue<u32>) -> anyhow::Result<u32> {
            queue.try_put(1)?;
            mp_queue::Queue::<u32>::bounded(1)?.get_timeout(std::time::Duration::ZERO)?;
            Ok(queue.get()?)
        }
        let error = typed(&mp_queue::Queue::new().unwrap()).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(mp_queue::GetError::Timeout)), "{error:?}");
    }

    #[test]
    fn it_crosses_with_its_causes() {
        let error = of_family().unwrap_err();
        let message = mp_core::transfer::pack_value(&Err::<u8, _>(error.clone())).unwrap();
        let back: Result<u8> = mp_core::transfer::unpack(&message.bytes, vec![]).unwrap();
        assert_eq!(back, Err(error));
    }

    #[test]
    fn what_is_thrown_away_by_question_mark_is_words() {
        fn number() -> Result<i32> {
            Ok("five".parse::<i32>()?)
        }
        fn text() -> Result {
            Err("words")?
        }
        assert_eq!(number().unwrap_err().to_string(), "invalid digit found in string");
        assert_eq!(format!("{:?}", text().unwrap_err()), "words");
        assert_eq!(Error::from(boxed().unwrap_err()), Error::new("mine"));
    }
}
