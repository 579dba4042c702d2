//! What Python's `repr` gives for a value.

use mp_pipe::pickle::{Made, Object, Value};
use std::fmt::Write;

pub(crate) fn repr(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::None => out.push_str("None"),
        Value::Bool(truth) => out.push_str(if *truth { "True" } else { "False" }),
        Value::Int(int) => out.push_str(&int.to_string()),
        Value::BigInt(int) => out.push_str(&int.to_string()),
        Value::Float(float) => out.push_str(&self::float(*float)),
        Value::Str(text) => quoted(text.chars().map(Ok), out),
        Value::Surrogates(bytes) => quoted(code_points(bytes).into_iter(), out),
        Value::Bytes(bytes) => self::bytes(bytes, out),
        Value::ByteArray(bytes) => {
            out.push_str("bytearray(");
            self::bytes(bytes, out);
            out.push(')');
        }
        Value::List(items) => between("[", items, "]", out),
        Value::Tuple(items) => between("(", items, if items.len() == 1 { ",)" } else { ")" }, out),
        Value::Set(items) if items.is_empty() => out.push_str("set()"),
        Value::Set(items) => between("{", items, "}", out),
        Value::FrozenSet(items) if items.is_empty() => out.push_str("frozenset()"),
        Value::FrozenSet(items) => between("frozenset({", items, "})", out),
        Value::Dict(entries) => dict(entries.iter().map(|(key, value)| (key, value)), out),
        Value::Global(name) => {
            let _ = write!(out, "<{name}>");
        }
        Value::Object(object) => self::object(object, out),
        // A kind of value that is not known here.
        other => out.push_str(other.kind()),
    }
}

/// As a dict is shown.
pub(super) fn dict<'a>(entries: impl Iterator<Item = (&'a Value, &'a Value)>, out: &mut String) {
    out.push('{');
    for (at, (key, value)) in entries.enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        write(key, out);
        out.push_str(": ");
        write(value, out);
    }
    out.push('}');
}

/// As a list is shown.
pub(super) fn list<'a>(items: impl Iterator<Item = &'a Value>, out: &mut String) {
    out.push('[');
    separated(items, out);
    out.push(']');
}

fn between(open: &str, items: &[Value], close: &str, out: &mut String) {
    out.push_str(open);
    separated(items.iter(), out);
    out.push_str(close);
}

fn separated<'a>(items: impl Iterator<Item = &'a Value>, out: &mut String) {
    for (at, item) in items.enumerate() {
        out.push_str(if at == 0 { "" } else { ", " });
        write(item, out);
    }
}

/// As it is made, since its class cannot be asked; a proxy as Python shows it.
fn object(object: &Object, out: &mut String) {
    let Value::Global(class) = &object.callable else { return out.push_str("<object>") };
    if class.is("multiprocessing.managers", "RebuildProxy") {
        let name = match object.args.first() {
            Some(Value::Global(name)) => &*name.name,
            _ => "Proxy",
        };
        let _ = write!(out, "<{name} object>");
        return;
    }
    if matches!(object.made, Made::ByNew { .. }) || object.state.is_some() {
        let _ = write!(out, "<{class} object>");
        return;
    }
    match &*class.module {
        "builtins" => out.push_str(&class.name),
        _ => {
            let _ = write!(out, "{class}");
        }
    }
    between("(", &object.args, ")", out);
}

/// The shortest digits that are this float again.
fn float(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    if float.is_infinite() {
        return if float > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let fixed = format!("{float}");
        return if fixed.contains('.') { fixed } else { fixed + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// A `str` in quotes. An error is a lone surrogate.
fn quoted(chars: impl Iterator<Item = Result<char, u32>> + Clone, out: &mut String) {
    let has = |wanted| chars.clone().any(|char| char == Ok(wanted));
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    out.push(quote);
    for char in chars {
        let _ = match char {
            Err(surrogate) => write!(out, "\\u{surrogate:04x}"),
            Ok('\\') => write!(out, "\\\\"),
            Ok('\n') => write!(out, "\\n"),
            Ok('\r') => write!(out, "\\r"),
            Ok('\t') => write!(out, "\\t"),
            Ok(char) if char == quote => write!(out, "\\{char}"),
            Ok(char) if is_printable(char) => write!(out, "{char}"),
            Ok(char) => match u32::from(char) {
                code @ 0..=0xff => write!(out, "\\x{code:02x}"),
                code @ 0x100..=0xffff => write!(out, "\\u{code:04x}"),
                code => write!(out, "\\U{code:08x}"),
            },
        };
    }
    out.push(quote);
}

fn is_printable(char: char) -> bool {
    let is_format =
        matches!(u32::from(char), 0xad | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff);
    let is_private = matches!(u32::from(char), 0xe000..=0xf8ff | 0xf0000..);
    char == ' ' || !(char.is_control() || char.is_whitespace() || is_format || is_private)
}

/// The code points of UTF-8 that may have surrogates.
fn code_points(bytes: &[u8]) -> Vec<Result<char, u32>> {
    let mut points = Vec::new();
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let (length, start) = match first {
            0..0x80 => (1, u32::from(first)),
            0x80..0xe0 => (2, u32::from(first & 0x1f)),
            0xe0..0xf0 => (3, u32::from(first & 0xf)),
            0xf0.. => (4, u32::from(first & 7)),
        };
        let (one, others) = rest.split_at(length.min(rest.len()));
        let code = one[1..].iter().fold(start, |code, byte| code << 6 | u32::from(byte & 0x3f));
        points.push(char::from_u32(code).ok_or(code));
        rest = others;
    }
    points
}

fn bytes(bytes: &[u8], out: &mut String) {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    out.push('b');
    out.push(quote.into());
    for &byte in bytes {
        let _ = match byte {
            b'\\' => write!(out, "\\\\"),
            b'\n' => write!(out, "\\n"),
            b'\r' => write!(out, "\\r"),
            b'\t' => write!(out, "\\t"),
            byte if byte == quote => write!(out, "\\{}", char::from(byte)),
            b' '..=b'~' => write!(out, "{}", char::from(byte)),
            byte => write!(out, "\\x{byte:02x}"),
        };
    }
    out.push(quote.into());
}
