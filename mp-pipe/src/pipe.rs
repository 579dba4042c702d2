//! pipe(): two connected ends (Python: `multiprocessing.Pipe`).

use crate::connection::Connection;
use mp_core::error::OsResult;
use mp_core::sys::socket::stream_pair;

/// The sending side of an end that only receives: no value of this type exists.
#[derive(Debug)]
pub enum NoSend {}

/// The receiving side of an end that only sends: no value of this type exists.
#[derive(Debug)]
pub enum NoRecv {}

/// The end of a one-way pipe that sends. `recv`, `recv_bytes`, `poll` and their kin do not exist:
///
/// ```compile_fail,E0599
/// let (_receiver, sender) = mp_pipe::pipe_simplex::<u32>().unwrap();
/// sender.recv();
/// ```
/// ```compile_fail,E0599
/// let (_receiver, sender) = mp_pipe::pipe_simplex::<u32>().unwrap();
/// sender.recv_bytes();
/// ```
/// ```compile_fail,E0599
/// let (_receiver, sender) = mp_pipe::pipe_simplex::<u32>().unwrap();
/// sender.poll();
/// ```
///
/// Python: the second of `Pipe(duplex=False)`.
#[doc(alias = "writable")]
pub type Sender<T> = Connection<T, NoRecv>;

/// The end of a one-way pipe that receives. `send`, `send_bytes` and their kin do not exist:
///
/// ```compile_fail,E0599
/// let (receiver, _sender) = mp_pipe::pipe_simplex::<u32>().unwrap();
/// receiver.send(&1);
/// ```
/// ```compile_fail,E0599
/// let (receiver, _sender) = mp_pipe::pipe_simplex::<u32>().unwrap();
/// receiver.send_bytes(b"1");
/// ```
///
/// Python: the first of `Pipe(duplex=False)`.
#[doc(alias = "readable")]
pub type Receiver<T> = Connection<NoSend, T>;

/// Two connected ends, each of which sends and receives: the first sends `A` and receives `B`.
///
/// Give one end to another process and drop your own copy of it: the stream ends when no process holds that end any
/// more, however many other processes live.
///
/// # Errors
/// The system's, where no more descriptors can be opened.
///
/// ```
/// let (here, there) = mp_pipe::pipe::<u32, String>()?;
/// std::thread::spawn(move || {
///     let number = there.recv().unwrap();
///     there.send(&format!("got {number}")).unwrap();
/// });
/// here.send(&7)?;
/// assert_eq!(here.recv()?, "got 7");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Use after close does not compile:
///
/// ```compile_fail,E0382
/// let (here, _there) = mp_pipe::pipe::<u32, u32>().unwrap();
/// here.close();
/// here.send(&1);
/// ```
/// ```compile_fail,E0382
/// let (here, _there) = mp_pipe::pipe::<u32, u32>().unwrap();
/// here.close();
/// here.recv();
/// ```
///
/// Nor does the use of an end that a child was given:
///
/// ```compile_fail,E0382
/// fn child(end: mp_pipe::Connection<u32, u32>) {}
/// let (here, there) = mp_pipe::pipe::<u32, u32>().unwrap();
/// mp_core::Process::new(child, (there,)).start();
/// there.recv();
/// ```
///
/// Python: `multiprocessing.Pipe()`.
#[doc(alias = "Pipe")]
pub fn pipe<A, B>() -> OsResult<(Connection<A, B>, Connection<B, A>)> {
    let (one, two) = stream_pair()?;
    Ok((Connection::from_fd(one), Connection::from_fd(two)))
}

/// Two connected ends, of which the first receives and the second sends, as in Python.
///
/// # Errors
/// The system's, where no more descriptors can be opened.
///
/// ```
/// let (receiver, sender) = mp_pipe::pipe_simplex::<Vec<i64>>()?;
/// sender.send(&vec![1, 2, 3])?;
/// sender.close();
/// assert_eq!(receiver.recv()?, [1, 2, 3]);
/// assert!(matches!(receiver.recv(), Err(mp_pipe::RecvError::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Python: `multiprocessing.Pipe(duplex=False)`.
#[doc(alias = "Pipe")]
pub fn pipe_simplex<T>() -> OsResult<(Receiver<T>, Sender<T>)> {
    let (one, two) = stream_pair()?;
    Ok((Connection::from_fd(one), Connection::from_fd(two)))
}
