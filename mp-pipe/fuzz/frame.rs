//! Whatever bytes arrive, in pieces of whatever size, they are messages or an error; no message is longer than the limit,
//! and each is what its bytes say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mp_pipe::frame::{Assembly, Header, Step};

const LIMIT: usize = 1 << 16;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, mut bytes) = (usize::from(input.0) + 1, input.1);
    let mut assembly = Assembly::default();
    loop {
        let begun = assembly.announced();
        let room = match assembly.step(LIMIT, Vec::new) {
            Err(_) => return,
            Ok(Step::Whole) => {
                let (body, count) = assembly.take();
                assert!(count <= LIMIT && count <= body.len());
                assert_eq!(begun, Some(count as u64));
                assert!(Header::of(count as u64).as_bytes().len() == 4);
                continue;
            }
            Ok(Step::Head(room) | Step::Body(room)) => room,
        };
        assert!(!room.is_empty());
        let count = room.len().min(piece).min(bytes.len());
        if count == 0 {
            return;
        }
        room[..count].copy_from_slice(&bytes[..count]);
        assembly.filled(count);
        bytes = &bytes[count..];
    }
});
