//! Sockets with an address: bind, listen, accept, connect; and the user of the process at the other end.

use super::fd::{above_standard, set_nonblocking};
use super::poll::{Interest, wait_for};
use super::{named, retried};
use crate::error::{OsError, OsResult};
use crate::word::Deadline;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrLike, SockaddrStorage, UnixAddr, bind, connect,
    getsockname, getsockopt, listen, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::time::TimeVal;
use nix::unistd::Uid;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

/// Where a socket is to be found.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A file, which `bind` makes.
    Path(&'a Path),
    /// A name in the kernel's own table, without the zero byte before it.
    Abstract(&'a [u8]),
    /// A port of a host.
    Tcp(SocketAddr),
}

impl Place<'_> {
    fn family(self) -> AddressFamily {
        match self {
            Place::Path(_) | Place::Abstract(_) => AddressFamily::Unix,
            Place::Tcp(SocketAddr::V4(_)) => AddressFamily::Inet,
            Place::Tcp(SocketAddr::V6(_)) => AddressFamily::Inet6,
        }
    }

    fn resolved(self) -> nix::Result<Box<dyn SockaddrLike>> {
        Ok(match self {
            Place::Path(path) => Box::new(UnixAddr::new(path)?),
            Place::Abstract(name) => Box::new(UnixAddr::new_abstract(name)?),
            Place::Tcp(address) => Box::new(SockaddrStorage::from(address)),
        })
    }

    fn socket(self, kind: SockType) -> OsResult<OwnedFd> {
        above_standard(named("socket", socket(self.family(), kind, SockFlag::SOCK_CLOEXEC, None))?)
    }
}

/// A socket that others can connect to. Accepting from it never sleeps.
#[derive(Debug)]
pub enum Listening {
    /// At a path, or an abstract name.
    Local(UnixListener),
    /// At a port.
    Tcp(TcpListener),
}

impl Listening {
    /// Binds and listens. A file is made with mode 0600 (less the umask), from its first moment on; a port can be
    /// bound again at once after its last user's end. `backlog` connections wait at most to be accepted.
    pub fn at(place: Place<'_>, backlog: i32) -> OsResult<Listening> {
        let socket = place.socket(SockType::Stream)?;
        match place {
            // A bound file has the mode that its socket had.
            Place::Path(_) => named("fchmod", fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR))?,
            Place::Abstract(_) => {}
            Place::Tcp(_) => named("setsockopt", setsockopt(&socket, sockopt::ReuseAddr, &true))?,
        }
        let address = named("bind", place.resolved())?;
        named("bind", bind(socket.as_raw_fd(), &*address))?;
        named("listen", listen(&socket, named("listen", Backlog::new(backlog))?))?;
        set_nonblocking(socket.as_fd(), true)?;
        Ok(match place {
            Place::Path(_) | Place::Abstract(_) => Listening::Local(socket.into()),
            Place::Tcp(_) => Listening::Tcp(socket.into()),
        })
    }

    /// The next connection, closed by exec, and where it comes from if it has an address there. `EAGAIN` if none
    /// waits.
    pub fn accept(&self) -> OsResult<(OwnedFd, Option<SocketAddr>)> {
        let accepted = match self {
            Listening::Local(socket) => socket.accept().map(|(stream, _)| (stream.into(), None)),
            Listening::Tcp(socket) => socket.accept().map(|(stream, from)| (stream.into(), Some(from))),
        };
        let (stream, from) = accepted.map_err(|source| OsError { call: "accept4", source })?;
        Ok((above_standard(stream)?, from))
    }

    /// The port's address, as the kernel has chosen it.
    pub fn port(&self) -> OsResult<Option<SocketAddr>> {
        match self {
            Listening::Local(_) => Ok(None),
            Listening::Tcp(socket) => {
                socket.local_addr().map(Some).map_err(|source| OsError { call: "getsockname", source })
            }
        }
    }
}

impl AsFd for Listening {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Listening::Local(socket) => socket.as_fd(),
            Listening::Tcp(socket) => socket.as_fd(),
        }
    }
}

