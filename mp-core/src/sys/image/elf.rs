//! The table of constructors as this program's own file tells of it, in its section headers.
//!
//! ```text
//!  file header ──e_shoff──► section headers ──the one of type INIT_ARRAY──► address and size of the table
//! ```
//! It is for programs that are linked statically, at a fixed address: they have no dynamic section in memory that would
//! tell. `strip` leaves the section headers; a tool that removes them (`strip --strip-section-headers`) leaves no
//! table.

use libc::{Elf64_Ehdr, Elf64_Shdr};
use std::fs::File;
use std::mem::offset_of;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The offsets of the fields in the headers of a 64-bit ELF file.
const SECTIONS_AT: usize = offset_of!(Elf64_Ehdr, e_shoff);
const SECTION_BYTES: usize = offset_of!(Elf64_Ehdr, e_shentsize);
const SECTION_COUNT: usize = offset_of!(Elf64_Ehdr, e_shnum);
const KIND: usize = offset_of!(Elf64_Shdr, sh_type);
const ADDRESS: usize = offset_of!(Elf64_Shdr, sh_addr);
const BYTES: usize = offset_of!(Elf64_Shdr, sh_size);

const SHT_INIT_ARRAY: u32 = 14;

/// Where the table lies in memory if the image is at its own addresses; `None` if the file does not tell.
pub(super) fn constructors_of_this_file() -> Option<Range<usize>> {
    let file = File::open("/proc/self/exe").ok()?;
    let read = |at: usize, bytes: usize| {
        let mut content = vec![0; bytes];
        file.read_exact_at(&mut content, at as u64).ok().map(|()| content)
    };
    constructors(read)
}

fn constructors(read: impl Fn(usize, usize) -> Option<Vec<u8>>) -> Option<Range<usize>> {
    let header = read(0, size_of::<Elf64_Ehdr>())?;
    let (at, bytes) = (word(&header, SECTIONS_AT)?, usize::from(half(&header, SECTION_BYTES)?));
    let count = usize::from(half(&header, SECTION_COUNT)?);
    if at == 0 || bytes < size_of::<Elf64_Shdr>() {
        return None;
    }
    let sections = read(at, bytes * count)?;
    let section = sections.chunks_exact(bytes).find(|section| kind(section) == Some(SHT_INIT_ARRAY))?;
    let start = word(section, ADDRESS)?;
    Some(start..start.checked_add(word(section, BYTES)?)?)
}

fn kind(section: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*section.get(KIND..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn this_file() -> Vec<u8> {
        std::fs::read("/proc/self/exe").unwrap()
    }

    fn of(file: &[u8]) -> Option<Range<usize>> {
        constructors(|at, bytes| Some(file.get(at..at.checked_add(bytes)?)?.to_vec()))
    }

    #[test]
    fn the_file_says_what_the_loader_says() {
        let told = super::super::image().constructors.clone().unwrap();
        let base = super::super::image().base;
        assert_eq!(of(&this_file()), Some(told.start - base..told.end - base));
        assert_eq!(constructors_of_this_file(), of(&this_file()));
    }

    #[test]
    fn without_section_headers_nothing_is_told() {
        let mut file = this_file();
        let sections = word(&file, SECTIONS_AT).unwrap();
        assert_eq!(of(&file[..sections]), None);
        file[SECTIONS_AT..SECTIONS_AT + 8].fill(0);
        assert_eq!(of(&file), None);
        file[SECTIONS_AT..SECTIONS_AT + 8].fill(0xFF);
        assert_eq!(of(&file), None);
        assert_eq!(of(&file[..10]), None);
        assert_eq!(of(&[]), None);
    }
}
