//! Looking at a socket before sleeping on it, as often as it has been worth it: see `Looks` of mp-core.

use mp_core::word;

/// What one direction of an end has learned. At most it looks for about as long as waking a sleeper takes.
pub(crate) type Looks = word::Looks<64>;

/// Between two looks, so that they do not keep the other side from the socket.
const PAUSES: u32 = 4;

/// Looks as often as it is worth it; gives what is found. `None`: one sleeps now.
#[inline]
pub(crate) fn look<T>(looks: &mut Looks, mut at: impl FnMut() -> Option<T>) -> Option<T> {
    for round in 0..looks.granted() {
        if let Some(found) = at() {
            // What was there at once teaches nothing.
            if round > 0 {
                looks.found();
            }
            return Some(found);
        }
        (0..PAUSES).for_each(|_| std::hint::spin_loop());
    }
    looks.in_vain();
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Option<()> {
        None
    }

    #[test]
    fn it_is_looked_as_often_as_granted() {
        let mut looks = Looks::new();
        let mut count = 0;
        let mut counted = || {
            count += 1;
            nothing()
        };
        assert_eq!(look(&mut looks, &mut counted), None);
        assert_eq!(look(&mut looks, &mut counted), None);
        assert_eq!(count, 64 + 32);
    }

    #[test]
    fn what_is_found_later_is_learned_from_and_what_is_there_at_once_is_not() {
        let mut looks = Looks::new();
        look(&mut looks, nothing);
        assert_eq!(look(&mut looks, || Some(1)), Some(1));
        assert_eq!(looks.granted(), 32);
        let mut count = 0;
        let found = look(&mut looks, || {
            count += 1;
            (count == 3).then_some("it")
        });
        assert_eq!((found, count, looks.granted()), (Some("it"), 3, 64));
    }
}
