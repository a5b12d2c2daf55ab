//! Entries of a registry: a method, its metadata, its default options, and the way to read other options.

use std::{any::TypeId, fmt, sync::Arc};

use toml::Table;

use crate::{
    Allocator, Error, Method, Role, Rule, Scorer,
    options::{self, Common},
};

/// The metadata that a method declares; see [`Method`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) description: &'static str,
    pub(crate) formula: &'static str,
    pub(crate) differences: &'static str,
    pub(crate) role: Role,
    pub(crate) oracle: bool,
    pub(crate) pools: bool,
}

impl About {
    fn new<M: Method>() -> About {
        About {
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
pub(crate) struct Made<T: ?Sized> {
    pub(crate) about: About,
    /// Tells types of one name apart.
    pub(crate) id: TypeId,
    pub(crate) defaults: Table,
    /// Every option with its value.
    pub(crate) options: Table,
    pub(crate) method: Arc<T>,
}

impl<T: ?Sized> Made<T> {
    /// Of a method, whose options are checked; `share` is `Arc::new`.
    fn new<M: Method>(method: M, share: fn(M) -> Arc<T>) -> Result<Made<T>, Error> {
        let options = options::table(M::NAME, &method)?;
        options::read::<M>(M::NAME, &options)?;
        let (about, id, defaults) = (About::new::<M>(), TypeId::of::<M>(), options::defaults::<M>());
        Ok(Made { about, id, defaults, options, method: share(method) })
    }
}

impl Made<dyn Allocator> {
    pub(crate) fn allocator<A: Method + Allocator>(allocator: A) -> Result<Self, Error> {
        Made::new(allocator, |allocator| Arc::new(allocator))
    }
}

impl Made<dyn Scorer> {
    pub(crate) fn scorer<S: Method + Scorer>(scorer: S) -> Result<Self, Error> {
        Made::new(scorer, |scorer| Arc::new(scorer))
    }
}

/// Makes a method of its own options.
type Read<T> = dyn Fn(&Table) -> Result<Made<T>, Error> + Send + Sync;

/// An entry of a registry.
pub(crate) struct Entry<T: ?Sized> {
    pub(crate) about: About,
    /// The options that a policy's text may give, with their defaults.
    pub(crate) defaults: Table,
    /// Those of the method alone.
    pub(crate) own: Table,
    /// The method with its default options.
    pub(crate) usual: Arc<T>,
    check: fn() -> Result<(), Error>,
    read: Box<Read<T>>,
}

impl<T: ?Sized + 'static> Entry<T> {
    fn new<M: Method>(defaults: Table, share: fn(M) -> Arc<T>) -> Entry<T> {
        let read = move |given: &Table| Made::new(options::read::<M>(M::NAME, given)?, share);
        let check = || options::check_defaults::<M>(M::NAME);
        let usual = share(M::default());
        let own = options::defaults::<M>();
        Entry { about: About::new::<M>(), defaults, own, usual, check, read: Box::new(read) }
    }

    /// The method with these options, which are all its own.
    pub(crate) fn read(&self, given: &Table) -> Result<Made<T>, Error> {
        (self.read)(given)
    }

    /// Fails if the name cannot be written in a specification, or if the default options are invalid.
    pub(crate) fn check(&self) -> Result<(), Error> {
        crate::spec::check_name(self.about.name)?;
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
    own.extend(options::defaults::<Common>());
    if !pools {
        own.remove("pool");
    }
    own
}

impl<T: ?Sized> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("about", &self.about).field("defaults", &self.defaults).finish()
    }
}
