//! Typed proxies of a server's dicts, lists, namespaces and values.

use super::convert::FromPython;
use super::error::PythonError;
use super::proxy::PythonProxy;
use mp_pipe::pickle::Value;
use std::marker::PhantomData;

/// A typed proxy: the struct, the ways from and to a [`PythonProxy`], `Clone`, `Debug`.
macro_rules! typed {
    ($(#[$doc:meta])* $name:ident$(<$($type:ident),*>)?) => {
        $(#[$doc])*
        pub struct $name$(<$($type),*>)? {
            proxy: $crate::python::PythonProxy,
            $(holds: std::marker::PhantomData<fn() -> ($($type,)*)>)?
        }

        impl$(<$($type),*>)? From<$crate::python::PythonProxy> for $name$(<$($type),*>)? {
            fn from(proxy: $crate::python::PythonProxy) -> Self {
                Self { proxy, $(holds: std::marker::PhantomData::<fn() -> ($($type,)*)>)? }
            }
        }

        impl$(<$($type),*>)? $name$(<$($type),*>)? {
            /// The proxy of the object, without its types.
            pub fn proxy(&self) -> &$crate::python::PythonProxy {
                &self.proxy
            }
        }

        impl$(<$($type),*>)? Clone for $name$(<$($type),*>)? {
            fn clone(&self) -> Self {
                Self::from(self.proxy.clone())
            }
        }

        impl$(<$($type),*>)? std::fmt::Debug for $name$(<$($type),*>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.proxy)
            }
        }
    };
}

pub(super) use typed;

typed! {
    /// A dict in the server. Its values can be of any type there: one that is not a `V` is an error where it is read.
    ///
    /// Python: `DictProxy`.
    PythonDict<K, V>
}

