//! Limits of the system, by the error of the call that reached one.

use nix::errno::Errno;

/// Which limit a call has reached, and what raises it: the end of an error's text, or nothing.
pub(crate) fn limit_reached(call: &str, errno: i32) -> &'static str {
    match (Errno::from_raw(errno), call) {
        (Errno::EMFILE, _) => {
            ": this process has as many descriptors open as it may (RLIMIT_NOFILE; raise it with `ulimit -n`)"
        }
        (Errno::ENFILE, _) => ": the system has as many files open as it may (raise the sysctl fs.file-max)",
        (Errno::ETOOMANYREFS, _) => {
            ": this user has as many descriptors on their way as it may (RLIMIT_NOFILE of the sender; raise it with \
             `ulimit -n`, or receive some first)"
        }
        (Errno::EFBIG, _) => ": a file may not be as long as this (RLIMIT_FSIZE; raise it with `ulimit -f`)",
        (Errno::ENOMEM, "mmap") => {
            ": no address space left (RLIMIT_AS; raise it with `ulimit -v`), or too many mappings (the sysctl \
             vm.max_map_count)"
        }
        (Errno::EAGAIN, "mmap") => {
            ": as much memory is locked as may be (RLIMIT_MEMLOCK; raise it with `ulimit -l`)"
        }
        _ => "",
    }
}
