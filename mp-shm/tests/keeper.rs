//! The keeper of a family: that there is one, what it holds, when it ends, and what is done where it cannot be had;
//! what a sweep believes and what it leaves alone. `killed.rs` tries what both are for.
#![allow(unsafe_code, reason = "a variable of the environment, and another user")]

use mp_core::process::Family;
use mp_core::sys::poll::pidfd_open;
use mp_core::sys::process::{become_subreaper, send_signal};
use mp_core::sys::signal::{SIGINT, SIGTERM};
use mp_core::sys::socket::listen_abstract;
use mp_core::transfer::Handle;
use mp_core::{MemError, Process};
use mp_shm::{SharedMemory, SharedMemoryError};
use mp_testing::{
    keepers, kill, line, no_new_shared_memory, open_descriptors, parent_in_role, read_word, role,
    shared_memory_exists as exists, shared_memory_names, stay, the_keeper, wait_for_end, wait_until_gone,
    write_word,
};
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink};

mp_testing::cases! {
    plain: [
        a_second_block_starts_no_process,
        it_ends_with_its_last_owner,
        an_owner_just_after_the_first_finds_it,
        requests_to_end_do_not_end_it,
        it_holds_nothing_of_the_programs,
        first_blocks_at_the_same_time_end_up_with_one,
        an_address_that_a_silent_process_has,
        without_one_blocks_are_made_all_the_same,
        a_living_owner_without_one_keeps_its_names,
        what_is_no_register_is_left_alone,
        a_register_of_another_user_is_left_alone,
        among_many_names_a_sweep_comes_now_and_then,
        too_long_a_record_is_an_error_and_no_signal,
        too_few_descriptors_are_an_error_or_cost_the_keeper,
    ],
    every_method: [one_serves_a_whole_family]
}

fn name(of: &str) -> String {
    format!("mp-shm-keeper-{}-{of}", std::process::id())
}

fn make(name: &str) -> SharedMemory {
    SharedMemory::create(name, 1).unwrap()
}

/// Makes a block, says so, and stays until it is told to go.
fn make_and_wait(name: String, ready: Handle, told: Handle) {
    let _block = make(&name);
    write_word(&ready);
    read_word(&told);
}

/// A child that has made a block, and where to tell it to go.
fn creator(name: &str) -> (mp_core::Child<()>, Handle) {
    let ((read, write), (told, tell)) = (line(), line());
    let child = Process::new(make_and_wait, (name.to_owned(), write, told)).start().unwrap();
    read_word(&read);
    (child, tell)
}

fn a_second_block_starts_no_process() {
    become_subreaper().unwrap();
    let started = || getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().minor_page_faults();
    let before = started();
    let first = make(&name("first"));
    let (keeper, after) = (the_keeper(), started());
    assert!(after > before, "what was started and has ended has touched memory");
    let more: Vec<_> = (0..100).map(|at| make(&name(&at.to_string()))).collect();
    drop((first, more));
    drop(make(&name("first")));
    assert_eq!((the_keeper(), started()), (keeper, after));
}

fn make_and_hand_on(name: String, ready: Handle, told: Handle) {
    let _block = make(&name);
    let below = (format!("{name}-below"), ready, told.clone());
    let child = Process::new(make_and_wait, below).start().unwrap();
    child.join().unwrap();
}

fn one_serves_a_whole_family() {
    become_subreaper().unwrap();
    let ((read, write), (told, tell)) = (line(), line());
    let child = Process::new(make_and_hand_on, (name("child"), write, told)).start().unwrap();
    read_word(&read);
    let keeper = the_keeper();
    let (brother, tell_brother) = creator(&name("brother"));
    let own = make(&name("own"));
    assert_eq!(the_keeper(), keeper);
    write_word(&tell);
    write_word(&tell_brother);
    child.join().unwrap();
    brother.join().unwrap();
    assert_eq!(the_keeper(), keeper);
    drop(own);
}

