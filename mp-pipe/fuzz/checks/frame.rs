//! Whatever bytes arrive, in pieces of whatever size, they are the messages that they say, or an error; and
//! no message is longer than the limit.

use mp_pipe::frame::{Assembly, FrameError, Step};

const LIMIT: usize = 1 << 16;

/// The first byte is the size of the pieces, less one; the others are on the wire.
pub(crate) fn check(input: &[u8]) {
    let Some((piece, wire)) = input.split_first() else { return };
    let piece = usize::from(*piece) + 1;
    let (messages, refused) = expected(wire);
    let mut messages = messages.into_iter();
    let (mut assembly, mut rest) = (Assembly::default(), wire);
    loop {
        let announced = assembly.announced();
        let left = rest.len();
        let count = move |most: usize| {
            assert!(most > 0 && most <= LIMIT);
            most.min(piece).min(left)
        };
        let count = match assembly.step(LIMIT, Vec::new) {
            Err(error) => {
                assert_eq!(Some(error), refused);
                assert_eq!(assembly.step(LIMIT, Vec::new).err(), Some(error), "it stays so");
                break;
            }
            Ok(Step::Whole) => {
                let body = assembly.take();
                assert_eq!(announced, Some(body.len() as u64));
                assert_eq!(Some(body.as_slice()), messages.next());
                continue;
            }
            Ok(Step::Head(room)) => {
                let count = count(room.len());
                room[..count].copy_from_slice(&rest[..count]);
                assembly.filled(count);
                count
            }
            Ok(Step::Body { body, most }) => {
                body.extend_from_slice(&rest[..count(most)]);
                count(most)
            }
        };
        if count == 0 {
            assert_eq!(refused, None, "what is no frame is waited for");
            break;
        }
        rest = &rest[count..];
    }
    assert_eq!(messages.next(), None);
}

/// The messages up to the first bad length, and what is wrong with that.
fn expected(mut wire: &[u8]) -> (Vec<&[u8]>, Option<FrameError>) {
    let mut messages = Vec::new();
    loop {
        let Some((short, after)) = wire.split_first_chunk::<4>() else { return (messages, None) };
        let (length, after) = match i32::from_be_bytes(*short) {
            -1 => match after.split_first_chunk::<8>() {
                Some((long, after)) => (u64::from_be_bytes(*long), after),
                None => return (messages, None),
            },
            bad @ ..-1 => return (messages, Some(FrameError::BadLength(bad))),
            short => (short as u64, after),
        };
        if length > LIMIT as u64 {
            return (messages, Some(FrameError::TooLong { length, limit: LIMIT }));
        }
        let Some((message, after)) = after.split_at_checked(length as usize) else {
            return (messages, None);
        };
        messages.push(message);
        wire = after;
    }
}
