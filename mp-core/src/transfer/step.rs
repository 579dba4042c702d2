//! What a call in another process is at: its arguments are unpacked, or its result is packed. Values that mean
//! something between a call and its caller alone (a place in their memory) ask.

use std::cell::Cell;

/// What is packed or unpacked in a step of a call goes between it and its caller, and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Other,
    Arguments,
    Result,
}

thread_local! {
    static STEP: Cell<Step> = const { Cell::new(Step::Other) };
}

/// Whether what this thread unpacks is the arguments of a task: of a call with a block, or of one of many.
#[doc(hidden)]
#[inline]
pub fn is_unpacking_arguments() -> bool {
    STEP.get() == Step::Arguments
}

/// Whether what this thread packs is the result of a task.
#[doc(hidden)]
#[inline]
pub fn is_packing_result() -> bool {
    STEP.get() == Step::Result
}

pub(super) struct InStep;

impl InStep {
    #[inline]
    pub(super) fn begin(step: Step) -> InStep {
        STEP.set(step);
        InStep
    }
}

/// Also when a `Serialize` panics.
impl Drop for InStep {
    #[inline]
    fn drop(&mut self) {
        STEP.set(Step::Other);
    }
}
