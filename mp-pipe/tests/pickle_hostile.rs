//! Random bytes, and malicious pickles: reading ends in a value or an error, never in a
//! panic, and takes no more memory than 400 bytes for each byte of them. What CPython wrote, cut off or changed;
//! opcodes by chance, alone and over and over.
//!
//! With `MP_PICKLES=1000000` that many are made by chance.

use mp_pipe::pickle::{Limits, PickleError, Value, dumps, loads, loads_within};
use mp_testing::{Chance, random, unhex};
use peak_alloc::PeakAlloc;
use std::panic::{AssertUnwindSafe, catch_unwind};

mp_testing::cases! {
    plain: [
        a_pickle_cut_off_anywhere_is_truncated,
        a_pickle_with_any_byte_changed_is_a_value_or_an_error,
        opcodes_by_chance_are_a_value_or_an_error,
        any_two_opcodes_over_and_over_take_what_their_bytes_justify,
        some_opcodes_by_chance_over_and_over_take_what_their_bytes_justify,
        a_length_is_not_believed,
        the_limit_of_memory_bounds_what_is_taken,
        a_long_text_encoded_over_and_over_is_encoded_once,
    ]
}

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const BYTES_A_BYTE: usize = 400;
/// For the first of anything.
const AT_ALL: usize = 4096;

/// `[None, True, 2**70, -5, 1.5, 'grün', b'\0\xff', bytearray(b'x'), (1, 2), {'k': {3, 4}}, frozenset([5]),
/// datetime.date(2026, 1, 2), [l, l], OrderedDict(a=1), KeyError('k')]` by CPython 3.13, protocols 2 to 5.
const ALL_KINDS: [&str; 4] = [
    "80025d7100284e888a090000000000000000404afbffffff473ff800000000000058050000006772c3bc6e7101635f636f64
     6563730a656e636f64650a7102580300000000c3bf710358060000006c6174696e317104867105527106635f5f6275696c74
     696e5f5f0a6279746561727261790a710768025801000000787108680486710952710a85710b52710c4b014b0286710d7d71
     0e58010000006b710f635f5f6275696c74696e5f5f0a7365740a71105d7111284b034b046585711252711373635f5f627569
     6c74696e5f5f0a66726f7a656e7365740a71145d71154b0561857116527117636461746574696d650a646174650a71186802
     580500000007c3aa01027119680486711a52711b85711c52711d5d711e285d711f4b0961681f6563636f6c6c656374696f6e
     730a4f726465726564446963740a71202952712158010000006171224b017363657863657074696f6e730a4b65794572726f
     720a7123680f857124527125652e",
    "80035d7100284e888a090000000000000000404afbffffff473ff800000000000058050000006772c3bc6e7101430200ff71
     02636275696c74696e730a6279746561727261790a710343017871048571055271064b014b028671077d710858010000006b
     7109636275696c74696e730a7365740a710a5d710b284b034b046585710c52710d73636275696c74696e730a66726f7a656e
     7365740a710e5d710f4b0561857110527111636461746574696d650a646174650a7112430407ea010271138571145271155d
     7116285d71174b096168176563636f6c6c656374696f6e730a4f726465726564446963740a71182952711958010000006171
     1a4b0173636275696c74696e730a4b65794572726f720a711b680985711c52711d652e",
    "800495cf000000000000005d94284e888a090000000000000000404afbffffff473ff80000000000008c056772c3bc6e9443
     0200ff948c086275696c74696e73948c0962797465617272617994939443017894859452944b014b0286947d948c016b948f
     94284b034b049073284b0591948c086461746574696d65948c0464617465949394430407ea010294859452945d94285d944b
     09616815658c0b636f6c6c656374696f6e73948c0b4f726465726564446963749493942952948c0161944b017368038c084b
     65794572726f72949394680b85945294652e",
    "800595c2000000000000005d94284e888a090000000000000000404afbffffff473ff80000000000008c056772c3bc6e9443
     0200ff9496010000000000000078944b014b0286947d948c016b948f94284b034b049073284b0591948c086461746574696d
     65948c0464617465949394430407ea010294859452945d94285d944b09616810658c0b636f6c6c656374696f6e73948c0b4f
     726465726564446963749493942952948c0161944b01738c086275696c74696e73948c084b65794572726f72949394680685
     945294652e",
];

