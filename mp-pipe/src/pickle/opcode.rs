//! The opcodes of protocols 2 to 5, by the names that CPython's `pickle.py` has for them; and text on the wire.

macro_rules! opcodes {
    ($($name:ident = $byte:literal,)*) => { $(pub(super) const $name: u8 = $byte;)* };
}

opcodes! {
    // The stack.
    MARK = b'(', POP = b'0', POP_MARK = b'1', DUP = b'2', STOP = b'.',
    // The frame around it.
    PROTO = 0x80, FRAME = 0x95,
    // What is under a number.
    BINPUT = b'q', LONG_BINPUT = b'r', MEMOIZE = 0x94, BINGET = b'h', LONG_BINGET = b'j',
    // Values without parts.
    NONE = b'N', NEWTRUE = 0x88, NEWFALSE = 0x89,
    BININT = b'J', BININT1 = b'K', BININT2 = b'M', LONG1 = 0x8a, LONG4 = 0x8b, BINFLOAT = b'G',
    SHORT_BINUNICODE = 0x8c, BINUNICODE = b'X', BINUNICODE8 = 0x8d,
    SHORT_BINSTRING = b'U', BINSTRING = b'T',
    SHORT_BINBYTES = b'C', BINBYTES = b'B', BINBYTES8 = 0x8e, BYTEARRAY8 = 0x96,
    // Values with parts.
    EMPTY_TUPLE = b')', TUPLE1 = 0x85, TUPLE2 = 0x86, TUPLE3 = 0x87, TUPLE = b't',
    EMPTY_LIST = b']', APPEND = b'a', APPENDS = b'e',
    EMPTY_DICT = b'}', SETITEM = b's', SETITEMS = b'u',
    EMPTY_SET = 0x8f, ADDITEMS = 0x90, FROZENSET = 0x91,
    // Names, and what is made with them.
    GLOBAL = b'c', STACK_GLOBAL = 0x93, REDUCE = b'R', NEWOBJ = 0x81, NEWOBJ_EX = 0x92, BUILD = b'b',
    // Not supported.
    PERSID = b'P', BINPERSID = b'Q', EXT1 = 0x82, EXT2 = 0x83, EXT4 = 0x84,
    NEXT_BUFFER = 0x97, READONLY_BUFFER = 0x98,
}

/// What else a pickle of protocol 0 or 1 consists of: `FLOAT INT LONG STRING UNICODE DICT GET INST LIST OBJ PUT`.
pub(super) const OLD: &[u8] = b"FILSVdgilop";

/// The bytes of a `str`: a text, or one with lone surrogates, or nothing that Python would read.
pub(super) enum Text<'a> {
    Plain(&'a str),
    Surrogates,
    Bad,
}

/// Python decodes as UTF-8 with `surrogatepass`: what would be a surrogate in UTF-8 (`ED A0..BF 80..BF`) is one.
pub(super) fn text(bytes: &[u8]) -> Text<'_> {
    let mut rest = match std::str::from_utf8(bytes) {
        Ok(text) => return Text::Plain(text),
        Err(error) => &bytes[error.valid_up_to()..],
    };
    loop {
        let [0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..] = rest else { return Text::Bad };
        match std::str::from_utf8(after) {
            Ok(_) => return Text::Surrogates,
            Err(error) => rest = &after[error.valid_up_to()..],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrogates_are_told_from_nonsense() {
        assert!(matches!(text("grün 🦀".as_bytes()), Text::Plain("grün 🦀")));
        // 'a\udc80b\ud83d\ude00'.encode('utf-8', 'surrogatepass'): the pair stays two surrogates.
        assert!(matches!(text(b"a\xed\xb2\x80b\xed\xa0\xbd\xed\xb8\x80"), Text::Surrogates));
        for bad in [&b"\xff"[..], b"\xed\xb2", b"\xed\xb2\x80\xff", b"\xed\x9f", b"\xc0\x80"] {
            assert!(matches!(text(bad), Text::Bad), "{bad:?}");
        }
    }
}
