use std::sync::Arc;

use toml::Table;

use crate::{
    Error, allocators, kvpress, options,
    rules::{self, Rule},
    scorers,
};

/// The role of a policy in a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// The full cache: nothing is evicted.
    Full,
    /// A rule of the published claims, as it was published.
    Published,
    /// A method that could be deployed.
    Method,
    /// A policy that ignores or reverses what methods use: what they must beat.
    Control,
    /// A reference that sees what no deployed cache can.
    Oracle,
}

impl Role {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Full => "full",
            Role::Published => "published",
            Role::Method => "method",
            Role::Control => "control",
            Role::Oracle => "oracle",
        }
    }
}

/// One line of a registry: a method, where it comes from, and the way to build it.
#[derive(Debug)]
pub struct Entry<T: ?Sized> {
    /// The name that a policy selects it by.
    pub name: &'static str,
    /// Where the method comes from.
    pub source: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// Whether it reads what a deployed cache could not have known, or chooses by it.
    pub oracle: bool,
    /// The role that it gives to a policy.
    pub role: Role,
    pub(crate) pools: bool,
    pub(crate) defaults: fn() -> Table,
    /// Every option, as given or by default.
    pub(crate) complete: fn(&Table) -> Result<Table, Error>,
    pub(crate) build: fn(&Table) -> Result<Arc<T>, Error>,
}

/// What a registry line needs to know about a method besides its options.
pub(crate) trait Method: options::Options + 'static {
    const NAME: &'static str;
    const SOURCE: &'static str;
    const DESCRIPTION: &'static str;
    const ROLE: Role = Role::Method;
    const ORACLE: bool = matches!(Self::ROLE, Role::Oracle);
    /// Whether a scorer pools its group as the option `pool` says; if not it has no such option.
    const POOLS: bool = true;

    /// The method with these options, whose keys are known to be its own.
    fn read(given: &Table) -> Result<Arc<Self>, Error> {
        options::read(Self::NAME, given).map(Arc::new)
    }
}

impl<T: ?Sized> Entry<T> {
    /// The entry of method `M`, built by `build`.
    pub(crate) const fn of<M: Method>(build: fn(&Table) -> Result<Arc<T>, Error>) -> Entry<T> {
        let (name, source, description, oracle, role) =
            (M::NAME, M::SOURCE, M::DESCRIPTION, M::ORACLE, M::ROLE);
        let complete = |given: &Table| options::complete::<M>(M::NAME, given);
        let (pools, defaults) = (M::POOLS, M::defaults as fn() -> Table);
        Entry { name, source, description, oracle, role, pools, defaults, complete, build }
    }
}

/// The entry of that name, if the registry lists it.
pub(crate) fn find<'r, T: ?Sized>(registry: &'r [Entry<T>], name: &str) -> Option<&'r Entry<T>> {
    registry.iter().find(|entry| entry.name == name)
}

/// The names of a registry, for messages.
pub(crate) fn names<T: ?Sized>(registry: &[Entry<T>]) -> String {
    registry.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

/// The name of a registry that is nearest to what was written, if any is near.
pub(crate) fn nearest(written: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(written, name);
    names.min_by_key(distance).filter(|name| distance(name) <= written.len() / 3)
}

/// The part that a method plays in a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Divides the budget among KV heads.
    Allocator,
    /// Ranks the tokens inside one head.
    Scorer,
    /// Is a whole policy by itself.
    Rule,
    /// Is a whole policy by itself: one of kvpress, as its code has it.
    Kvpress,
}

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Allocator => "allocator",
            Kind::Scorer => "scorer",
            Kind::Rule => "rule",
            Kind::Kvpress => "kvpress",
        }
    }
}

/// A method as lists and documentation show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// The part it plays.
    pub kind: Kind,
    /// The name that a policy selects it by.
    pub name: &'static str,
    /// Where the method comes from.
    pub source: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// Whether it reads what a deployed cache could not have known, or chooses by it.
    pub oracle: bool,
    /// The role that it gives to a policy.
    pub role: Role,
    /// Whether policies made of it keep exactly as many tokens as the budget asks for.
    pub conserving: bool,
    /// Its options and their defaults in TOML, sorted by name.
    pub options: Vec<(String, String)>,
}

/// Every allocator, scorer, rule and press of kvpress, in the order reports list them.
pub fn registry() -> Vec<Listing> {
    let allocators = allocators::ALL.iter().map(|e| listing(Kind::Allocator, e, true, (e.defaults)()));
    let scorers = scorers::ALL.iter().map(|e| listing(Kind::Scorer, e, true, scorers::defaults(e)));
    let whole = |kind| {
        move |entry: &Entry<dyn Rule>| {
            let conserves = (entry.build)(&Table::new()).is_ok_and(|rule| rule.conserves());
            listing(kind, entry, conserves, (entry.defaults)())
        }
    };
    let rules = rules::ALL.iter().map(whole(Kind::Rule));
    let presses = kvpress::ALL.iter().map(whole(Kind::Kvpress));
    allocators.chain(scorers).chain(rules).chain(presses).collect()
}

fn listing<T: ?Sized>(kind: Kind, entry: &Entry<T>, conserving: bool, defaults: Table) -> Listing {
    let Entry { name, source, description, oracle, role, .. } = *entry;
    let mut options: Vec<_> = defaults.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
    options.sort_unstable();
    Listing { kind, name, source, description, oracle, role, conserving, options }
}
