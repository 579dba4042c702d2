//! The main image: where its code lies, which build it is, what it calls before `main`.
//!
//! # Safety
//! The one invariant: what the dynamic linker reports of the main image is mapped for the process's life.
#![allow(unsafe_code)]

mod elf;

use std::ops::Range;
use std::sync::OnceLock;

/// The main image as the dynamic linker describes it.
#[derive(Default)]
struct Image {
    /// What the image's own addresses are counted from.
    base: usize,
    code: Vec<Range<usize>>,
    /// What is neither written nor executed: constants, and the tables of what lies where.
    constant: Vec<Range<usize>>,
    build_id: Option<u128>,
    /// The functions that are called before `main`, as addresses of their entries in a table.
    constructors: Option<Range<usize>>,
    /// Whether it names a dynamic loader that is to load it.
    names_a_loader: bool,
}

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let mut image = Image::default();
        // SAFETY: `visit` gets the pointer back within this call only.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut image).cast()) };
        // An image at a fixed address that needs no loader has no dynamic section.
        if image.constructors.is_none() {
            let table = elf::constructors_of_this_file();
            image.constructors = table.map(|table| image.base + table.start..image.base + table.end);
        }
        image
    })
}

impl Image {
    /// For an image without a build id: which build it is, by its constants and by the places and sizes of its parts
    /// and functions. Not by its code, into which a debugger writes.
    fn content(&self) -> u128 {
        let relative = |range: &Range<usize>| [range.start - self.base, range.len()];
        let places = self.code.iter().chain(&self.constant).flat_map(relative).flat_map(usize::to_ne_bytes);
        let places: Vec<u8> = places.collect();
        self.constant.iter().fold(fingerprint(0, &places), |so_far, range| {
            let start = std::ptr::with_exposed_provenance::<u8>(range.start);
            // SAFETY: a segment of the main image that is mapped for reading and that nothing writes to.
            fingerprint(so_far, unsafe { std::slice::from_raw_parts(start, range.len()) })
        })
    }
}

/// Called for each image; stops at the main one. An auditor's library (`LD_AUDIT`) is told of images of its own first.
unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    image: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the linker passes a live description.
    let info = unsafe { &*info };
    // SAFETY: reads a number that the kernel left for this process.
    let headers_of_program = unsafe { libc::getauxval(libc::AT_PHDR) };
    // The kernel names those of musl's loader, where that has loaded the program. There are no auditors there.
    if cfg!(not(target_env = "musl")) && info.dlpi_phdr.addr() as u64 != headers_of_program {
        return 0;
    }
    // SAFETY: the pointer that `image` passed, to a value that no other code uses now.
    let image = unsafe { &mut *image.cast::<Image>() };
    // SAFETY: the linker's own table and its length.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum as usize) };
    image.base = info.dlpi_addr as usize;
    for header in headers {
        let start = image.base + header.p_vaddr as usize;
        let whole = start..start + header.p_memsz as usize;
        match header.p_type {
            libc::PT_LOAD if header.p_flags & libc::PF_X != 0 => image.code.push(whole),
            libc::PT_LOAD if header.p_flags & libc::PF_W == 0 => image.constant.push(whole),
            // Where each function begins; it lies within the code where a linker makes no segment of constants.
            libc::PT_GNU_EH_FRAME => image.constant.push(whole),
            libc::PT_INTERP => image.names_a_loader = true,
            libc::PT_NOTE => {
                // SAFETY: a note segment of the main image, mapped for ever.
                let notes =
                    unsafe { std::slice::from_raw_parts(start as *const u8, header.p_filesz as usize) };
                image.build_id = build_id(notes).or(image.build_id);
            }
            libc::PT_DYNAMIC => {
                // SAFETY: the dynamic section of the main image, which ends with an entry of type 0.
                image.constructors = Some(unsafe { constructors(start as *const [usize; 2], image.base) });
            }
            _ => {}
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

/// Whether the program was started as an argument of the dynamic loader (`ld-linux-x86-64.so.2 ./program`). Then the
/// kernel has executed the loader, and has loaded no other one for it.
pub fn was_started_by_loader() -> bool {
    // SAFETY: reads a number that the kernel left for this process.
    let loader = unsafe { libc::getauxval(libc::AT_BASE) };
    loader == 0 && image().names_a_loader
}

/// Why the constructors are not known that follow an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTable {
    /// The entry is not in the main image: the caller is part of a shared library.
    Elsewhere,
    /// The main image tells of no table: it is linked statically, at a fixed address, and its section headers are gone.
    Untold,
}

/// What the C library calls before `main`; musl passes nothing.
pub type Constructor = extern "C" fn(libc::c_int, *const *const libc::c_char, *const *const libc::c_char);

/// The main image's constructors that are called after the one whose table entry this is.
pub fn constructors_after(entry: &'static Constructor) -> Result<Vec<Constructor>, NoTable> {
    let all = image().constructors.as_ref().ok_or(NoTable::Untold)?;
    let entry = (&raw const *entry).addr();
    if !all.contains(&entry) {
        return Err(NoTable::Elsewhere);
    }
    let next = entry + size_of::<Constructor>();
    let rest = std::ptr::with_exposed_provenance::<Option<Constructor>>(next);
    // SAFETY: the rest of the table, whose bounds the linker gave: each entry is the address of such a function.
    let rest = unsafe { std::slice::from_raw_parts(rest, (all.end - next) / size_of::<Constructor>()) };
    Ok(rest.iter().copied().flatten().collect())
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
            return Some(fingerprint(0, notes.get(content..content + bytes)?));
        }
        notes = notes.get(end..)?;
    }
    None
}

