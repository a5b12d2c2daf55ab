//! Entries of a registry: a method, its metadata, its default options, and the way to read other options.

use std::{any::TypeId, fmt, sync::Arc};

use toml::Table;

use crate::{
    Allocator, Error, Method, Role, Rule, Scorer,
    options::{self, CommonOptions},
};

/// The metadata that a method declares; see [`Method`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Metadata {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) description: &'static str,
    pub(crate) formula: &'static str,
    pub(crate) differences: &'static str,
    pub(crate) role: Role,
    pub(crate) oracle: bool,
    pub(crate) pools: bool,
}

impl Metadata {
    fn new<M: Method>() -> Metadata {
        Metadata {
            name: M::NAME,
            source: M::SOURCE,
            description: M::DESCRIPTION,
            formula: M::FORMULA,
            differences: M::DIFFERENCES,
            role: M::ROLE,
            oracle: M::ORACLE,
            pools: M::POOLS,
        }
    }
}

/// A method with its options.
#[derive(Clone, Debug)]
pub(crate) struct Configured<T: ?Sized> {
    pub(crate) metadata: Metadata,
    /// Distinguishes types that have the same name.
    pub(crate) id: TypeId,
    pub(crate) defaults: Table,
    /// Every option with its value.
    pub(crate) options: Table,
    pub(crate) method: Arc<T>,
}

impl<T: ?Sized> Configured<T> {
    /// Checks the options of a method and stores it; `share` is `Arc::new`.
    fn new<M: Method>(method: M, share: fn(M) -> Arc<T>) -> Result<Configured<T>, Error> {
        let options = options::table(M::NAME, &method)?;
        options::read::<M>(M::NAME, &options)?;
        let (metadata, id, defaults) = (Metadata::new::<M>(), TypeId::of::<M>(), options::defaults::<M>());
        Ok(Configured { metadata, id, defaults, options, method: share(method) })
    }
}

impl Configured<dyn Allocator> {
    pub(crate) fn allocator<A: Method + Allocator>(allocator: A) -> Result<Self, Error> {
        Configured::new(allocator, |allocator| Arc::new(allocator))
    }
}

impl Configured<dyn Scorer> {
    pub(crate) fn scorer<S: Method + Scorer>(scorer: S) -> Result<Self, Error> {
        Configured::new(scorer, |scorer| Arc::new(scorer))
    }
}

/// Reads a method from its own options.
type Read<T> = dyn Fn(&Table) -> Result<Configured<T>, Error> + Send + Sync;

/// An entry of a registry.
pub(crate) struct Entry<T: ?Sized> {
    pub(crate) metadata: Metadata,
    /// The options that the text of a policy may set, with their defaults.
    pub(crate) defaults: Table,
    /// The method's own options with their defaults, without those that every scorer has.
    pub(crate) own_defaults: Table,
    /// The method with its default options.
    pub(crate) default_method: Arc<T>,
    check: fn() -> Result<(), Error>,
    read: Box<Read<T>>,
}

impl<T: ?Sized + 'static> Entry<T> {
    fn new<M: Method>(defaults: Table, share: fn(M) -> Arc<T>) -> Entry<T> {
        let read = move |given: &Table| Configured::new(options::read::<M>(M::NAME, given)?, share);
        let check = || options::check_defaults::<M>(M::NAME);
        let default_method = share(M::default());
        let own_defaults = options::defaults::<M>();
        Entry {
            metadata: Metadata::new::<M>(),
            defaults,
            own_defaults,
            default_method,
            check,
            read: Box::new(read),
        }
    }

    /// Returns the method with the given options, which must all be its own.
    pub(crate) fn read(&self, given: &Table) -> Result<Configured<T>, Error> {
        (self.read)(given)
    }

    /// Returns the range of every option that takes a number; see [`options::range`].
    pub(crate) fn ranges(&self) -> Vec<(String, String)> {
        let range = |(key, default): (&String, &toml::Value)| {
            let accepts = |value: toml::Value| {
                let given = Table::from_iter([(key.clone(), value)]);
                match self.own_defaults.contains_key(key) {
                    true => self.read(&given).is_ok(),
                    false => options::read::<CommonOptions>(self.metadata.name, &given).is_ok(),
                }
            };
            Some((key.clone(), options::range(default, accepts)?))
        };
        let mut ranges: Vec<_> = self.defaults.iter().filter_map(range).collect();
        ranges.sort_unstable();
        ranges
    }

    /// Fails if the name cannot be written in a specification, or if the default options are invalid.
    pub(crate) fn check(&self) -> Result<(), Error> {
        crate::spec::check_name(self.metadata.name)?;
        (self.check)()
    }
}

impl Entry<dyn Allocator> {
    pub(crate) fn allocator<A: Method + Allocator>() -> Self {
        Entry::new::<A>(options::defaults::<A>(), |allocator| Arc::new(allocator))
    }
}

impl Entry<dyn Rule> {
    pub(crate) fn rule<R: Method + Rule>() -> Self {
        Entry::new::<R>(options::defaults::<R>(), |rule| Arc::new(rule))
    }
}

impl Entry<dyn Scorer> {
    pub(crate) fn scorer<S: Method + Scorer>() -> Self {
        Entry::new::<S>(with_common(options::defaults::<S>(), S::POOLS), |scorer| Arc::new(scorer))
    }
}

/// Adds the options that every scorer has to a scorer's own, with their defaults.
pub(crate) fn with_common(mut own: Table, pools: bool) -> Table {
    own.extend(options::defaults::<CommonOptions>());
    if !pools {
        own.remove("pool");
    }
    own
}

impl<T: ?Sized> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("metadata", &self.metadata).field("defaults", &self.defaults).finish()
    }
}