/// Whether an error of [`Listening::accept`] says that this process or the system has no room for one more, so
/// that the next attempt had better wait.
pub fn no_room(error: &OsError) -> bool {
    matches!(error.errno(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Whether an error of [`Listening::accept`] belongs to the connection alone, which is gone with it.
pub fn not_ours(error: &OsError) -> bool {
    matches!(
        error.errno(),
        Some(
            libc::ECONNABORTED
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
                | libc::EOPNOTSUPP
                | libc::EPERM
        )
    )
}

/// Connects; `ETIMEDOUT` at the deadline. The socket is a blocking one.
pub fn connect_to(place: Place<'_>, until: Option<Deadline>) -> OsResult<OwnedFd> {
    let socket = place.socket(SockType::Stream)?;
    let address = named("connect", place.resolved())?;
    match place {
        Place::Path(_) | Place::Abstract(_) => connect_local(&socket, &*address, until)?,
        Place::Tcp(_) => connect_tcp(&socket, &*address, until)?,
    }
    Ok(socket)
}

/// A local socket waits for a place in the other's queue, and cannot be polled for it: the time is set on it.
fn connect_local(socket: &OwnedFd, address: &dyn SockaddrLike, until: Option<Deadline>) -> OsResult<()> {
    loop {
        if let Some(until) = until {
            limit_sending(socket, until.remaining().max(Duration::from_micros(1)))?;
        }
        match connect(socket.as_raw_fd(), address) {
            Err(Errno::EINTR | Errno::EAGAIN) if until.is_none_or(|until| !until.passed()) => {}
            // Interruptions may come faster than the kernel's clock ticks, by which it would time out.
            Err(Errno::EINTR | Errno::EAGAIN) => return Err(timed_out()),
            done => {
                named("connect", done)?;
                return if until.is_some() { limit_sending(socket, Duration::ZERO) } else { Ok(()) };
            }
        }
    }
}

/// Zero means without limit.
fn limit_sending(socket: &OwnedFd, time: Duration) -> OsResult<()> {
    let seconds = time.as_secs().min(i32::MAX as u64);
    let time = TimeVal::new(seconds as _, time.subsec_micros() as _);
    named("setsockopt", setsockopt(socket, sockopt::SendTimeout, &time))
}

fn connect_tcp(socket: &OwnedFd, address: &dyn SockaddrLike, until: Option<Deadline>) -> OsResult<()> {
    set_nonblocking(socket.as_fd(), true)?;
    match connect(socket.as_raw_fd(), address) {
        // An interrupted one goes on by itself.
        Err(Errno::EINPROGRESS | Errno::EINTR) => {
            if !wait_for(socket.as_fd(), Interest::Write, until)? {
                return Err(timed_out());
            }
            match named("getsockopt", getsockopt(socket, sockopt::SocketError))? {
                0 => {}
                errno => return Err(OsError::new("connect", errno)),
            }
        }
        done => named("connect", done)?,
    }
    set_nonblocking(socket.as_fd(), false)
}

fn timed_out() -> OsError {
    OsError::new("connect", libc::ETIMEDOUT)
}

/// Sends short messages at once, and not only when the one before has been acknowledged.
pub fn send_at_once(tcp: BorrowedFd<'_>) -> OsResult<()> {
    named("setsockopt", setsockopt(&tcp, sockopt::TcpNoDelay, &true))
}

/// Whether a socket can carry descriptors. One that goes to another host cannot, and says nothing: it leaves them
/// out.
pub fn carries_fds(socket: BorrowedFd<'_>) -> OsResult<bool> {
    let own: SockaddrStorage = named("getsockname", getsockname(socket.as_raw_fd()))?;
    Ok(own.family() == Some(AddressFamily::Unix))
}

/// Whether some socket is bound to the file at this path. The listener does not notice: it is asked with a socket
/// of another kind, which a stream socket refuses by itself.
pub fn is_bound(path: &Path) -> OsResult<bool> {
    let place = Place::Path(path);
    let socket = place.socket(SockType::Datagram)?;
    let address = named("connect", place.resolved())?;
    match retried("connect", || connect(socket.as_raw_fd(), &*address)) {
        Ok(()) => Ok(true),
        Err(error) if error.errno() == Some(libc::EPROTOTYPE) => Ok(true),
        Err(error) if error.errno() == Some(libc::ECONNREFUSED) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The user whose process is at the other end of a local socket: as it was when it connected, or began to listen.
pub fn user_at_the_other_end(socket: BorrowedFd<'_>) -> OsResult<u32> {
    Ok(named("getsockopt", getsockopt(&socket, sockopt::PeerCredentials))?.uid())
}

/// The user that this process acts as.
pub fn this_user() -> u32 {
    Uid::effective().as_raw()
}
