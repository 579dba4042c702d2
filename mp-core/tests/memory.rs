//! Shared memory where there is too little of it: fault row 6. A memfd has no full disk; a process that takes more
//! than there is is ended by the OOM killer, or another process is. So what cannot be had is refused before the
//! kernel is asked.
//!
//! Nothing here takes memory but inside a group whose memory is bounded, so that no other process is in danger.

use mp_core::mem::{Bytes, Kind, Mapping};
use mp_core::{MemError, Process};
use mp_testing::{limited, not_here, open_descriptors, parent_in_role, role};
use nix::sys::resource::Resource;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::process::Stdio;

mp_testing::cases! {
    plain: [
        a_group_with_little_memory_is_never_overdrawn,
        a_full_page_cache_is_available_memory,
        a_small_object_is_made_where_nothing_is_left,
        a_limit_on_file_sizes_is_an_error_and_no_signal,
        a_limit_on_addresses_is_an_error,
        what_was_refused_leaves_nothing,
    ],
    every_method: [
        a_child_of_a_bounded_group_is_bound_too,
    ]
}

const MIB: usize = 1 << 20;
/// What the group has. The library leaves a quarter of it to whatever else is there.
const GROUP: usize = 192 * MIB;
const USABLE: usize = GROUP - GROUP / 4;

/// A group of processes with little memory, or why there is none.
struct Group {
    folder: PathBuf,
}

impl Group {
    fn new() -> Group {
        let name = format!("mp-core-memory-{}", std::process::id());
        let (old, new) = (format!("/sys/fs/cgroup/memory/{name}"), format!("/sys/fs/cgroup/{name}"));
        let made = |folder: String, limit: &str| {
            fs::create_dir(&folder).ok()?;
            let group = Group { folder: folder.into() };
            fs::write(group.folder.join(limit), GROUP.to_string()).is_ok().then_some(group)
        };
        made(old, "memory.limit_in_bytes")
            .or_else(|| made(new, "memory.max"))
            .unwrap_or_else(|| not_here("no control group for memory may be made here"))
    }

    /// Runs this case again inside.
    fn run(&self) {
        let role = self.folder.to_str().unwrap();
        let output = parent_in_role(role).stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}\n{said}", output.status);
    }

    /// Moves this process there: at its beginning, when it has nothing.
    fn enter(folder: &str) {
        fs::write(format!("{folder}/cgroup.procs"), std::process::id().to_string()).unwrap();
        assert!(mp_core::sys::memory::available_memory() <= USABLE as u64);
    }

    /// How often the kernel has ended a process there for lack of memory.
    fn kills(folder: &str) -> u64 {
        let read = |file: &str| fs::read_to_string(format!("{folder}/{file}")).unwrap_or_default();
        let text = read("memory.oom_control") + &read("memory.events");
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line.expect("the kernel counts them").trim().parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have been reaped, or go now.
        while fs::remove_dir(&self.folder).is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY)) {
            std::thread::yield_now();
        }
    }
}

fn make(bytes: usize) -> Result<std::sync::Arc<Mapping>, MemError> {
    Mapping::create("memory", Kind::of::<[u8]>(), bytes)
}

fn is_refused(bytes: usize) {
    match make(bytes) {
        Err(MemError::NoMemory { asked, available }) => assert!(available < asked && asked >= bytes as u64),
        other => panic!("{other:?}"),
    }
}

/// Takes 16 MiB at a time until there is no more, and touches all of it. Gives how much that was.
fn take_all() -> usize {
    const PIECE: usize = 16 * MIB;
    let mut taken = Vec::new();
    let refused = loop {
        match make(PIECE) {
            Ok(mapping) => taken.push(mapping),
            Err(error) => break error,
        }
        assert!(taken.len() * PIECE <= USABLE, "no call refuses");
    };
    assert!(matches!(refused, MemError::NoMemory { .. }), "{refused:?}");
    let ones = vec![1; MIB];
    for mapping in &taken {
        let bytes = Bytes::at(mapping.clone(), 0, PIECE).unwrap();
        (0..PIECE / MIB).for_each(|at| bytes.write(at * MIB, &ones));
    }
    taken.len() * PIECE
}