fn it_ends_with_its_last_owner() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let ((one, _one), (two, tell)) = (creator(&name("one")), creator(&name("two")));
    let keeper = the_keeper();
    one.kill().unwrap();
    assert!(one.join().is_err());
    wait_until_gone(&name("one"));
    assert_eq!(the_keeper(), keeper);
    write_word(&tell);
    two.join().unwrap();
    wait_for_end(keeper);
    assert!(keepers().is_empty());
    no_new_shared_memory(&before);
}

/// Between two steps of the first one there is no time in which a second keeper would be started.
fn an_owner_just_after_the_first_finds_it() {
    become_subreaper().unwrap();
    for _ in 0..20 {
        let both = [creator(&name("first")), creator(&name("second"))];
        let keeper = the_keeper();
        for (child, tell) in both {
            write_word(&tell);
            child.join().unwrap();
        }
        wait_for_end(keeper);
    }
}

fn requests_to_end_do_not_end_it() {
    become_subreaper().unwrap();
    let (child, _held) = creator(&name("asked"));
    let number = the_keeper();
    let keeper = pidfd_open(number).unwrap();
    for signal in [SIGINT, SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGTSTP] {
        send_signal(keeper.as_fd(), signal).unwrap();
    }
    child.kill().unwrap();
    assert!(child.join().is_err());
    wait_for_end(number);
    assert!(!exists(&name("asked")));
}

fn it_holds_nothing_of_the_programs() {
    become_subreaper().unwrap();
    let open = File::open("/proc/self/exe").unwrap();
    // SAFETY: integers only. Without CLOEXEC it would go through exec.
    assert_eq!(unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&open), libc::F_SETFD, 0) }, 0);
    let _block = make(&name("held"));
    let (_child, _held) = creator(&name("more"));
    let keeper = the_keeper();
    // The second one asked over a connection, which is closed when it has been answered.
    while open_descriptors(keeper).len() > 10 {
        std::thread::yield_now();
    }
    let mut held: Vec<String> = open_descriptors(keeper).into_iter().map(|(_, to)| to).collect();
    held.sort();
    let kinds: Vec<&str> = held.iter().map(|to| to.split([':', '#']).next().unwrap()).collect();
    // The address; and of each of two owners the register, the pidfd, the line.
    let expected = ["/dev/null", "/dev/null", "/dev/null", "/dev/shm/", "/dev/shm/", "anon_inode"];
    assert_eq!(kinds[..6], expected, "{held:?}");
    assert_eq!(kinds[6..], ["anon_inode", "socket", "socket", "socket"], "{held:?}");
}

/// Each finds no keeper, and starts one; all but one of these hand their owner over, and end.
fn first_blocks_at_the_same_time_end_up_with_one() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let ((read, write), (gate, open)) = (line(), line());
    let children: Vec<_> = (0..8)
        .map(|at| {
            let gate = (gate.clone(), name(&at.to_string()), write.clone());
            let make = |gate: Handle, name: String, ready: Handle| {
                read_word(&gate);
                let _block = make(&name);
                write_word(&ready);
                stay()
            };
            Process::new(make, gate).start().unwrap()
        })
        .collect();
    children.iter().for_each(|_| write_word(&open));
    children.iter().for_each(|_| read_word(&read));
    while keepers().len() > 1 {
        std::thread::yield_now();
    }
    let keeper = the_keeper();
    for child in children {
        child.kill().unwrap();
        let _: Result<(), _> = child.join();
    }
    wait_for_end(keeper);
    no_new_shared_memory(&before);
}

