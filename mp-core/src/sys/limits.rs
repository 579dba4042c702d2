//! Limits of the system, by the error of the call that reached one; and calls that the system does not have or allow.

use nix::errno::Errno;

/// Which limit a call has reached, or what refuses it, and the remedy: the end of an error's text, or nothing.
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
        (Errno::EAGAIN, "fork" | "posix_spawn") => {
            ": there are too many processes and threads: raise RLIMIT_NPROC of this user (`ulimit -u`), pids.max of \
             the control group, or the sysctl kernel.threads-max"
        }
        // The C library says so, too, where it cannot map the thread's stack.
        (Errno::EAGAIN, "pthread_create") => {
            ": there are too many processes and threads: raise RLIMIT_NPROC of this user (`ulimit -u`), pids.max of \
             the control group, or the sysctl kernel.threads-max; or no address space is left for the stack: \
             raise RLIMIT_AS (`ulimit -v`), or have smaller stacks (RUST_MIN_STACK)"
        }
        (Errno::ENOMEM, "fork" | "posix_spawn" | "pthread_create") => {
            ": there is no memory for another process or thread: free some, raise memory.max of the control group or \
             RLIMIT_AS (`ulimit -v`), or allow the system to overcommit (the sysctl vm.overcommit_memory)"
        }
        (Errno::EPERM, "posix_spawn" | "pthread_create") => {
            ": a filter on system calls may refuse clone3: have it answer ENOSYS (old container runtimes)"
        }
        (Errno::ENOSYS | Errno::EPERM, "pidfd_open" | "memfd_create" | "getrandom") => {
            ": this call is needed: use Linux 5.4 or later, and allow it in the filter on system calls (seccomp)"
        }
        // Without /proc a block is made by `shm_open`.
        (Errno::ENOENT | Errno::EACCES | Errno::EROFS, "open(O_TMPFILE)" | "read /dev/shm")
        | (Errno::ENOENT | Errno::EROFS, "shm_open") => {
            ": named shared memory needs /dev/shm: mount a tmpfs there that this process may write to"
        }
        (Errno::ENOENT | Errno::EACCES | Errno::EROFS, "mkdir") => {
            ": the temporary directory cannot be used: set TMPDIR to one that this process may write to, or give an address"
        }
        // `linkat` names a file by its descriptor there.
        (Errno::ENOENT | Errno::ENOTDIR, call) if call == "linkat" || call.contains("/proc") => {
            ": this needs /proc, which is not mounted here: mount it (`mount -t proc proc /proc`), in a chroot too"
        }
        (Errno::EACCES | Errno::EPERM | Errno::EINVAL, call) if call.contains("/proc") => {
            ": this needs /proc, which cannot be read here: mount it (`mount -t proc proc /proc`), and allow this \
             process to open files there"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use crate::error::OsError;

    #[test]
    fn a_limit_of_processes_is_named() {
        for call in ["fork", "posix_spawn", "pthread_create"] {
            let text = OsError::new(call, libc::EAGAIN).to_string();
            assert!(text.contains("RLIMIT_NPROC") && text.contains("pids.max"), "{text}");
        }
        assert!(!OsError::new("recvmsg", libc::EAGAIN).to_string().contains("RLIMIT_NPROC"));
    }

    #[test]
    fn a_thread_without_room_for_its_stack_names_that_limit_too() {
        let text = OsError::new("pthread_create", libc::EAGAIN).to_string();
        assert!(text.contains("RLIMIT_AS") && text.contains("RLIMIT_NPROC"), "{text}");
        assert!(!OsError::new("fork", libc::EAGAIN).to_string().contains("RLIMIT_AS"));
    }

    #[test]
    fn a_want_of_dev_shm_is_told_whichever_call_finds_it() {
        for call in ["open(O_TMPFILE)", "shm_open", "read /dev/shm"] {
            let text = OsError::new(call, libc::ENOENT).to_string();
            assert!(text.contains("mount a tmpfs"), "{text}");
        }
    }

    #[test]
    fn what_needs_proc_says_how_to_have_it() {
        let calls = [
            "open(/proc)",
            "open(/proc/self/fd)",
            "stat /proc/self/task",
            "read /proc/self/task",
            "read(/proc/self/status)",
            "linkat",
        ];
        for call in calls {
            let text = OsError::new(call, libc::ENOENT).to_string();
            assert!(text.contains("mount -t proc"), "{text}");
        }
        // A name that another process has.
        assert!(!OsError::new("linkat", libc::EEXIST).to_string().contains("/proc"));
    }
}