fn a_group_with_little_memory_is_never_overdrawn() {
    let Some(folder) = role() else { return Group::new().run() };
    Group::enter(&folder);
    is_refused(GROUP);
    is_refused(USABLE + MIB);
    for _ in 0..3 {
        let taken = take_all();
        assert!(taken >= USABLE / 2, "{} MiB", taken / MIB);
    }
    // Far more than that is refused as well while something is taken.
    let some = make(USABLE / 2).unwrap();
    is_refused(USABLE);
    drop(some);
    assert_eq!(Group::kills(&folder), 0);
}

/// Bytes that the group is charged with, and those of them that are file pages.
fn charged(folder: &str) -> (u64, u64) {
    let read = |file: &str| fs::read_to_string(format!("{folder}/{file}")).unwrap_or_default();
    let used = read("memory.usage_in_bytes") + &read("memory.current");
    let stat = read("memory.stat");
    let field = |name: &str| -> u64 {
        let line = stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |number| number.parse().unwrap())
    };
    let files = ["inactive_file", "active_file"].map(field);
    (used.trim().parse().unwrap(), files.iter().sum())
}

/// Reads and writes a file until the group is full of its pages, as a service does that has run for a while.
/// The pages are there as long as the file is.
fn fill_with_file_pages(folder: &str) -> File {
    let mut file = tempfile();
    let piece = vec![7; 4 * MIB];
    while charged(folder).0 < (GROUP - 16 * MIB) as u64 {
        assert!(file.stream_position().unwrap() < 2 * GROUP as u64, "the group does not fill");
        file.write_all(&piece).unwrap();
        file.sync_data().unwrap();
    }
    let (used, files) = charged(folder);
    assert!(files >= used / 2, "{files} of {used} bytes are file pages");
    file
}

/// A file on a disk, without a name.
fn tempfile() -> File {
    let path = format!("{}/memory-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

fn a_full_page_cache_is_available_memory() {
    let Some(folder) = role() else { return Group::new().run() };
    Group::enter(&folder);
    let _file = fill_with_file_pages(&folder);
    assert!(take_all() >= USABLE / 2);
    is_refused(USABLE + MIB);
    assert_eq!(Group::kills(&folder), 0);
}

/// The estimate says that nothing is left, the kernel has some pages: it decides.
fn a_small_object_is_made_where_nothing_is_left() {
    let Some(folder) = role() else { return Group::new().run() };
    Group::enter(&folder);
    let mut taken = Vec::new();
    while let Ok(mapping) = make(2 * MIB) {
        taken.push(mapping);
    }
    is_refused(2 * MIB);
    taken.extend((0..8).map(|_| make(MIB / 2).unwrap()));
    taken.extend((0..100).map(|_| make(8).unwrap()));
    assert_eq!(Group::kills(&folder), 0);
}

fn take_half() -> bool {
    is_refused(GROUP);
    make(USABLE / 4).is_ok()
}

fn a_child_of_a_bounded_group_is_bound_too() {
    let Some(folder) = role() else { return Group::new().run() };
    Group::enter(&folder);
    assert!(Process::new(take_half, ()).start().unwrap().join().unwrap());
    assert_eq!(Group::kills(&folder), 0);
}

/// Its signal, SIGXFSZ, would end this process.
fn a_limit_on_file_sizes_is_an_error_and_no_signal() {
    let refused = limited(Resource::RLIMIT_FSIZE, MIB as u64, || make(2 * MIB)).unwrap_err();
    assert!(matches!(&refused, MemError::Os(error) if error.errno() == Some(libc::EFBIG)), "{refused:?}");
    limited(Resource::RLIMIT_FSIZE, MIB as u64, || make(MIB / 2)).unwrap();
}

fn a_limit_on_addresses_is_an_error() {
    // More than this program has mapped by now, and less than it has with the object.
    let pages: u64 = {
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        statm.split(' ').next().unwrap().parse().unwrap()
    };
    let room = pages * 4096 + 8 * MIB as u64;
    let refused = limited(Resource::RLIMIT_AS, room, || make(16 * MIB)).unwrap_err();
    assert!(matches!(&refused, MemError::Os(error) if error.call == "mmap"), "{refused:?}");
    make(16 * MIB).unwrap();
}

fn what_was_refused_leaves_nothing() {
    let maps = || fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:").count();
    let before = (open_descriptors(std::process::id()), maps());
    for _ in 0..200 {
        is_refused(1 << 46);
        limited(Resource::RLIMIT_FSIZE, MIB as u64, || make(2 * MIB)).unwrap_err();
    }
    assert_eq!((open_descriptors(std::process::id()), maps()), before);
}
