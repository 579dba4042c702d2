//! The code of a function, packed: what each chunk begins with. A thread keeps what it has packed last, since most
//! calls are of the same function as the one before.

use crate::record::code_to_bytes;
use mp_core::CodecError;
use mp_core::transfer::{Code, CodeKey, StateType, Target};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::sync::Arc;

type Last = RefCell<Option<(CodeKey, Arc<[u8]>)>>;

thread_local! {
    static LAST: Last = const { RefCell::new(None) };
}

/// The packed code of a function, for workers with a state of this type.
///
/// # Errors
/// The function cannot be called there.
pub(crate) fn packed<F, A>(function: &F, state: Option<StateType>) -> Result<Arc<[u8]>, CodecError>
where
    F: Target<A>,
    F::Output: Serialize + DeserializeOwned,
    A: DeserializeOwned,
{
    let key = CodeKey::of::<F, A>(state)?;
    if let Some(code) = last(key) {
        return Ok(code);
    }
    let code: Arc<[u8]> = code_to_bytes(&Code::with_state::<F, A>(function, state)?)?.into();
    let kept = (key, Arc::clone(&code));
    // The slot is gone while the thread's locals are being torn down.
    let _ = LAST.try_with(|last| last.replace(Some(kept)));
    Ok(code)
}

fn last(key: CodeKey) -> Option<Arc<[u8]>> {
    let of = |last: &Last| {
        last.borrow().as_ref().filter(|(other, _)| *other == key).map(|(_, code)| Arc::clone(code))
    };
    LAST.try_with(of).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as the code says that is packed anew, whichever was asked for before.
    #[test]
    fn each_function_has_its_own_code() {
        fn fresh<F: Target<(u32,), Output = u32>>(function: &F) -> Vec<u8> {
            code_to_bytes(&Code::of::<F, (u32,)>(function).unwrap()).unwrap()
        }
        // One name, and two addresses.
        let (one, two) = (|x: u32| x + 1, |x: u32| x + 2);
        for _ in 0..2 {
            assert_eq!(*packed::<_, (u32,)>(&one, None).unwrap(), fresh(&one));
            assert_eq!(*packed::<_, (u32,)>(&one, None).unwrap(), fresh(&one));
            assert_eq!(*packed::<_, (u32,)>(&two, None).unwrap(), fresh(&two));
        }
        assert_ne!(fresh(&one), fresh(&two));
    }

    #[test]
    fn a_state_is_asked_for_each_time() {
        let task = mp_core::transfer::with_state(|by: &mut u32, x: u32| *by + x);
        assert!(packed::<_, (u32,)>(&task, Some(StateType::of::<u32>())).is_ok());
        assert!(packed::<_, (u32,)>(&task, None).is_err());
    }
}