impl<K: Into<Value> + FromPython, V: Into<Value> + FromPython> PythonDict<K, V> {
    /// The value of a key. Python: `d.get(key)`.
    pub fn get(&self, key: K) -> Result<Option<V>, PythonError> {
        match self.proxy.call("__getitem__", [key.into()]) {
            Ok(value) => Ok(Some(value)),
            Err(PythonError::Raised(raised)) if raised.name() == "KeyError" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the value of a key. Python: `d[key] = value`.
    pub fn insert(&self, key: K, value: V) -> Result<(), PythonError> {
        self.proxy.call("__setitem__", [key.into(), value.into()])
    }

    /// Removes a key and gives its value. Python: `d.pop(key)`.
    pub fn remove(&self, key: K) -> Result<Option<V>, PythonError> {
        match self.proxy.call("pop", [key.into()]) {
            Ok(value) => Ok(Some(value)),
            Err(PythonError::Raised(raised)) if raised.name() == "KeyError" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is such a key. Python: `key in d`.
    pub fn contains_key(&self, key: K) -> Result<bool, PythonError> {
        self.proxy.call("__contains__", [key.into()])
    }

    /// The items, in the order of their insertion. Python: `d.items()`.
    pub fn items(&self) -> Result<Vec<(K, V)>, PythonError> {
        self.proxy.call("items", [])
    }

    /// Goes through the keys, one call for each. Python: `iter(d)`.
    ///
    /// # Errors
    /// Of each step also: the dict has changed its size ([`PythonError::Raised`]: `RuntimeError`).
    pub fn keys(&self) -> Result<PythonKeys<K>, PythonError> {
        let iterator = self.proxy.call_for_proxy("__iter__", [])?;
        Ok(PythonKeys { iterator: Some(iterator), gives: PhantomData })
    }
}

impl<K, V> PythonDict<K, V> {
    /// How many items there are. Python: `len(d)`.
    pub fn len(&self) -> Result<usize, PythonError> {
        self.proxy.call("__len__", [])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, PythonError> {
        Ok(self.len()? == 0)
    }

    /// Removes all. Python: `d.clear()`.
    pub fn clear(&self) -> Result<(), PythonError> {
        self.proxy.call("clear", [])
    }
}

/// The keys of a dict, each by a call. Made by [`PythonDict::keys`].
pub struct PythonKeys<K> {
    iterator: Option<PythonProxy>,
    gives: PhantomData<fn() -> K>,
}

impl<K> std::fmt::Debug for PythonKeys<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PythonKeys")
    }
}

impl<K: FromPython> Iterator for PythonKeys<K> {
    type Item = Result<K, PythonError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.iterator.as_ref()?.call("__next__", []) {
            Ok(key) => Some(Ok(key)),
            Err(PythonError::Raised(raised)) if raised.name() == "StopIteration" => {
                self.iterator = None;
                None
            }
            Err(error) => {
                self.iterator = None;
                Some(Err(error))
            }
        }
    }
}

typed! {
    /// A list in the server. Its items can be of any type there: one that is not a `T` is an error where it is read.
    ///
    /// Python: `ListProxy`.
    PythonList<T>
}

impl<T: Into<Value> + FromPython> PythonList<T> {
    /// The item at an index. Python: `l[index]`.
    ///
    /// # Errors
    /// [`PythonError::Raised`]: `IndexError`.
    pub fn get(&self, index: usize) -> Result<T, PythonError> {
        self.proxy.call("__getitem__", [index.into()])
    }

    /// Sets the item at an index. Python: `l[index] = item`.
    ///
    /// # Errors
    /// [`PythonError::Raised`]: `IndexError`.
    pub fn set(&self, index: usize, item: T) -> Result<(), PythonError> {
        self.proxy.call("__setitem__", [index.into(), item.into()])
    }

    /// Appends an item. Python: `l.append(item)`.
    #[doc(alias = "append")]
    pub fn push(&self, item: T) -> Result<(), PythonError> {
        self.proxy.call("append", [item.into()])
    }

    /// Appends many items in one call. Python: `l.extend(items)`.
    pub fn extend(&self, items: impl IntoIterator<Item = T>) -> Result<(), PythonError> {
        self.proxy.call("extend", [Value::list(items.into_iter().map(Into::into))])
    }

    /// Removes the last item and gives it. Python: `l.pop()`.
    pub fn pop(&self) -> Result<Option<T>, PythonError> {
        match self.proxy.call("pop", []) {
            Ok(item) => Ok(Some(item)),
            Err(PythonError::Raised(raised)) if raised.name() == "IndexError" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A copy of all items. Python: `l[:]`.
    pub fn to_vec(&self) -> Result<Vec<T>, PythonError> {
        self.proxy.value()
    }
}

impl<T> PythonList<T> {
    /// How many items there are. Python: `len(l)`.
    pub fn len(&self) -> Result<usize, PythonError> {
        self.proxy.call("__len__", [])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> Result<bool, PythonError> {
        Ok(self.len()? == 0)
    }
}

typed! {
    /// A namespace in the server. Python: `NamespaceProxy`.
    PythonNamespace
}

impl PythonNamespace {
    /// An attribute. Python: `n.name`.
    ///
    /// # Errors
    /// [`PythonError::Raised`]: `AttributeError`.
    pub fn get<T: FromPython>(&self, name: &str) -> Result<T, PythonError> {
        self.proxy.call("__getattribute__", [name.into()])
    }

    /// Sets an attribute. Python: `n.name = value`.
    pub fn set(&self, name: &str, value: impl Into<Value>) -> Result<(), PythonError> {
        self.proxy.call("__setattr__", [name.into(), value.into()])
    }

    /// Removes an attribute. Python: `del n.name`.
    ///
    /// # Errors
    /// [`PythonError::Raised`]: `AttributeError`.
    pub fn remove(&self, name: &str) -> Result<(), PythonError> {
        self.proxy.call("__delattr__", [name.into()])
    }
}

typed! {
    /// A value in the server. Python: `ValueProxy`.
    PythonValue<T>
}

impl<T: Into<Value> + FromPython> PythonValue<T> {
    /// The value. Python: `v.value`.
    pub fn get(&self) -> Result<T, PythonError> {
        self.proxy.call("get", [])
    }

    /// Sets the value. Python: `v.value = value`.
    pub fn set(&self, value: T) -> Result<(), PythonError> {
        self.proxy.call("set", [value.into()])
    }
}
