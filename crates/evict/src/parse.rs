//! Parses policies, such as `uniform+window-attention{window=64}`, with the methods of a registry.

use std::{str::FromStr, sync::Arc};

use toml::{Table, Value};

use crate::{
    Error, Policy, PolicyKind, Registry,
    entry::Entry,
    options::{self, CommonOptions},
    spec::{self, SpecPart},
};

impl Registry {
    /// Parses a policy: `ALLOCATOR+SCORER`, or the name of a rule or of a preset. Each name may be followed
    /// by options in TOML inline form, as in `uniform+window-attention{window=64,kernel=5}`.
    ///
    /// A compressor would follow a bar, as in `ALLOCATOR+SCORER|COMPRESSOR`. No compressor exists yet.
    ///
    /// # Errors
    /// Fails if `text` is not a policy. The error lists the names or options that are valid at the faulty
    /// place.
    pub fn policy(&self, text: &str) -> Result<Policy, Error> {
        self.policy_from_parts(text, &self.parts(text)?)
    }

    /// Parses a policy and sets `seed` in each random part whose seed `text` does not set. Returns `None` if
    /// there is no such part.
    ///
    /// ```
    /// let registry = bitkv_evict::Registry::standard();
    /// let random = registry.seeded("uniform+random", 7)?.expect("a part is random");
    /// assert_eq!(random.spec(), "uniform+random{seed=7}");
    /// assert!(registry.seeded("uniform+recency", 7)?.is_none());
    /// # Ok::<(), bitkv_evict::Error>(())
    /// ```
    ///
    /// # Errors
    /// Fails as [`Registry::policy`] does.
    pub fn seeded(&self, text: &str, seed: u64) -> Result<Option<Policy>, Error> {
        let mut parts = self.parts(text)?;
        let mut random = false;
        let alone = parts.len() == 1;
        for (index, part) in parts.iter_mut().enumerate() {
            let has_seed = self.defaults(part, index, alone).is_some_and(|known| known.contains_key("seed"));
            if has_seed && !part.options.contains_key("seed") {
                let seed = i64::from_ne_bytes(seed.to_ne_bytes());
                part.options.insert("seed".into(), Value::Integer(seed));
                random = true;
            }
        }
        let policy = self.policy_from_parts(text, &parts)?;
        Ok(random.then_some(policy))
    }

    /// Splits a specification into its parts. The name of a preset is replaced by the preset's specification.
    fn parts(&self, text: &str) -> Result<Vec<SpecPart>, Error> {
        if text.trim().is_empty() {
            return Err(Error::EmptySpec { rules: names_of(&self.methods().rules) });
        }
        let parts = spec::parse(text)?;
        let [part] = &parts[..] else { return Ok(parts) };
        match self.presets().iter().find(|preset| preset.name == part.name) {
            Some(preset) if part.options.is_empty() => self.parts(preset.spec),
            Some(preset) => Err(Error::PresetOptions { preset: part.name.clone(), spec: preset.spec }),
            None => Ok(parts),
        }
    }

    fn policy_from_parts(&self, text: &str, parts: &[SpecPart]) -> Result<Policy, Error> {
        match parts {
            [part] => self.rule(text, part),
            [allocator, scorer] => self.composed(allocator, scorer),
            parts => {
                let reason = format!("it has {} parts; write ALLOCATOR+SCORER", parts.len());
                Err(Error::Spec { spec: text.into(), reason })
            }
        }
    }

    /// Returns the options of a part with their defaults, if its name is known.
    fn defaults(&self, part: &SpecPart, index: usize, alone: bool) -> Option<&Table> {
        let methods = self.methods();
        match (alone, index) {
            (true, _) => find(&methods.rules, &part.name).map(|entry| &entry.defaults),
            (false, 0) => find(&methods.allocators, &part.name).map(|entry| &entry.defaults),
            (false, _) => find(&methods.scorers, &part.name).map(|entry| &entry.defaults),
        }
    }

    fn composed(&self, allocator: &SpecPart, scorer: &SpecPart) -> Result<Policy, Error> {
        let entry = find_or_error("allocator", &self.methods().allocators, &allocator.name)?;
        options::refuse_unknown(entry.metadata.name, &allocator.options, &entry.defaults)?;
        let allocator = entry.read(&allocator.options)?;

        let entry = find_or_error("scorer", &self.methods().scorers, &scorer.name)?;
        options::refuse_unknown(entry.metadata.name, &scorer.options, &entry.defaults)?;
        let shared = options::defaults::<CommonOptions>();
        let (common, own): (Table, Table) =
            scorer.options.clone().into_iter().partition(|(key, _)| shared.contains_key(key));
        let scorer = entry.read(&own)?;
        Policy::composed(allocator, scorer, options::read(entry.metadata.name, &common)?)
    }

    fn rule(&self, text: &str, part: &SpecPart) -> Result<Policy, Error> {
        let entry =
            find(&self.methods().rules, &part.name).ok_or_else(|| self.no_policy(text, &part.name))?;
        options::refuse_unknown(entry.metadata.name, &part.options, &entry.defaults)?;
        Ok(Policy::rule(entry.read(&part.options)?))
    }

