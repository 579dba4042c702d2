//! Places in a list: an index, or a slice, as Python counts them.

use super::arguments::index;
use super::raised::Raised;
use mp_pipe::pickle::Value;

/// Where a subscript points.
pub(super) enum Place {
    At(usize),
    /// So many elements from the first one on, so far apart.
    Slice {
        first: usize,
        step: isize,
        count: usize,
    },
}

impl Place {
    pub(super) fn of(subscript: &Value, len: usize, what: &str) -> Result<Place, Raised> {
        if let Value::Object(object) = subscript
            && subscript.class().is_some_and(|class| class.is("builtins", "slice"))
            && let [start, stop, step] = &object.args[..]
        {
            return slice(start, stop, step, len);
        }
        match subscript {
            Value::Int(_) | Value::BigInt(_) | Value::Bool(_) => at(index(subscript)?, len)
                .map(Place::At)
                .ok_or_else(|| Raised::index(&format!("{what} index out of range"))),
            other => Err(Raised::type_error(format!(
                "{what} indices must be integers or slices, not {}",
                other.kind()
            ))),
        }
    }

    /// The places in their order.
    pub(super) fn all(&self) -> Vec<usize> {
        match *self {
            Place::At(at) => vec![at],
            Place::Slice { first, step, count } => {
                (0..count).map(|at| first.wrapping_add_signed(at as isize * step)).collect()
            }
        }
    }
}

/// A negative index counts from the end.
pub(super) fn at(index: i64, len: usize) -> Option<usize> {
    let at = if index < 0 { i128::from(index) + len as i128 } else { index.into() };
    usize::try_from(at).ok().filter(|at| *at < len)
}

/// Cut off at both ends, as `insert` and `index` have it.
pub(super) fn within(index: i64, len: usize) -> usize {
    let at = if index < 0 { i128::from(index) + len as i128 } else { index.into() };
    at.clamp(0, len as i128) as usize
}

fn slice(start: &Value, stop: &Value, step: &Value, len: usize) -> Result<Place, Raised> {
    let given = |value: &Value| if value.is_none() { Ok(None) } else { index(value).map(Some) };
    let (start, stop, step) = (given(start)?, given(stop)?, given(step)?.unwrap_or(1));
    let (len, step) = (len as i128, i128::from(step));
    let (lowest, highest) = if step < 0 { (-1, len - 1) } else { (0, len) };
    let bound = |given: Option<i64>, otherwise| match given.map(i128::from) {
        None => otherwise,
        Some(at) => (if at < 0 { at + len } else { at }).clamp(lowest, highest),
    };
    let apart = match step {
        0 => return Err(Raised::value("slice step cannot be zero")),
        1.. => bound(stop, highest) - bound(start, lowest),
        _ => bound(start, highest) - bound(stop, lowest),
    };
    let first = bound(start, if step < 0 { highest } else { lowest });
    let count = if apart <= 0 { 0 } else { (apart as u128).div_ceil(step.unsigned_abs()) };
    // Of one element or none the step does not matter, and may be larger than any list.
    let step = if count > 1 { step as isize } else { step.signum() as isize };
    Ok(Place::Slice { first: first.max(0) as usize, step, count: count as usize })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mp_pipe::pickle::Object;

    #[test]
    fn slices_are_pythons() {
        let places = |start: Option<i64>, stop: Option<i64>, step: Option<i64>| {
            let args = [start, stop, step].map(Value::from);
            let slice = Object::call("builtins", "slice", args).into();
            Place::of(&slice, 5, "list").unwrap().all()
        };
        let none: [usize; 0] = [];
        assert_eq!(places(None, None, None), [0, 1, 2, 3, 4]);
        assert_eq!(places(Some(-2), None, None), [3, 4]);
        assert_eq!(places(Some(1), Some(100), Some(2)), [1, 3]);
        assert_eq!(places(None, None, Some(-1)), [4, 3, 2, 1, 0]);
        assert_eq!(places(Some(3), Some(0), Some(-2)), [3, 1]);
        assert_eq!(places(Some(-100), Some(1), None), [0]);
        assert_eq!(places(Some(4), Some(2), None), none);
        assert_eq!(places(Some(i64::MIN), Some(i64::MAX), Some(i64::MAX)), [0]);
        assert_eq!(places(Some(100), None, Some(i64::MIN)), [4]);
        let zero = Object::call("builtins", "slice", [().into(), ().into(), 0.into()]).into();
        assert!(Place::of(&zero, 5, "list").is_err() && Place::of(&5.into(), 5, "list").is_err());
    }
}
