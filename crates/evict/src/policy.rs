use std::{fmt, str::FromStr, sync::Arc};

use toml::Table;

use crate::{
    Allocator, Budget, Entry, Error, Guard, Needs, Observation, Plan, Planner, Pooling, Scorer, allocators,
    kvpress,
    options::{self, Common, Options},
    presets,
    registry::{Role, find, names, nearest},
    rules::{self, Rule},
    scorers,
    spec::{self, Part, Written},
};

mod choose;

/// A way to compress a cache to a budget.
#[derive(Clone, Debug)]
pub struct Policy {
    spec: String,
    explicit: String,
    oracle: bool,
    role: Role,
    method: Method,
}

#[derive(Clone, Debug)]
enum Method {
    Composed {
        allocator: Arc<dyn Allocator>,
        scorer: Arc<dyn Scorer>,
        /// The scorer with every option written out.
        scorer_spec: String,
        common: Common,
    },
    Rule(Arc<dyn Rule>),
}

impl Policy {
    /// Reads `ALLOCATOR+SCORER`, each with options in TOML inline form if need be, such as
    /// `uniform+window-attention{window=64,kernel=5}`, or the name of a rule or of one of the
    /// [presets](crate::PRESETS).
    pub fn parse(text: &str) -> Result<Policy, Error> {
        if text.trim().is_empty() {
            return Err(Error::EmptySpec { rules: names(rules::ALL) });
        }
        match &spec::parse(text)?[..] {
            [part] => match presets::expand(&part.name) {
                Some(spec) if part.options.is_empty() => Policy::parse(spec),
                Some(spec) => Err(Error::PresetOptions { preset: part.name.clone(), spec }),
                None => Policy::rule(text, part),
            },
            [allocator, scorer] => Policy::composed(allocator, scorer),
            parts => {
                let reason = format!("it has {} parts; write ALLOCATOR+SCORER", parts.len());
                Err(Error::Spec { spec: text.into(), reason })
            }
        }
    }

    /// The policy with `seed` wherever it is random and `text` names no seed; none where nothing of it is.
    ///
    /// # Errors
    /// As [`Policy::parse`].
    pub fn seeded(text: &str, seed: u64) -> Result<Option<Policy>, Error> {
        Policy::parse(text)?;
        let mut parts = spec::parse(text)?;
        let [allocator, scorer] = &mut parts[..] else { return Ok(None) };
        let allots = find(allocators::ALL, &allocator.name).map(|entry| (entry.defaults)());
        let ranks = find(scorers::ALL, &scorer.name).map(|entry| (entry.defaults)());
        let mut random = false;
        for (part, defaults) in [(allocator, allots), (scorer, ranks)] {
            let has_seed = defaults.is_some_and(|defaults| defaults.contains_key("seed"));
            if has_seed && !part.options.contains_key("seed") {
                part.options
                    .insert("seed".into(), toml::Value::Integer(i64::from_ne_bytes(seed.to_ne_bytes())));
                random = true;
            }
        }
        let text: Vec<String> = parts.iter().map(|part| spec::write(&part.name, &part.options)).collect();
        random.then(|| Policy::parse(&text.join("+"))).transpose()
    }

    fn composed(allocator: &Part, scorer: &Part) -> Result<Policy, Error> {
        let entry = known("allocator", allocators::ALL, &allocator.name)?;
        options::refuse_unknown(entry.name, &allocator.options, &(entry.defaults)())?;
        let built = (entry.build)(&allocator.options)?;
        let divide = Written::of(entry.name, &(entry.defaults)(), &(entry.complete)(&allocator.options)?);

        let ranker = known("scorer", scorers::ALL, &scorer.name)?;
        let defaults = scorers::defaults(ranker);
        options::refuse_unknown(ranker.name, &scorer.options, &defaults)?;
        let shared = Common::defaults();
        let (common, own): (Table, Table) =
            scorer.options.clone().into_iter().partition(|(key, _)| shared.contains_key(key));
        let mut all = (ranker.complete)(&own)?;
        all.extend(options::complete::<Common>(ranker.name, &common)?);
        all.retain(|key, _| defaults.contains_key(key));
        let rank = Written::of(ranker.name, &defaults, &all);
        let scorer = (ranker.build)(&own)?;
        let common: Common = options::read(ranker.name, &common)?;
        if let Some(reason) = scorer.unpooled().filter(|_| common.pool != Pooling::default()) {
            let value = all["pool"].to_string();
            return Err(Error::Option { method: ranker.name, option: "pool".into(), value, reason });
        }
        if let Some(reason) = scorer.incomparable().filter(|_| built.compares()) {
            let reason = format!("`{}` lets heads compete by score, and {reason}", entry.name);
            return Err(Error::Meaningless { allocator: entry.name, scorer: ranker.name, reason });
        }

        Ok(Policy {
            spec: format!("{}+{}", divide.short, rank.short),
            explicit: format!("{}+{}", divide.full, rank.full),
            oracle: entry.oracle || ranker.oracle,
            role: together(entry.role, ranker.role),
            method: Method::Composed { allocator: built, scorer, scorer_spec: rank.full, common },
        })
    }