/// Goes on from the fingerprint of what comes before.
fn fingerprint(before: u128, bytes: &[u8]) -> u128 {
    const { assert!(usize::BITS == 64) }
    let half = |seed: u64| {
        let (words, rest) = bytes.as_chunks::<8>();
        let last = rest.iter().fold(rest.len() as u64, |word, &byte| word << 8 | u64::from(byte));
        let words = words.iter().map(|word| u64::from_ne_bytes(*word)).chain([last]);
        words.fold(seed, |hash, word| (hash.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    };
    let halves =
        [0xCBF2_9CE4_8422_2325 ^ before as u64, 0x8422_2325_CBF2_9CE4 ^ (before >> 64) as u64].map(half);
    u128::from(halves[0]) << 64 | u128::from(halves[1])
}

/// Which build of the program this is, by its build id or else by its content: the same in every process of the same
/// file, of a copy of it, or of the file after its times were changed.
pub fn build() -> u128 {
    // Not with the rest, which the hook asks for before `main`: all constants are read where there is no build id.
    static BUILD: OnceLock<u128> = OnceLock::new();
    *BUILD.get_or_init(|| image().build_id.unwrap_or_else(|| image().content()))
}

/// An address as the image itself counts it: the same in every process of the same build.
pub fn offset(address: usize) -> usize {
    address.wrapping_sub(image().base)
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
    fn content_tells_builds_apart() {
        let content = image().content();
        assert_eq!(image().content(), content);
        let bytes: Vec<u8> = (0..100).collect();
        let of = |bytes: &[u8]| fingerprint(content, bytes);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert_ne!(of(&other), of(&bytes), "byte {at}");
            assert_ne!(of(&bytes[..at]), of(&bytes), "length {at}");
        }
        assert_ne!(fingerprint(content ^ 1, &bytes), of(&bytes));
        assert_ne!(fingerprint(content ^ 1 << 64, &bytes), of(&bytes));
    }

    #[test]
    fn a_cut_note_is_no_build_id() {
        assert_eq!(build_id(&[4, 0, 0, 0, 20, 0, 0, 0, 3, 0, 0, 0, b'G', b'N', b'U', 0, 1]), None);
    }
}
