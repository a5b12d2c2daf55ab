//! Registries: the methods and presets that the text of a policy can name.

use std::sync::{Arc, LazyLock};

use crate::{
    Allocator, Error, Listing, Method, Need, Needs, PolicyKind, Preset, Rule, Scorer, allocators,
    entry::{Entry, Metadata},
    options::{self, CommonOptions},
    presets, rules, scorers,
};

/// The methods and presets that the text of a policy can name. A registry is a value that is cheap to clone:
/// make it once and share it.
///
/// ```
/// use bitkv_evict::{Head, Registry, Scorer, method};
///
/// method! {
///     /// Keeps the earliest tokens.
///     pub struct First {}
///     "first" from "this example", "Keeps the earliest tokens."
/// }
///
/// impl Scorer for First {
///     fn incomparable(&self) -> Option<&'static str> {
///         Some("the start of the text is the same in every head")
///     }
///
///     fn score(&self, head: &Head<'_>, out: &mut [f32]) {
///         out.iter_mut().zip(head.positions().iter()).for_each(|(score, &p)| *score = -(p as f32));
///     }
/// }
///
/// let registry = Registry::standard().with_scorer::<First>()?;
/// assert_eq!(registry.policy("pyramid + first{recent=0}")?.spec(), "pyramid+first{recent=0}");
/// assert!(registry.listings().iter().any(|listing| listing.name == "first"));
/// assert!(registry.clone().with_scorer::<First>().is_err());
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Registry(Arc<Methods>);

/// The contents of a registry, in the order of reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Methods {
    pub(crate) allocators: Vec<Arc<Entry<dyn Allocator>>>,
    pub(crate) scorers: Vec<Arc<Entry<dyn Scorer>>>,
    pub(crate) rules: Vec<Arc<Entry<dyn Rule>>>,
    pub(crate) presets: Vec<Preset>,
}

impl Methods {
    /// Returns the kind of the method with this name, or `None` if there is no such method.
    fn kind_of(&self, name: &str) -> Option<&'static str> {
        fn contains<T: ?Sized>(entries: &[Arc<Entry<T>>], name: &str) -> bool {
            entries.iter().any(|entry| entry.metadata.name == name)
        }
        let kinds = [
            ("allocator", contains(&self.allocators, name)),
            ("scorer", contains(&self.scorers, name)),
            ("rule", contains(&self.rules, name)),
        ];
        kinds.into_iter().find(|(_, contains)| *contains).map(|(kind, _)| kind)
    }
}

static STANDARD: LazyLock<Registry> = LazyLock::new(|| {
    Registry(Arc::new(Methods {
        allocators: shared(allocators::all()),
        scorers: shared(scorers::all()),
        rules: shared(rules::all()),
        presets: presets::ALL.to_vec(),
    }))
});

impl Registry {
    /// Returns an empty registry.
    pub fn empty() -> Registry {
        Registry::default()
    }

    /// Returns a registry with the allocators, scorers, rules and presets of this crate.
    pub fn standard() -> Registry {
        STANDARD.clone()
    }

    /// Adds an allocator.
    ///
    /// # Errors
    /// Fails if there already is a method with this name, if the name cannot be written in a specification,
    /// or if the default options are invalid.
    pub fn with_allocator<A: Method + Allocator>(mut self) -> Result<Registry, Error> {
        let entry = Entry::allocator::<A>();
        self.admit(&entry)?;
        self.methods_mut().allocators.push(Arc::new(entry));
        Ok(self)
    }

    /// Adds a scorer.
    ///
    /// # Errors
    /// Fails as [`Registry::with_allocator`] does, and if an option of the scorer has the name of an option
    /// that every scorer has.
    pub fn with_scorer<S: Method + Scorer>(mut self) -> Result<Registry, Error> {
        let entry = Entry::scorer::<S>();
        self.admit(&entry)?;
        let (own, shared) = (options::defaults::<S>(), options::defaults::<CommonOptions>());
        if let Some(option) = own.keys().find(|key| shared.contains_key(*key)) {
            return Err(Error::Reserved { scorer: S::NAME, option: option.clone() });
        }
        self.methods_mut().scorers.push(Arc::new(entry));
        Ok(self)
    }

    /// Adds a rule. The name of a rule of another suite is the name of the suite, a colon and the rule's own
    /// name.
    ///
    /// # Errors
    /// Fails as [`Registry::with_allocator`] does, and if there already is a preset with this name.
    pub fn with_rule<R: Method + Rule>(mut self) -> Result<Registry, Error> {
        let entry = Entry::rule::<R>();
        self.admit(&entry)?;
        self.refuse_preset(R::NAME)?;
        self.methods_mut().rules.push(Arc::new(entry));
        Ok(self)
    }

