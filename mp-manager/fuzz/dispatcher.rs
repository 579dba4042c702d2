#![no_main]

#[path = "checks/dispatcher.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| check::check(input));