    fn rule(text: &str, part: &Part) -> Result<Policy, Error> {
        let half = |reason| Err(Error::Spec { spec: text.into(), reason });
        let name = &part.name;
        let Some(entry) = find(rules::ALL, name).or_else(|| find(kvpress::ALL, name)) else {
            if find(allocators::ALL, name).is_some() {
                return half(format!(
                    "`{name}` is an allocator; join it to a scorer, as in `{name}+recency`"
                ));
            }
            if find(scorers::ALL, name).is_some() {
                return half(format!(
                    "`{name}` is a scorer; join an allocator to it, as in `uniform+{name}`"
                ));
            }
            let (rules, allocators, scorers) =
                (names(rules::ALL), names(allocators::ALL), names(scorers::ALL));
            let known = format!(
                "{rules}, a press of kvpress such as `kvpress:snapkv`, or ALLOCATOR+SCORER with an allocator of {allocators} and a scorer of {scorers}"
            );
            let rules = rules::ALL.iter().chain(kvpress::ALL).map(|e| e.name);
            let all = rules.chain(presets::PRESETS.iter().map(|p| p.name));
            let nearest = nearest(name, all);
            return Err(Error::Unknown { kind: "policy", name: name.clone(), nearest, known });
        };
        options::refuse_unknown(entry.name, &part.options, &(entry.defaults)())?;
        let written = Written::of(entry.name, &(entry.defaults)(), &(entry.complete)(&part.options)?);
        let method = Method::Rule((entry.build)(&part.options)?);
        let (oracle, role) = (entry.oracle, entry.role);
        Ok(Policy { spec: written.short, explicit: written.full, oracle, role, method })
    }

    /// The shortest text that [`Policy::parse`] reads as this policy; equal for equal policies.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// As [`Policy::spec`] with every option spelt out, so that a record of it outlives a
    /// change of defaults.
    pub fn explicit_spec(&self) -> &str {
        &self.explicit
    }

    /// What a run must observe before it can call [`Policy::plan`].
    pub fn needs(&self) -> Needs {
        match &self.method {
            Method::Composed { allocator, scorer, .. } => allocator.needs().union(scorer.needs()),
            Method::Rule(rule) => rule.needs(),
        }
    }

    /// Whether it reads what a deployed cache could not have known, or chooses by it.
    pub fn is_oracle(&self) -> bool {
        self.oracle
    }

    /// Its role in a comparison.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The tokens that it keeps whatever their score; none for a rule, which has no such option.
    pub fn guard(&self) -> Option<Guard> {
        match &self.method {
            Method::Composed { common, .. } => Some(common.guard),
            Method::Rule(_) => None,
        }
    }

    /// Whether its plans keep exactly as many tokens as the budget asks for.
    pub fn conserves(&self) -> bool {
        match &self.method {
            Method::Composed { .. } => true,
            Method::Rule(rule) => rule.conserves(),
        }
    }

    /// Chooses the tokens to keep. The same arguments always give the same plan.
    ///
    /// Fails when something it needs was not observed, has the wrong extent, or is not finite, or
    /// when a rule cannot plan this cache.
    pub fn plan(&self, seen: &Observation<'_>, budget: Budget) -> Result<Plan, Error> {
        Planner::new(seen).plan(self, budget)
    }

    /// The positions that a policy of kvpress keeps or drops by less than `tolerance`, relative to
    /// the lowest score kept: those that another order of summation may decide otherwise, and that
    /// an implementation of the same method may therefore differ in. `[layers * kv_heads]` lists,
    /// ascending; empty ones for policies that are not kvpress'.
    ///
    /// # Errors
    /// As [`Policy::plan`].
    pub fn undecided(
        &self,
        seen: &Observation<'_>,
        budget: Budget,
        tolerance: f32,
    ) -> Result<Vec<Vec<u32>>, Error> {
        let Method::Rule(rule) = &self.method else { return Ok(vec![vec![]; seen.shape.all_kv_heads()]) };
        self.plan(seen, budget)?;
        let impossible = |reason| Error::Impossible { policy: self.spec.clone(), reason };
        rule.undecided(seen, budget, tolerance).map_err(impossible)
    }

    /// What its scores depend on; none for a rule.
    pub(crate) fn scorer(&self) -> Option<&str> {
        match &self.method {
            Method::Composed { scorer_spec, .. } => Some(scorer_spec),
            Method::Rule(_) => None,
        }
    }
}

/// The role of an allocator with a scorer: a policy that looks ahead is an oracle whatever divides its budget.
fn together(allocator: Role, scorer: Role) -> Role {
    match (allocator, scorer) {
        (Role::Oracle, _) | (_, Role::Oracle) => Role::Oracle,
        (Role::Control, _) | (_, Role::Control) => Role::Control,
        _ => Role::Method,
    }
}

fn known<'r, T: ?Sized>(kind: &'static str, all: &'r [Entry<T>], name: &str) -> Result<&'r Entry<T>, Error> {
    find(all, name).ok_or_else(|| {
        let nearest = nearest(name, all.iter().map(|entry| entry.name));
        Error::Unknown { kind, name: name.into(), nearest, known: names(all) }
    })
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.spec)
    }
}

impl FromStr for Policy {
    type Err = Error;
    fn from_str(text: &str) -> Result<Policy, Error> {
        Policy::parse(text)
    }
}