    /// Adds a preset for a policy made of the registry's methods. A preset may have the name of an allocator
    /// or a scorer: on its own, the name means the preset.
    ///
    /// # Errors
    /// Fails if there already is a rule or a preset with this name, if the name cannot be written in a
    /// specification, or if the specification of the preset is not a policy.
    pub fn with_preset(mut self, preset: Preset) -> Result<Registry, Error> {
        crate::spec::check_name(preset.name)?;
        self.refuse_preset(preset.name)?;
        if self.0.rules.iter().any(|entry| entry.metadata.name == preset.name) {
            return Err(Error::Duplicate { kind: "rule", name: preset.name });
        }
        self.policy(preset.spec)?;
        self.methods_mut().presets.push(preset);
        Ok(self)
    }

    /// Returns the description of every allocator, scorer and rule, in the order of reports.
    pub fn listings(&self) -> Vec<Listing> {
        let methods = &*self.0;
        let allocators = methods.allocators.iter().map(|entry| {
            let mut listing = listing(PolicyKind::Allocator, entry, true, entry.default_method.needs());
            listing.reads.extend(entry.default_method.compares().then(|| "scores".to_owned()));
            listing
        });
        let scorers = methods
            .scorers
            .iter()
            .map(|entry| listing(PolicyKind::Scorer, entry, true, entry.default_method.needs()));
        let rules = methods.rules.iter().map(|entry| {
            let (kind, rule) = (PolicyKind::for_rule(entry.metadata.name), &entry.default_method);
            listing(kind, entry, rule.conserves(), rule.needs())
        });
        allocators.chain(scorers).chain(rules).collect()
    }

    /// Returns the range of every option of a method that takes a number, sorted by name, such as `window`
    /// and `1 to 67108864`. The ranges are found by trying, so this takes longer than a list.
    pub fn option_ranges(&self, listing: &Listing) -> Vec<(String, String)> {
        fn ranges<T: ?Sized + 'static>(entries: &[Arc<Entry<T>>], name: &str) -> Vec<(String, String)> {
            let entry = entries.iter().find(|entry| entry.metadata.name == name);
            entry.map_or_else(Vec::new, |entry| entry.ranges())
        }
        let methods = &*self.0;
        match listing.kind {
            PolicyKind::Allocator => ranges(&methods.allocators, listing.name),
            PolicyKind::Scorer => ranges(&methods.scorers, listing.name),
            PolicyKind::Rule | PolicyKind::Suite(_) => ranges(&methods.rules, listing.name),
        }
    }

    /// Returns every preset, in the order of lists.
    pub fn presets(&self) -> &[Preset] {
        &self.0.presets
    }

    pub(crate) fn methods(&self) -> &Methods {
        &self.0
    }

    fn methods_mut(&mut self) -> &mut Methods {
        Arc::make_mut(&mut self.0)
    }

    /// Fails if the name of a method is already taken or cannot be written in a specification, or if its
    /// default options are invalid.
    fn admit<T: ?Sized + 'static>(&self, entry: &Entry<T>) -> Result<(), Error> {
        entry.check()?;
        let name = entry.metadata.name;
        match self.0.kind_of(name) {
            Some(kind) => Err(Error::Duplicate { kind, name }),
            None => Ok(()),
        }
    }

    fn refuse_preset(&self, name: &'static str) -> Result<(), Error> {
        match self.0.presets.iter().any(|preset| preset.name == name) {
            true => Err(Error::Duplicate { kind: "preset", name }),
            false => Ok(()),
        }
    }
}

fn shared<T: ?Sized>(entries: Vec<Entry<T>>) -> Vec<Arc<Entry<T>>> {
    entries.into_iter().map(Arc::new).collect()
}

fn listing<T: ?Sized>(kind: PolicyKind, entry: &Entry<T>, conserving: bool, needs: Needs) -> Listing {
    let Metadata { name, source, description, formula, differences, oracle, role, .. } = entry.metadata;
    let options = entry.defaults.iter().map(|(key, value)| (key.clone(), value.to_string()));
    let mut options: Vec<_> = options.collect();
    options.sort_unstable();
    let reads = needs.iter().map(Need::name).collect();
    Listing {
        kind,
        name,
        source,
        description,
        formula,
        differences,
        reads,
        oracle,
        role,
        conserving,
        options,
    }
}
