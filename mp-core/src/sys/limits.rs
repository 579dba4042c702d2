//! The limits of the system, by the error of the call that reached one.

use nix::errno::Errno;

/// Which limit a call has reached, and what raises it: the end of an error's text, or nothing.
pub(crate) fn limit_reached(call: &str, errno: i32) -> &'static str {
    match (Errno::from_raw(errno), call) {
        (Errno::EMFILE, _) => {
            ": this process has too many open descriptors: close some, or raise RLIMIT_NOFILE (`ulimit -n`)"
        }
        (Errno::ENFILE, _) => ": the system has too many open files: raise the sysctl fs.file-max",
        (Errno::ETOOMANYREFS, _) => {
            ": too many descriptors of this user are in flight: receive some first, or raise RLIMIT_NOFILE of the \
             sender (`ulimit -n`)"
        }
        (Errno::EFBIG, _) => ": the file would be longer than allowed: raise RLIMIT_FSIZE (`ulimit -f`)",
        (Errno::ENOMEM, "mmap") => {
            ": no address space is left, or there are too many mappings: raise RLIMIT_AS (`ulimit -v`), or the sysctl \
             vm.max_map_count"
        }
        (Errno::EAGAIN, "mmap") => ": too much memory is locked: raise RLIMIT_MEMLOCK (`ulimit -l`)",
        _ => "",
    }
}
