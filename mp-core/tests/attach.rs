//! Only shared objects of this program can be attached, whichever process sent them: fault rows 7, 19 and 20.
//!
//! `mp-sync/tests/foreign.rs` has the same for what users see.

use mp_core::MemError;
use mp_core::mem::{Bytes, Kind, Mapping, Shareable, SharedRef, SharedSlice};
use mp_core::sys::memory::{PAGE, sealed_file};
use mp_core::sys::process::random_bytes;
use mp_testing::{add_role, not_here, open_descriptors, parent_in_role, role};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU32;

mp_testing::cases! {
    plain: [
        every_byte_of_the_header_counts,
        noise_in_the_header_is_refused,
        another_type_is_refused,
        types_of_one_name_are_two,
        another_build_of_the_program_is_refused,
        what_a_peer_could_shrink_is_refused,
        no_process_can_shrink_what_is_attached,
        what_is_too_short_is_refused,
        what_is_no_shared_memory_is_refused,
        what_may_not_be_written_is_refused,
        what_is_refused_leaves_nothing,
    ]
}

/// The part of the header that means something; the rest of [`Mapping::header_bytes`] keeps the payload off
/// its line.
const HEADER: usize = 40;

/// An object that is mapped nowhere, with so many bytes.
fn object(payload: usize) -> File {
    let mapping = Mapping::create("object", Kind::of::<u32>(), payload).unwrap();
    File::from(mapping.file().try_clone_to_owned().unwrap())
}

fn attach(file: &impl AsFd) -> Result<std::sync::Arc<Mapping>, MemError> {
    Mapping::attach(file.as_fd().try_clone_to_owned().unwrap(), Kind::of::<u32>(), "u32")
}

fn is_typed(error: &MemError) -> bool {
    matches!(error, MemError::NotOurs(_) | MemError::TypeMismatch { expected: "u32" })
}

fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Row 20: with a mapping of it here, and without; each bit of each byte, and the byte as a whole.
fn every_byte_of_the_header_counts() {
    for keep in [true, false] {
        let file = object(100);
        let _kept = keep.then(|| attach(&file).unwrap());
        for at in 0..HEADER as u64 {
            let mut before = [0];
            file.read_exact_at(&mut before, at).unwrap();
            for flip in (0..8).map(|bit| 1 << bit).chain([0xFF]) {
                file.write_all_at(&[before[0] ^ flip], at).unwrap();
                let error = attach(&file).err().unwrap_or_else(|| panic!("byte {at} ^ {flip:#x} is taken"));
                assert!(is_typed(&error), "byte {at} ^ {flip:#x}: {error:?}");
            }
            file.write_all_at(&before, at).unwrap();
        }
        attach(&file).unwrap();
        // The bytes behind it are unused.
        file.write_all_at(&[0xFF; 128 - HEADER], HEADER as u64).unwrap();
        assert_eq!(Mapping::header_bytes(), 128);
        attach(&file).unwrap();
    }
}

/// Row 20
fn noise_in_the_header_is_refused() {
    let file = object(100);
    let header = content(&file)[..HEADER].to_vec();
    for _ in 0..2000 {
        let mut noise = [0; HEADER];
        random_bytes(&mut noise).unwrap();
        // From some byte on, so that the first checks are passed.
        let from = usize::from(noise[0]) % HEADER;
        noise[..from].copy_from_slice(&header[..from]);
        if noise == *header {
            continue;
        }
        file.write_all_at(&noise, 0).unwrap();
        let error = attach(&file).unwrap_err();
        assert!(is_typed(&error), "{noise:?}: {error:?}");
    }
}