/// Like a stopped keeper. The owner has one of its own, which no other process finds.
fn an_address_that_a_silent_process_has() {
    become_subreaper().unwrap();
    let before = shared_memory_names();
    let folder = fs::metadata("/dev/shm").unwrap();
    let (family, user) = (Family::of_this_process().unwrap(), nix::unistd::Uid::effective());
    let silent = listen_abstract(&format!("mp-keeper-{family}-{user}-{:x}", folder.dev())).unwrap();
    let (child, _held) = creator(&name("own"));
    let own = the_keeper();
    drop(silent);
    let (other, _other) = creator(&name("other"));
    let both = keepers();
    assert!(both.len() == 2 && both.contains(&own), "{both:?}");
    for child in [child, other] {
        child.kill().unwrap();
        assert!(child.join().is_err());
    }
    both.into_iter().for_each(wait_for_end);
    no_new_shared_memory(&before);
}

/// A program that cannot be started anew has none (see `NotTheProgram`, `HookMissing` of `StartError`).
fn without_one_blocks_are_made_all_the_same() {
    become_subreaper().unwrap();
    if role().is_some() {
        // SAFETY: one thread.
        unsafe { std::env::set_var("MP_RS_BOOT", "none") };
        let _blocks = [make("mp-shm-keeper-alone-1"), make("mp-shm-keeper-alone-2")];
        println!("made");
        stay();
    }
    let mut owner = parent_in_role("owner").spawn().unwrap();
    let mut word = [0; 5];
    owner.stdout.take().unwrap().read_exact(&mut word).unwrap();
    assert!(keepers().is_empty());
    assert!(exists("mp-shm-keeper-alone-1") && exists("mp-shm-keeper-alone-2"));
    owner.kill().unwrap();
    owner.wait().unwrap();
    // Taken by a dead one, so it is free.
    let _next = make("mp-shm-keeper-alone-1");
    wait_until_gone("mp-shm-keeper-alone-2");
}

fn a_living_owner_without_one_keeps_its_names() {
    become_subreaper().unwrap();
    let (child, tell) = creator(&name("lives"));
    kill(the_keeper());
    // One makes a block, another opens one: both sweep.
    drop(make(&name("next")));
    assert_eq!(SharedMemory::open(&name("lives")).unwrap().len(), 1);
    write_word(&tell);
    child.join().unwrap();
    assert!(!exists(&name("lives")));
}

