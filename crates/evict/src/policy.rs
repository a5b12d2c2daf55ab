use std::{fmt, str::FromStr, sync::Arc};

use toml::Table;

use crate::{
    Allocator, Budget, Division, Entry, Error, Head, Needs, Observation, Plan, Scorer, allocators,
    options::{self, Common, Options},
    registry::{find, names},
    rules::{self, Rule},
    scorers, select,
    spec::{self, Part},
};

/// A way to compress a cache to a budget.
#[derive(Clone, Debug)]
pub struct Policy {
    spec: String,
    explicit: String,
    oracle: bool,
    method: Method,
}

#[derive(Clone, Debug)]
enum Method {
    Composed { allocator: Arc<dyn Allocator>, scorer: Arc<dyn Scorer>, common: Common },
    Rule(Arc<dyn Rule>),
}

impl Policy {
    /// Reads `ALLOCATOR+SCORER`, each with options in TOML inline form if need be, such as
    /// `uniform+window-attention{window=64,kernel=5}`, or the name of a rule.
    pub fn parse(text: &str) -> Result<Policy, Error> {
        if text.trim().is_empty() {
            return Err(Error::EmptySpec { rules: names(rules::ALL) });
        }
        match &spec::parse(text)?[..] {
            [rule] => Policy::rule(text, rule),
            [allocator, scorer] => Policy::composed(allocator, scorer),
            parts => {
                let reason = format!("it has {} parts; write ALLOCATOR+SCORER", parts.len());
                Err(Error::Spec { spec: text.into(), reason })
            }
        }
    }

    fn composed(allocator: &Part, scorer: &Part) -> Result<Policy, Error> {
        let entry = known("allocator", allocators::ALL, &allocator.name)?;
        options::refuse_unknown(entry.name, &allocator.options, &(entry.defaults)())?;
        let built = (entry.build)(&allocator.options)?;
        let divide = Written::of(entry.name, &(entry.defaults)(), &allocator.options);

        let ranker = known("scorer", scorers::ALL, &scorer.name)?;
        let defaults = scorers::defaults(ranker);
        options::refuse_unknown(ranker.name, &scorer.options, &defaults)?;
        let shared = Common::defaults();
        let (common, own): (Table, Table) =
            scorer.options.clone().into_iter().partition(|(key, _)| shared.contains_key(key));
        let rank = Written::of(ranker.name, &defaults, &scorer.options);

        Ok(Policy {
            spec: format!("{}+{}", divide.short, rank.short),
            explicit: format!("{}+{}", divide.full, rank.full),
            oracle: entry.oracle || ranker.oracle,
            method: Method::Composed {
                allocator: built,
                scorer: (ranker.build)(&own)?,
                common: options::read(ranker.name, &common)?,
            },
        })
    }

    fn rule(text: &str, part: &Part) -> Result<Policy, Error> {
        let half = |reason| Err(Error::Spec { spec: text.into(), reason });
        let name = &part.name;
        let Some(entry) = find(rules::ALL, name) else {
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
                "{rules}, or ALLOCATOR+SCORER with an allocator of {allocators} and a scorer of {scorers}"
            );
            return Err(Error::Unknown { kind: "policy", name: name.clone(), known });
        };
        options::refuse_unknown(entry.name, &part.options, &(entry.defaults)())?;
        let written = Written::of(entry.name, &(entry.defaults)(), &part.options);
        let method = Method::Rule((entry.build)(&part.options)?);
        Ok(Policy { spec: written.short, explicit: written.full, oracle: entry.oracle, method })
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

    /// Whether its plans keep exactly as many tokens as the budget asks for.
    pub fn conserves(&self) -> bool {
        matches!(self.method, Method::Composed { .. })
    }

    /// Chooses the tokens to keep. The same arguments always give the same plan.
    ///
    /// Fails when something it needs was not observed, has the wrong extent, or is not finite.
    pub fn plan(&self, seen: &Observation<'_>, budget: Budget) -> Result<Plan, Error> {
        seen.check(&self.needs(), &self.spec)?;
        match &self.method {
            Method::Rule(rule) => Ok(rule.plan(seen, budget)),
            Method::Composed { allocator, scorer, common } => {
                let scores = self.scores(seen, scorer.as_ref(), common)?;
                let total = budget.total(seen.shape);
                let weights = allocator.weigh(&Division { observation: seen, scores: &scores, total });
                let (heads, tokens) = (seen.shape.all_kv_heads(), seen.shape.tokens);
                let counts = bitkv_stats::apportion(total, &weights, 1, tokens)
                    .filter(|counts| counts.len() == heads)
                    .ok_or_else(|| Error::Division { policy: self.spec.clone(), total, heads, tokens })?;
                let keep = |(scores, count): (&Vec<f32>, _)| select::guarded(scores, count, common.guard);
                let kept = scores.iter().zip(counts).map(keep).collect();
                Ok(Plan::of_kv_heads(seen.shape, total, kept))
            }
        }
    }

    /// The scores of every KV head's tokens, infinite where the scorer protects them.
    fn scores(
        &self,
        seen: &Observation<'_>,
        scorer: &dyn Scorer,
        common: &Common,
    ) -> Result<Vec<Vec<f32>>, Error> {
        let (needs, shape) = (scorer.needs(), seen.shape);
        let protected = shape.tokens.saturating_sub(scorer.protects());
        let one = |index| {
            let mut scores = vec![0.0; shape.tokens];
            scorer.score(&Head::of(seen, index, &needs, common.pool), &mut scores);
            if let Some(position) = scores.iter().position(|s| !s.is_finite()) {
                let (layer, head, value) = (index / shape.kv_heads, index % shape.kv_heads, scores[position]);
                return Err(Error::Score { policy: self.spec.clone(), layer, head, position, value });
            }
            scores[protected..].fill(f32::INFINITY);
            Ok(scores)
        };
        (0..shape.all_kv_heads()).map(one).collect()
    }
}

fn known<'r, T: ?Sized>(kind: &'static str, all: &'r [Entry<T>], name: &str) -> Result<&'r Entry<T>, Error> {
    find(all, name).ok_or_else(|| Error::Unknown { kind, name: name.into(), known: names(all) })
}

/// A part written with the options that differ from the defaults, and with all of them.
struct Written {
    short: String,
    full: String,
}

impl Written {
    fn of(name: &str, defaults: &Table, given: &Table) -> Written {
        let differs = |(key, value): &(String, toml::Value)| defaults.get(key) != Some(value);
        let short: Table = given.clone().into_iter().filter(differs).collect();
        let mut full = defaults.clone();
        full.extend(short.clone());
        Written { short: spec::write(name, &short), full: spec::write(name, &full) }
    }
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