/// Row 19
fn another_type_is_refused() {
    let object = Mapping::create("object", Kind::of::<u32>(), 4).unwrap();
    let copy = || object.file().try_clone_to_owned().unwrap();
    for kind in [
        Kind::of::<[u8; 4]>(),
        Kind::of::<i32>(),
        Kind::of::<f32>(),
        Kind::of::<[u32]>(),
        Kind::of::<AtomicU32>(),
        Kind::of_items::<u32, u32>(),
    ] {
        let error = Mapping::attach(copy(), kind, "another").unwrap_err();
        assert!(matches!(error, MemError::TypeMismatch { expected: "another" }), "{error:?}");
    }
    let swapped = Mapping::create("object", Kind::of_items::<u32, u64>(), 4).unwrap();
    let swapped = swapped.file().try_clone_to_owned().unwrap();
    assert!(Mapping::attach(swapped, Kind::of_items::<u64, u32>(), "another").is_err());
    let pair = Mapping::create("object", Kind::of::<(u32, u64)>(), 4).unwrap();
    assert!(attach(&pair.file()).is_err());
}

/// Two types of this program that have one name.
fn kinds_of_one_name() -> [(&'static str, Kind); 2] {
    fn of<T: Shareable>() -> (&'static str, Kind) {
        (std::any::type_name::<T>(), Kind::of::<T>())
    }
    let one = {
        #[derive(Clone, Copy, Shareable)]
        #[repr(C)]
        struct Point([u32; 2]);
        of::<Point>()
    };
    let other = {
        #[derive(Clone, Copy, Shareable)]
        #[repr(C)]
        struct Point(f64);
        of::<Point>()
    };
    [one, other]
}

/// Row 19
fn types_of_one_name_are_two() {
    let [(one_name, one), (other_name, other)] = kinds_of_one_name();
    assert_eq!(one_name, other_name, "else this tries nothing");
    let object = Mapping::create("object", one, 8).unwrap();
    let copy = || object.file().try_clone_to_owned().unwrap();
    Mapping::attach(copy(), one, "Point").unwrap();
    assert!(matches!(Mapping::attach(copy(), other, "Point"), Err(MemError::TypeMismatch { .. })));
}

/// This program with one bit of its build id turned; `None` if it has none.
fn another_build() -> Option<Vec<u8>> {
    let mut program = fs::read("/proc/self/exe").unwrap();
    // A note: name length 4, content length 20, type 3 (NT_GNU_BUILD_ID), name.
    let note = b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0";
    let at = program.windows(note.len()).position(|bytes| bytes == note)? + note.len();
    program[at] ^= 1;
    Some(program)
}

/// Row 20: the very same types, laid out by another compilation.
fn another_build_of_the_program_is_refused() {
    if role().is_some() {
        let given = io::stdin().as_fd().try_clone_to_owned().unwrap();
        print!("{}", attach(&given).map_or_else(|error| error.to_string(), |_| "attached".to_owned()));
        return;
    }
    let Some(program) = another_build() else { not_here("this program was linked without a build id") };
    let file = object(100);
    let folder = std::env::temp_dir().join(format!("mp-core-attach-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    let path = folder.join("other");
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::metadata("/proc/self/exe").unwrap().permissions()).unwrap();
    let said = |mut command: Command| {
        let output = command.stdin(Stdio::from(file.try_clone().unwrap())).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut other = Command::new(&path);
    add_role(&mut other, "attaches what it is given").stdout(Stdio::piped());
    let answers = (said(parent_in_role("attaches what it is given")), said(other));
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(answers.0, "attached");
    assert!(answers.1.contains("another build"), "{}", answers.1);
}

/// The same bytes in a file of one's own, with some of the seals.
fn copy_with(seals: SealFlag, bytes: &[u8]) -> File {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let copy = File::from(memfd_create("copy", flags).unwrap());
    copy.write_all_at(bytes, 0).unwrap();
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    copy
}

const ALL: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// Row 7: all is as it should be but for a seal.
fn what_a_peer_could_shrink_is_refused() {
    let bytes = content(&object(100));
    let not_sealed = |error: MemError| matches!(error, MemError::NotOurs(why) if why.contains("sealed"));
    for missing in [SealFlag::F_SEAL_SHRINK, SealFlag::F_SEAL_GROW, SealFlag::F_SEAL_SEAL, ALL] {
        let copy = copy_with(ALL - missing, &bytes);
        assert!(not_sealed(attach(&copy).unwrap_err()), "without {missing:?}");
    }
    attach(&copy_with(ALL, &bytes)).unwrap();
    // One that can have no seals at all.
    let copy = File::from(memfd_create("copy", MFdFlags::MFD_CLOEXEC).unwrap());
    copy.write_all_at(&bytes, 0).unwrap();
    assert!(not_sealed(attach(&copy).unwrap_err()));
}

/// Row 7: neither its maker nor its receiver.
fn no_process_can_shrink_what_is_attached() {
    let file = object(3 * PAGE);
    let length = file.metadata().unwrap().len();
    let mapping = attach(&file).unwrap();
    for wanted in [0, length - 1, length + 1] {
        assert_eq!(file.set_len(wanted).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
    let bytes = Bytes::at(mapping, 0, 3 * PAGE).unwrap();
    bytes.write(3 * PAGE - 1, &[7]);
    assert_eq!(file.metadata().unwrap().len(), length);
}

/// Row 7: shrunk before it was sealed, so that the header names what is gone.
fn what_is_too_short_is_refused() {
    let bytes = content(&object(5 * PAGE));
    let needed = Mapping::header_bytes() + 5 * PAGE;
    for length in (0..6).map(|pages| pages * PAGE).chain([1, HEADER, 128, PAGE - 1, PAGE + 1, needed - 1]) {
        let copy = copy_with(ALL, &bytes[..length]);
        let error = attach(&copy).err().unwrap_or_else(|| panic!("{length} bytes are taken"));
        assert!(matches!(error, MemError::NotOurs(_)), "{length}: {error:?}");
    }
    // Nor does a part of an object reach beyond it.
    let small = attach(&object(4)).unwrap();
    let room = small.payload_bytes();
    assert!(matches!(Bytes::at(small.clone(), room, 1), Err(MemError::NotOurs(_))));
    assert!(matches!(SharedRef::<AtomicU32>::at(small.clone(), room - 3), Err(MemError::NotOurs(_))));
    assert!(matches!(SharedSlice::<AtomicU32>::at(small, 4, room / 4), Err(MemError::NotOurs(_))));
}

/// Files that are no memory, and memory that is no object.
fn strangers() -> Vec<OwnedFd> {
    let (read, write) = mp_core::sys::fd::pipe().unwrap();
    let open = |path: &str| OwnedFd::from(File::open(path).unwrap());
    vec![
        read,
        write,
        open("/proc/self/exe"),
        open("/dev/null"),
        open("/dev/zero"),
        open("/"),
        open("/proc/self/status"),
        sealed_file("empty", 0).unwrap(),
        sealed_file("zeros", PAGE).unwrap(),
        copy_with(ALL, &[0xFF; 2 * PAGE]).into(),
    ]
}

/// Row 20
fn what_is_no_shared_memory_is_refused() {
    for stranger in strangers() {
        let error = attach(&stranger).unwrap_err();
        assert!(matches!(error, MemError::NotOurs(_)), "{error:?}");
    }
}

fn what_may_not_be_written_is_refused() {
    let bytes = content(&object(100));
    let frozen = copy_with(ALL | SealFlag::F_SEAL_WRITE, &bytes);
    let copy = copy_with(ALL, &bytes);
    let for_reading = File::open(format!("/proc/self/fd/{}", copy.as_raw_fd())).unwrap();
    for file in [frozen, for_reading] {
        let error = attach(&file).unwrap_err();
        assert!(matches!(&error, MemError::Os(error) if error.call == "mmap"), "{error:?}");
    }
}

/// Neither a descriptor nor a mapping.
fn what_is_refused_leaves_nothing() {
    let maps = || fs::read_to_string("/proc/self/maps").unwrap().matches("memfd:").count();
    let damaged = object(100);
    damaged.write_all_at(&[0xFF], 17).unwrap();
    let strangers = strangers();
    let before = (open_descriptors(std::process::id()), maps());
    for stranger in strangers.iter().map(AsFd::as_fd).chain([damaged.as_fd()]) {
        attach(&stranger).unwrap_err();
    }
    assert_eq!((open_descriptors(std::process::id()), maps()), before);
}