fn all_kinds() -> Vec<Vec<u8>> {
    let pickles: Vec<_> = ALL_KINDS.iter().map(|hex| unhex(hex)).collect();
    assert!(pickles.iter().all(|pickle| loads(pickle).is_ok()));
    pickles
}

/// Reads it, and says how many bytes of memory that took at its height. Fails if that is too much, or it panics.
fn read_measured(pickle: &[u8], limits: Limits) -> (Result<Value, PickleError>, usize) {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = catch_unwind(AssertUnwindSafe(|| loads_within(pickle, limits)));
    let taken = MEMORY.peak_usage() - before;
    let result = result.unwrap_or_else(|_| panic!("it panics: {}", pickle.escape_ascii()));
    (result, taken)
}

fn read(pickle: &[u8]) -> Result<Value, PickleError> {
    let (result, taken) = read_measured(pickle, Limits::default());
    let most = AT_ALL + BYTES_A_BYTE * pickle.len();
    let shown = || pickle[..pickle.len().min(500)].escape_ascii();
    assert!(taken <= most, "{taken} bytes of memory for {} bytes: {}", pickle.len(), shown());
    // Whatever it is, it is a value like any other: it can be written, and read again.
    if let Ok(value) = &result
        && let Ok(again) = dumps(value)
    {
        assert!(loads(&again).is_ok(), "{}", shown());
    }
    result
}

fn a_pickle_cut_off_anywhere_is_truncated() {
    for pickle in all_kinds() {
        for length in 0..pickle.len() {
            assert_eq!(read(&pickle[..length]), Err(PickleError::Truncated { length }));
        }
    }
}

fn a_pickle_with_any_byte_changed_is_a_value_or_an_error() {
    let mut values = 0;
    for pickle in all_kinds() {
        for at in 0..pickle.len() {
            let mut changed = pickle.clone();
            let flipped = (0..8).map(|bit| pickle[at] ^ 1 << bit);
            for byte in flipped.chain(PIECES.iter().map(|piece| piece[0])).chain([0, b'.', 0xff]) {
                changed[at] = byte;
                values += u32::from(read(&changed).is_ok());
            }
        }
    }
    // Most changes are to an int or a text, and make it another one.
    assert!(values > 5000, "{values} values");
}

/// What the machine knows, each with what belongs to it.
#[rustfmt::skip]
const PIECES: &[&[u8]] = &[
    b"N", b"\x88", b"K\x05", b"M\x05\x05", b"J\x05\0\0\0", b"\x8a\x09\0\0\0\0\0\0\0\0\x01", b"\x8a\0", b"\x8b\0\0\0\0",
    b"G\0\0\0\0\0\0\0\0", b"X\0\0\0\0", b"\x8c\0", b"\x8c\x01a", b"\x8c\x03\xed\xb2\x80", b"\x8c\x06latin1", b"U\x01a",
    b"C\0", b"C\x01b", b"B\0\0\0\0", b"\x96\x01\0\0\0\0\0\0\0c",
    b")", b"\x85", b"\x86", b"\x87", b"t", b"]", b"a", b"e", b"}", b"s", b"u", b"\x8f", b"\x90", b"\x91",
    b"(", b"0", b"1", b"2", b"q\0", b"q\x07", b"r\0\0\0\x01", b"\x94", b"h\0", b"h\x01", b"h\x02", b"j\0\0\0\x01",
    b"cm\nC\n", b"\x8c\x01m\x8c\x01C\x93", b"R", b"\x81", b"\x92", b"b",
    b"cbuiltins\nset\n", b"cbuiltins\nfrozenset\n", b"cbuiltins\nbytearray\n", b"c_codecs\nencode\n",
];

