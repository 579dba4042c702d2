//! The main image: where its code lies, and which build it is.
//!
//! # Safety
//! The one invariant: what the dynamic linker reports of the main image is mapped for the process's life.
#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::OnceLock;

/// The main image as the dynamic linker describes it.
struct Image {
    code: Vec<Range<usize>>,
    build: u128,
    /// The functions that are called before `main`, as addresses of their entries in a table.
    constructors: Range<usize>,
}

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let mut image = Image { code: Vec::new(), build: 0, constructors: 0..0 };
        // SAFETY: `visit` gets the pointer back within this call only.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut image).cast()) };
        if image.build == 0 {
            image.build = file_fingerprint();
        }
        image
    })
}

/// Called for the main image first; stops there.
unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    image: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the linker passes a live description.
    let info = unsafe { &*info };
    // SAFETY: the pointer that `image` passed, to a value nobody else uses now.
    let image = unsafe { &mut *image.cast::<Image>() };
    // SAFETY: the linker's own table and its length.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
    for header in headers {
        let start = info.dlpi_addr as usize + header.p_vaddr as usize;
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 {
            image.code.push(start..start + header.p_memsz as usize);
        } else if header.p_type == libc::PT_NOTE {
            // SAFETY: a note segment of the main image, mapped for ever.
            let notes = unsafe { std::slice::from_raw_parts(start as *const u8, header.p_filesz as usize) };
            image.build = build_id(notes).unwrap_or(image.build);
        } else if header.p_type == libc::PT_DYNAMIC {
            // SAFETY: the dynamic section of the main image, which ends with an entry of type 0.
            image.constructors = unsafe { constructors(start as *const [usize; 2], info.dlpi_addr as usize) };
        }
    }
    1
}

/// Finds the table of constructors in a dynamic section: pairs of a type and a value.
///
/// # Safety
/// The section of an image that is mapped at `base`; it ends with an entry of type 0.
unsafe fn constructors(mut entry: *const [usize; 2], base: usize) -> Range<usize> {
    const DT_INIT_ARRAY: usize = 25;
    const DT_INIT_ARRAYSZ: usize = 27;
    let (mut start, mut bytes) = (0, 0);
    loop {
        // SAFETY: not past the last one, which has type 0.
        match unsafe { entry.read() } {
            [0, _] => return base + start..base + start + bytes,
            [DT_INIT_ARRAY, value] => start = value,
            [DT_INIT_ARRAYSZ, value] => bytes = value,
            _ => {}
        }
        // SAFETY: as above.
        entry = unsafe { entry.add(1) };
    }
}

/// What the C library calls before `main`; musl passes nothing.
pub type Constructor = extern "C" fn(libc::c_int, *const *const libc::c_char, *const *const libc::c_char);

/// The main image's constructors that are called after the one whose table entry this is; `None` if the entry is
/// not in the main image's table.
pub fn constructors_after(entry: &'static Constructor) -> Option<Vec<Constructor>> {
    let all = &image().constructors;
    let entry = (&raw const *entry).addr();
    if !all.contains(&entry) {
        return None;
    }
    let next = entry + size_of::<Constructor>();
    let rest = std::ptr::with_exposed_provenance::<Option<Constructor>>(next);
    // SAFETY: the rest of the table, whose bounds the linker gave: each entry is the address of such a function.
    let rest = unsafe { std::slice::from_raw_parts(rest, (all.end - next) / size_of::<Constructor>()) };
    Some(rest.iter().copied().flatten().collect())
}

/// Finds the GNU build id among ELF notes: (name length, content length, type), name, content, padded to 4.
fn build_id(mut notes: &[u8]) -> Option<u128> {
    const NT_GNU_BUILD_ID: u32 = 3;
    while notes.len() >= 12 {
        let number = |at: usize| u32::from_ne_bytes([notes[at], notes[at + 1], notes[at + 2], notes[at + 3]]);
        let (name_bytes, bytes, kind) = (number(0) as usize, number(4) as usize, number(8));
        let content = 12 + name_bytes.next_multiple_of(4);
        let end = content + bytes.next_multiple_of(4);
        let name = notes.get(12..12 + name_bytes)?;
        if kind == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(fingerprint(notes.get(content..content + bytes)?));
        }
        notes = notes.get(end..)?;
    }
    None
}

/// For an image without a build id: which file it is, how long, and when it was last written.
fn file_fingerprint() -> u128 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self/exe").map_or(0, |file| {
        fingerprint(
            format!("{} {} {} {} {}", file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec())
                .as_bytes(),
        )
    })
}

fn fingerprint(bytes: &[u8]) -> u128 {
    const { assert!(usize::BITS == 64) }
    let half = |seed: u64| {
        bytes.iter().fold(seed, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
    };
    u128::from(half(0xCBF2_9CE4_8422_2325)) << 64 | u128::from(half(0x84222325_CBF29CE4))
}

/// Which build of the program this is; the same in every process of the same file.
pub fn build() -> u128 {
    image().build
}

/// Whether an address lies in the main image's code.
pub fn is_code(address: usize) -> bool {
    image().code.iter().any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_functions_are_code_and_the_stack_is_not() {
        let local = 0_u8;
        assert!(is_code(own_functions_are_code_and_the_stack_is_not as fn() as usize));
        assert!(!is_code((&raw const local) as usize));
        assert_ne!(build(), 0);
    }

    #[test]
    fn a_cut_note_is_no_build_id() {
        assert_eq!(build_id(&[4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0, 1]), None);
    }
}
