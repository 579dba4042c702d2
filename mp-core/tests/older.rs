//! ForkServer on a kernel that does not remember how a process ended (before Linux 6.15): there the template reaps its
//! children and reports their ends. A filter on system calls makes any kernel such a one, for good, so each case is a
//! process of its own that begins with it; templates inherit it.

use mp_core::popen::forkserver::template_pid;
use mp_core::sys::poll::{Interest, pidfd_open, wait_for};
use mp_core::sys::process::{remembered_end, send_signal};
use mp_core::{JoinError, active_children};
use mp_testing::{Bits, Fate, descendants, filter, open_descriptors, start};
use std::os::fd::AsFd;
use std::process::exit;

mp_testing::cases! {
    plain: [
        the_filter_works,
        values_and_ends_arrive,
        a_hundred_in_turn_leave_nothing,
        a_killed_spare_is_replaced,
        without_a_template_no_value_is_lost,
    ]
}

/// `_IOWR(0xFF, 11, struct pidfd_info)` without its size, which differs from version to version.
const PIDFD_GET_INFO: u32 = 0xC000_FF0B;
const WITHOUT_SIZE: u32 = 0xC000_FFFF;

/// From now on this process and its children are told ENOTTY when they ask a pidfd for its process's end.
fn forget_ends() {
    filter(libc::SYS_ioctl, &[Bits::are(1, WITHOUT_SIZE, PIDFD_GET_INFO)], Fate::Fails(libc::ENOTTY));
}

fn kill_itself() {
    send_signal(pidfd_open(std::process::id()).unwrap().as_fd(), 9).unwrap();
}

fn kill(pid: u32) {
    let pidfd = pidfd_open(pid).unwrap();
    send_signal(pidfd.as_fd(), 9).unwrap();
    assert!(wait_for(pidfd.as_fd(), Interest::Read, None).unwrap());
}

fn the_filter_works() {
    forget_ends();
    let child = start(|| ());
    child.join().unwrap();
    assert_eq!(remembered_end(child.as_fd()), None);
}

fn values_and_ends_arrive() {
    forget_ends();
    let seven = start(|| 7);
    assert_eq!((seven.join().unwrap(), seven.exitcode()), (7, Some(0)));
    let exits = start(|| -> () { exit(300) });
    assert!(matches!(exits.join(), Err(JoinError::Exited(44))));
    let killed = start(kill_itself);
    assert!(matches!(killed.join(), Err(JoinError::Killed(9))));
    assert_eq!(killed.exitcode(), Some(-9));
    let panics = start(|| -> () { panic!("on purpose") });
    assert!(matches!(panics.join(), Err(JoinError::Panicked { .. })));
    assert_eq!(panics.exitcode(), Some(101));
}

fn a_hundred_in_turn_leave_nothing() {
    forget_ends();
    start(|| ()).join().unwrap();
    active_children();
    let before = open_descriptors(std::process::id()).len();
    for _ in 0..100 {
        start(|| ()).join().unwrap();
    }
    active_children();
    assert_eq!(open_descriptors(std::process::id()).len(), before);
    // The last one's value may be here before the template has reaped it.
    while descendants(std::process::id()).iter().any(|(_, state)| *state == 'Z') {
        std::thread::yield_now();
    }
}

fn a_killed_spare_is_replaced() {
    forget_ends();
    let mut child = start(|| 3);
    child.join().unwrap();
    let template = template_pid().unwrap();
    for _ in 0..20 {
        // The last child may be on its way out, or not reaped yet.
        let is_spare = |(pid, state): &(u32, char)| *pid != child.pid() && *state != 'Z';
        let spare = loop {
            if let Some((spare, _)) = descendants(template).into_iter().find(is_spare) {
                break spare;
            }
            std::thread::yield_now();
        };
        kill(spare);
        // Before it is reaped, the template holds its end of the socket, and takes the request for it.
        while descendants(template).iter().any(|(pid, _)| *pid == spare) {
            std::thread::yield_now();
        }
        child = start(|| 3);
        assert_eq!(child.join().unwrap(), 3);
    }
    assert_eq!(template_pid(), Some(template));
}

fn without_a_template_no_value_is_lost() {
    forget_ends();
    let valued = start(|| 5);
    wait_for(valued.sentinel(), Interest::Read, None).unwrap();
    // Whether it has been reported by now is the template's affair.
    kill(template_pid().unwrap());
    assert_eq!(valued.join().unwrap(), 5);
    let gone = start(std::thread::park);
    kill(template_pid().unwrap());
    gone.kill().unwrap();
    // Lost if the process that adopts it has reaped it before it is asked about.
    assert!(matches!(gone.join(), Err(JoinError::Killed(9) | JoinError::Lost)));
    assert_eq!(start(|| 6).join().unwrap(), 6);
}