/// With these on the stack and under the first numbers, most pieces have what they need.
const BEGINNING: &[u8] =
    b"\x80\x04]\x94\x8c\x04text\x94(K\x01K\x02t\x94}cm\nC\n)R\x8f](K\x01K\x02K\x03e(NNNN(NN";

/// What doubles its room when that is full has just done so; and 257 may be as deep as that too.
const OFTEN: [usize; 3] = [129, 257, 1025];

fn some_pieces(chance: &mut Chance, most: usize) -> Vec<u8> {
    let count = 1 + chance.below(most);
    (0..count).flat_map(|_| PIECES[chance.below(PIECES.len())]).copied().collect()
}

fn pickles(usual: usize) -> usize {
    std::env::var("MP_PICKLES").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

fn opcodes_by_chance_are_a_value_or_an_error() {
    let mut chance = Chance::new(random(u64::MAX));
    let mut values = 0;
    for _ in 0..pickles(50_000) {
        let beginning = if chance.below(2) == 0 { BEGINNING } else { b"" };
        let mut pickle = [beginning, &some_pieces(&mut chance, 30), b"."].concat();
        if chance.below(4) == 0 {
            let at = chance.below(pickle.len());
            pickle[at] = chance.below(256) as u8;
        }
        values += u32::from(read(&pickle).is_ok());
    }
    assert!(values > 0);
}

fn any_two_opcodes_over_and_over_take_what_their_bytes_justify() {
    for one in PIECES {
        for two in PIECES {
            let both = [*one, *two].concat();
            let _ = read(&[BEGINNING, &both.repeat(OFTEN[1]), b"."].concat());
        }
    }
}

fn some_opcodes_by_chance_over_and_over_take_what_their_bytes_justify() {
    let mut chance = Chance::new(random(u64::MAX));
    for _ in 0..pickles(20_000) / 10 {
        let (some, often) = (some_pieces(&mut chance, 6), OFTEN[chance.below(OFTEN.len())]);
        let _ = read(&[BEGINNING, &some.repeat(often), b"."].concat());
    }
}

fn a_length_is_not_believed() {
    let lengths: [&[u8]; 8] = [
        b"T\xff\xff\xff\x7f",
        b"X\xff\xff\xff\xff",
        b"B\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"\x8d\0\0\0\0\x01\0\0\0",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x95\xff\xff\xff\xff\xff\xff\xff\xff",
    ];
    for pickle in lengths {
        let (result, taken) = read_measured(&[pickle, b"abc."].concat(), Limits::default());
        assert!(matches!(result, Err(PickleError::Truncated { .. })), "{result:?}");
        assert!(taken < 1000, "{taken} bytes for {}", pickle.escape_ascii());
    }
    // A number out of turn, too, takes no array up to it.
    let (result, taken) = read_measured(b"Nr\xff\xff\xff\xff.", Limits::default());
    assert!(result.is_ok() && taken < 1000, "{taken} bytes");
}

fn the_limit_of_memory_bounds_what_is_taken() {
    let limit = 1 << 20;
    for piece in PIECES {
        let pickle = [BEGINNING, &piece.repeat((4 << 20) / piece.len()), b"."].concat();
        let (_, taken) = read_measured(&pickle, Limits::default().with_memory(limit));
        assert!(taken <= 3 * limit + AT_ALL, "{taken} bytes of memory, by {}", piece.escape_ascii());
    }
}

fn a_long_text_encoded_over_and_over_is_encoded_once() {
    // _codecs.encode(text, 'latin1') for each eight bytes: of bytes, and of what is none.
    for text in ["x".repeat(100_000), "x".repeat(100_000) + "Ā"] {
        let mut pickle = b"\x80\x02(c_codecs\nencode\n\x94X".to_vec();
        pickle.extend((text.len() as u32).to_le_bytes());
        pickle.extend(text.as_bytes());
        pickle.extend(b"\x94\x8c\x06latin1\x94");
        pickle.extend(b"h\0h\x01h\x02\x86R".repeat(5000));
        pickle.extend(b"t.");
        let value = read(&pickle).unwrap();
        assert_eq!(value.items().map(<[Value]>::len), Some(5003));
    }
}
