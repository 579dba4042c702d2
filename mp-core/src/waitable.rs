//! What can be waited for together with other things.

use std::os::fd::{AsFd, BorrowedFd};

/// Something that `wait()` can wait for. Whatever has a descriptor is ready when that can be read; other things, queues
/// for one, say so themselves and have a descriptor by which they wake whoever waits.
///
/// Python: an object with `fileno()`.
pub trait Waitable {
    /// Can be read when it is ready, or may be.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether it is ready; `None`: it is just when its descriptor can be read. Asked before each sleep, and at times in
    /// between.
    fn is_ready(&self) -> Option<bool> {
        None
    }

    /// What it says and its descriptor do not agree: has them agree.
    fn settle(&self) {}
}

impl<T: AsFd + ?Sized> Waitable for T {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}

/// What is only pointed at: so things of several kinds stand in one list or set.
macro_rules! waitable_by_what_it_points_at {
    ($($pointer:ty),+) => {$(
        impl Waitable for $pointer {
            fn descriptor(&self) -> BorrowedFd<'_> {
                (**self).descriptor()
            }
            fn is_ready(&self) -> Option<bool> {
                (**self).is_ready()
            }
            fn settle(&self) {
                (**self).settle();
            }
        }
    )+};
}
waitable_by_what_it_points_at!(&(dyn Waitable + '_), Box<dyn Waitable + '_>, Box<dyn Waitable + Send + '_>);
