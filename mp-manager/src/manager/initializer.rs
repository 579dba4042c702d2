//! The start of a server, which says whether it has begun: an initializer may fail, and so may the address.

use super::{Manager, end};
use crate::error::StartManagerError;
use crate::protocol::new_number;
use crate::server::begin::{Beginning, Initializer, serve};
use mp_core::popen::get_helper_method;
use mp_core::sys::socket::packet_pair;
use mp_core::transfer::{Callable, Captures, Code, Handle, Target, pack};
use mp_core::{Process, StartMethod};
use mp_pipe::{RecvError, pipe, wait};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Display;

/// What an initializer returns: nothing, or a `Result` whose error becomes
/// [`StartManagerError::Initializer`].
pub trait Initialized {
    #[doc(hidden)]
    fn initialized(self) -> Result<(), String>;
}

impl Initialized for () {
    fn initialized(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> Initialized for Result<(), E> {
    fn initialized(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// The initializer as it travels. An error: it cannot.
pub(crate) fn initializer<F, A, Is>(function: F, arguments: A) -> Result<Initializer, String>
where
    F: Target<A, Output: Initialized> + Callable<A, Is>,
    A: Serialize + DeserializeOwned,
{
    let () = Captures::<F>::NOTHING;
    // Of no size, as the function is: only its type travels.
    let call = move |arguments: A| function.call(arguments).initialized();
    let code = Code::of::<_, (A,)>(&call).map_err(|error| error.to_string())?;
    let arguments = pack(&(arguments,)).map_err(|error| error.to_string())?;
    Ok(Initializer { code, arguments })
}

impl Manager {
    /// Starts the server, whose process calls a function with these arguments before it serves: to set up what
    /// constructors and methods of the program's own types find there, for example.
    ///
    /// This waits until the function has returned. If it waits for ever, so does this.
    ///
    /// # Errors
    /// [`StartManagerError::Initializer`]: the function returned an error or panicked, or its arguments cannot travel.
    /// [`StartManagerError::NotServing`]: the process ended meanwhile. There is no server then. Otherwise the errors of
    /// [`start`](Manager::start).
    ///
    /// Python: `BaseManager.start(initializer, initargs)`.
    #[doc(alias = "initializer")]
    #[doc(alias = "initargs")]
    pub fn start_with_initializer<F, A, Is>(function: F, arguments: A) -> Result<Manager, StartManagerError>
    where
        F: Target<A, Output: Initialized> + Callable<A, Is>,
        A: Serialize + DeserializeOwned,
    {
        let initializer = initializer(function, arguments).map_err(StartManagerError::Initializer)?;
        let beginning = Beginning {
            initializer: Some(initializer),
            #[cfg(feature = "listener")]
            place: None,
        };
        Manager::begun(get_helper_method()?, beginning)
    }

    /// The manager of a server that has begun.
    pub(crate) fn begun(method: StartMethod, beginning: Beginning) -> Result<Manager, StartManagerError> {
        let (inside, outside) = packet_pair()?;
        let (told, tells) = pipe()?;
        let number = new_number()?;
        let process = Process::new(serve, (number, Handle::new(inside), beginning, tells));
        let server = process.name("Manager").daemon().method(method).start()?;
        loop {
            // Its end too: a process that the initializer has forked may keep the connection open.
            let ready =
                wait(&[&told, &server]).map_err(|error| StartManagerError::NotServing(error.to_string()))?;
            match told.try_recv() {
                Ok(Ok(listening)) => return Manager::of(server, number, Handle::new(outside), listening),
                Ok(Err(reason)) => {
                    end(&server);
                    return Err(reason.into());
                }
                // A part of a long reason.
                Err(RecvError::Empty) if !ready.contains(&1) => {}
                Err(_) => {
                    let how =
                        server.join().map_or_else(|error| error.to_string(), |()| "it has ended".to_owned());
                    return Err(StartManagerError::NotServing(how));
                }
            }
        }
    }
}
