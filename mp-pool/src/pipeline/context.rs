//! Context: the values of a pipeline, by key. What a step reads, and what the steps have written.

use std::any::{Any, type_name};
use std::fmt;
use std::sync::Arc;

/// One value of any type.
#[derive(Clone)]
pub(super) struct Item {
    value: Arc<dyn Any + Send + Sync>,
    type_name: &'static str,
}

impl Item {
    pub(super) fn new<T: Send + Sync + 'static>(value: T) -> Item {
        Item { value: Arc::new(value), type_name: type_name::<T>() }
    }

    pub(super) fn get<T: 'static>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }

    pub(super) fn type_name(&self) -> &'static str {
        self.type_name
    }
}

/// Values of any types, by key, in the order in which the keys were first written.
///
/// Each step of a [`Pipeline`](super::Pipeline) reads the context, and its value is written to it under the step's
/// keys. A clone shares the values, so it costs no copy of them. No key is reserved.
///
/// ```
/// use mp_pool::pipeline::Context;
///
/// let mut context = Context::new().with("camera", "front".to_owned());
/// context.set("frames", 3_u32);
/// assert_eq!(*context.get::<u32>("frames")?, 3);
/// assert!(context.get::<u32>("frame").unwrap_err().to_string().contains("no key \"frame\""));
/// # Ok::<(), mp_pool::pipeline::ContextError>(())
/// ```
#[derive(Clone, Default)]
pub struct Context {
    items: Vec<(String, Item)>,
}

impl Context {
    /// A context without keys.
    pub fn new() -> Context {
        Context::default()
    }

    /// Is [`set`](Context::set), for a chain of calls.
    #[must_use]
    pub fn with<T: Send + Sync + 'static>(mut self, key: impl Into<String>, value: T) -> Context {
        self.set(key, value);
        self
    }

    /// Writes a value. A key that is there already keeps its place in the order.
    pub fn set<T: Send + Sync + 'static>(&mut self, key: impl Into<String>, value: T) {
        self.put(key.into(), Item::new(value));
    }

    pub(super) fn put(&mut self, key: String, item: Item) {
        match self.items.iter_mut().find(|(other, _)| *other == key) {
            Some((_, old)) => *old = item,
            None => self.items.push((key, item)),
        }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// [`ContextError::UnknownKey`], [`ContextError::WrongType`].
    pub fn get<T: 'static>(&self, key: &str) -> Result<&T, ContextError> {
        let Some((_, item)) = self.items.iter().find(|(other, _)| other == key) else {
            return Err(ContextError::UnknownKey {
                key: key.to_owned(),
                known: self.keys().map(str::to_owned).collect(),
            });
        };
        item.get().ok_or_else(|| ContextError::WrongType {
            key: key.to_owned(),
            found: item.type_name(),
            asked: type_name::<T>(),
        })
    }

    /// Whether there is a value of this key.
    pub fn contains(&self, key: &str) -> bool {
        self.keys().any(|other| other == key)
    }

    /// The keys, in the order in which they were first written.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|(key, _)| key.as_str())
    }
}

/// The keys, and the types of their values.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.items.iter().map(|(key, item)| (key, item.type_name()))).finish()
    }
}

/// The error of reading a [`Context`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContextError {
    /// There is no such key.
    #[error("the context has no key {key:?}: it has {known:?}")]
    UnknownKey {
        /// The key that was asked for.
        key: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// The value is of another type.
    #[error("the context's {key:?} is a {found}, not a {asked}: ask for the type that was written")]
    WrongType {
        /// The key that was asked for.
        key: String,
        /// The type of its value.
        found: &'static str,
        /// The type that was asked for.
        asked: &'static str,
    },
    /// The step's own reason why it cannot take its input from the context.
    #[error("{0}")]
    Unusable(String),
}

/// The keys under which a step's value is written: one key for the whole value, or an array of keys for a tuple of two
/// to four values.
pub trait Keys<T> {
    #[doc(hidden)]
    fn names(self) -> Vec<String>;
    #[doc(hidden)]
    fn split(value: T) -> Values;
}

/// What a step has written, in the order of its keys.
#[doc(hidden)]
pub struct Values(pub(super) Vec<Item>);

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(Item::type_name)).finish()
    }
}

impl<T: Send + Sync + 'static> Keys<T> for &str {
    fn names(self) -> Vec<String> {
        vec![self.to_owned()]
    }

    fn split(value: T) -> Values {
        Values(vec![Item::new(value)])
    }
}

macro_rules! keys {
    ($count:literal: $($value:ident $at:tt),*) => {
        impl<$($value: Send + Sync + 'static),*> Keys<($($value,)*)> for [&str; $count] {
            fn names(self) -> Vec<String> {
                self.map(str::to_owned).into()
            }

            fn split(value: ($($value,)*)) -> Values {
                Values(vec![$(Item::new(value.$at)),*])
            }
        }
    };
}
keys!(2: A 0, B 1);
keys!(3: A 0, B 1, C 2);
keys!(4: A 0, B 1, C 2, D 3);
