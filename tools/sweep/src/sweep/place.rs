//! Where an instruction stands: a name and a line for people, as far as `addr2line` knows them.

use std::fs;
use std::process::Command;

/// The file and the place in it, and the functions there, the innermost first. An address of this process or of a
/// fork of it.
pub(super) fn of(address: u64) -> String {
    let Some((file, offset)) = file_and_offset(address) else { return format!("{address:#x}") };
    let place = format!("{offset:#x}");
    let output = Command::new("addr2line").args(["-f", "-C", "-i", "-p", "-e", &file, &place]).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().replace('\n', ", "));
    format!("{file} + {place} {}", said.unwrap_or_default())
}

/// The mapped file, and how far the address lies behind where the file is mapped.
fn file_and_offset(address: u64) -> Option<(String, u64)> {
    let maps = fs::read_to_string("/proc/self/maps").ok()?;
    let mut bases = Vec::<(String, u64)>::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        let file = rest.split_whitespace().nth(4).unwrap_or_default();
        if !bases.iter().any(|(other, _)| other == file) {
            bases.push((file.to_owned(), start));
        }
        if (start..end).contains(&address) {
            let base = bases.iter().find(|(other, _)| other == file)?.1;
            return Some((file.to_owned(), address - base));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_address_has_a_file() {
        let said = super::of(super::of as *const () as u64);
        assert!(said.contains("mp_sweep"), "{said}");
    }
}