fn what_is_no_register_is_left_alone() {
    let path = |of: &str| format!("/dev/shm/.mp-owner-{}-{of}", std::process::id());
    let victim = format!("/dev/shm/{}", name("victim"));
    fs::write(&victim, "here").unwrap();
    let file = fs::metadata(&victim).unwrap();
    // Without the first slot, or with another one, nothing in it counts.
    let slot = format!("{:x} {:x} {}", file.dev(), file.ino(), name("victim"));
    let slots = [vec![0; 512], slot.clone().into_bytes()].concat();
    fs::write(path("empty"), "").unwrap();
    fs::write(path("short"), "mp-rs: the").unwrap();
    fs::write(path("slots"), slots).unwrap();
    fs::create_dir(path("folder")).unwrap();
    symlink(&victim, path("link")).unwrap();
    nix::unistd::mkfifo(path("pipe").as_str(), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    drop(make(&name("next")));
    let there = |of: &str| fs::symlink_metadata(path(of)).is_ok();
    let all = ["empty", "short", "slots", "link", "pipe", "folder"];
    let left: Vec<_> = all.into_iter().filter(|of| there(of)).collect();
    let victims = fs::read_to_string(&victim);
    all[..5].iter().for_each(|of| fs::remove_file(path(of)).unwrap());
    fs::remove_dir(path("folder")).unwrap();
    fs::remove_file(victim).unwrap();
    assert_eq!(left, all);
    assert_eq!(victims.unwrap(), "here");
}

/// Its path, by the number of the file that the process has open.
fn register_of(pid: u32) -> String {
    let number = |(_, to): (u32, String)| to.strip_prefix("/dev/shm/#")?.split(' ').next()?.parse().ok();
    let open: Vec<u64> = open_descriptors(pid).into_iter().filter_map(number).collect();
    let paths = shared_memory_names().into_iter().filter(|name| name.starts_with(".mp-owner-"));
    let mut paths = paths.map(|name| format!("/dev/shm/{name}"));
    paths.find(|path| fs::metadata(path).is_ok_and(|file| open.contains(&file.ino()))).unwrap()
}

fn a_register_of_another_user_is_left_alone() {
    if !nix::unistd::Uid::effective().is_root() {
        mp_testing::not_here("only root can give a file to another user");
    }
    become_subreaper().unwrap();
    let (child, _held) = creator(&name("left"));
    let register = register_of(child.pid());
    kill(the_keeper());
    std::os::unix::fs::chown(&register, Some(65534), None).unwrap();
    child.kill().unwrap();
    assert!(child.join().is_err());
    drop(make(&name("next")));
    let left = exists(&name("left"));
    std::os::unix::fs::chown(&register, Some(0), None).unwrap();
    assert!(left);
    // A keeper leaves alone what another one is looking at, as one of another program may be.
    while exists(&name("left")) || fs::exists(&register).unwrap() {
        drop(make(&name("next")));
    }
}

fn among_many_names_a_sweep_comes_now_and_then() {
    become_subreaper().unwrap();
    let paths: Vec<String> = (0..1000).map(|at| format!("/dev/shm/{}", name(&at.to_string()))).collect();
    paths.iter().for_each(|path| drop(File::create_new(path).unwrap()));
    drop(make(&name("first")));
    let (child, _held) = creator(&name("left"));
    keepers().into_iter().for_each(kill);
    child.kill().unwrap();
    assert!(child.join().is_err());
    let mut turns = 0;
    while exists(&name("left")) && turns < 10 {
        drop(make(&name("next")));
        turns += 1;
    }
    paths.iter().for_each(|path| fs::remove_file(path).unwrap());
    assert!((1..=5).contains(&turns), "{turns}");
}

/// A file longer than the process may write would end it by SIGXFSZ.
fn too_long_a_record_is_an_error_and_no_signal() {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 4096, hard).unwrap();
    // One of its eight places says what it is.
    let mut blocks: Vec<_> = (0..7).map(|at| make(&name(&at.to_string()))).collect();
    let refused = SharedMemory::create(&name("eighth"), 1).unwrap_err();
    assert!(
        matches!(&refused, SharedMemoryError::Memory(MemError::Os(error)) if error.errno() == Some(libc::EFBIG))
    );
    assert!(!exists(&name("eighth")));
    drop(blocks.swap_remove(3));
    make(&name("eighth"));
}

/// With so many descriptors left: whether a block can be made.
fn make_with(left: usize) -> Result<(), Option<i32>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len() - left);
    let made = SharedMemory::create(&name("few"), 1);
    drop(taken);
    assert_eq!(exists(&name("few")), made.is_ok());
    match made {
        Ok(block) => {
            block.write(0, b"!").unwrap();
            drop(block);
            assert!(!exists(&name("few")));
            Ok(())
        }
        Err(SharedMemoryError::Memory(MemError::Os(error))) => Err(error.errno()),
        Err(other) => panic!("{other}"),
    }
}

fn too_few_descriptors_are_an_error_or_cost_the_keeper() {
    become_subreaper().unwrap();
    let with = |left: usize| Process::fork(move || make_with(left)).start().unwrap().join().unwrap();
    let made: Vec<_> = (0..12).map(with).collect();
    assert_eq!(made[0], Err(Some(libc::EMFILE)));
    assert_eq!(made[11], Ok(()));
    let enough = made.iter().position(Result::is_ok).unwrap();
    assert!(made[..enough].iter().all(|made| *made == Err(Some(libc::EMFILE))), "{made:?}");
    assert!(made[enough..].iter().all(Result::is_ok), "{made:?}");
    keepers().into_iter().for_each(wait_for_end);
}