    /// Returns the error for a single name that is not a policy.
    fn no_policy(&self, text: &str, name: &str) -> Error {
        let methods = self.methods();
        let incomplete = |reason| Error::Spec { spec: text.into(), reason };
        if find(&methods.allocators, name).is_some() {
            return incomplete(format!("`{name}` is an allocator; add a scorer, as in `{name}+recency`"));
        }
        if find(&methods.scorers, name).is_some() {
            return incomplete(format!("`{name}` is a scorer; add an allocator, as in `uniform+{name}`"));
        }
        let of_suite = self.names_of_same_suite(name);
        let (nearest, known) = if of_suite.is_empty() {
            let example = match (methods.allocators.first(), methods.scorers.first()) {
                (Some(a), Some(s)) => format!("{}+{}", a.metadata.name, s.metadata.name),
                _ => "uniform+recency".to_owned(),
            };
            let whole = self.whole_policies();
            let or = if whole.is_empty() { "" } else { "or " };
            let known = format!("{whole}{or}ALLOCATOR+SCORER such as `{example}`");
            (bitkv_spelling::nearest(name, self.all_names()), known)
        } else {
            // The name of the suite is not compared, because it makes all names of the suite look alike.
            let nearest =
                bitkv_spelling::nearest(name_in_suite(name), of_suite.iter().map(|rule| name_in_suite(rule)));
            let nearest = of_suite.iter().copied().find(|rule| Some(name_in_suite(rule)) == nearest);
            (nearest, of_suite.join(", "))
        };
        Error::Unknown { kind: "policy", name: name.into(), nearest, known }
    }

    /// Returns the names of the rules of the suite that `name` begins with, as in `SUITE:RULE`; empty if
    /// there is no such suite.
    fn names_of_same_suite(&self, name: &str) -> Vec<&'static str> {
        let Some((suite, _)) = name.split_once(':') else { return Vec::new() };
        let rules = self.methods().rules.iter().map(|entry| entry.metadata.name);
        let suite_of = |rule: &'static str| match PolicyKind::for_rule(rule) {
            PolicyKind::Suite(suite) => Some(suite),
            _ => None,
        };
        rules.filter(|rule| suite_of(rule) == Some(suite)).collect()
    }

    /// Lists the rules of this suite and the presets by name and one example of each other suite, each
    /// followed by a comma.
    fn whole_policies(&self) -> String {
        let (mut whole, mut suites) = (String::new(), Vec::new());
        for name in self.methods().rules.iter().map(|entry| entry.metadata.name) {
            match PolicyKind::for_rule(name) {
                PolicyKind::Suite(suite) if suites.contains(&suite) => {}
                PolicyKind::Suite(suite) => {
                    suites.push(suite);
                    whole += &format!("one of {suite} such as `{name}`, ");
                }
                _ => whole += &format!("{name}, "),
            }
        }
        for preset in self.presets() {
            whole += &format!("{}, ", preset.name);
        }
        whole
    }

    /// Returns every name in the registry, the names of complete policies first.
    fn all_names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let methods = self.methods();
        let rules = methods.rules.iter().map(|entry| entry.metadata.name);
        let presets = methods.presets.iter().map(|preset| preset.name);
        let allocators = methods.allocators.iter().map(|entry| entry.metadata.name);
        let scorers = methods.scorers.iter().map(|entry| entry.metadata.name);
        rules.chain(presets).chain(allocators).chain(scorers)
    }
}

impl Policy {
    /// Parses a policy with the [standard registry](Registry::standard); see [`Registry::policy`].
    ///
    /// # Errors
    /// Fails as [`Registry::policy`] does.
    pub fn parse(text: &str) -> Result<Policy, Error> {
        Registry::standard().policy(text)
    }

    /// Parses a policy with the [standard registry](Registry::standard) and sets its seed; see
    /// [`Registry::seeded`].
    ///
    /// # Errors
    /// Fails as [`Registry::policy`] does.
    pub fn seeded(text: &str, seed: u64) -> Result<Option<Policy>, Error> {
        Registry::standard().seeded(text, seed)
    }
}

impl FromStr for Policy {
    type Err = Error;
    fn from_str(text: &str) -> Result<Policy, Error> {
        Policy::parse(text)
    }
}

/// Returns the name of a rule without the name of its suite, `RULE` of `SUITE:RULE`.
fn name_in_suite(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, rule)| rule)
}

fn find<'r, T: ?Sized>(entries: &'r [Arc<Entry<T>>], name: &str) -> Option<&'r Entry<T>> {
    entries.iter().find(|entry| entry.metadata.name == name).map(|entry| &**entry)
}

fn find_or_error<'r, T: ?Sized>(
    kind: &'static str,
    entries: &'r [Arc<Entry<T>>],
    name: &str,
) -> Result<&'r Entry<T>, Error> {
    find(entries, name).ok_or_else(|| {
        let nearest = bitkv_spelling::nearest(name, entries.iter().map(|entry| entry.metadata.name));
        Error::Unknown { kind, name: name.into(), nearest, known: names_of(entries) }
    })
}

fn names_of<T: ?Sized>(entries: &[Arc<Entry<T>>]) -> String {
    entries.iter().map(|entry| entry.metadata.name).collect::<Vec<_>>().join(", ")
}
