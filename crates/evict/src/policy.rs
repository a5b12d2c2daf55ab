//! Policies: ways to compress a cache to a budget.

use std::{fmt, sync::Arc};

use toml::Table;

use crate::{
    Allocator, Error, Guard, Needs, Pooling, Role, Rule, Scorer,
    composed::Composed,
    entry::{Configured, with_common},
    options::{self, CommonOptions},
    spec::SpecTexts,
};

/// A way to compress a cache to a budget: an allocator joined to a scorer, or a rule.
///
/// [`Policy::parse`] reads a policy from a text; a [`Registry`](crate::Registry) with more methods reads more
/// texts. [`Policy::builder`] builds a policy from values.
///
/// ```
/// use bitkv_evict::{Budget, Need, Observation, Policy, Shape};
///
/// let policy = Policy::parse("uniform+key-norm{sinks=1,recent=1}")?;
/// assert!(policy.needs().contains(Need::Keys));
///
/// let shape = Shape { layers: 1, query_heads: 2, kv_heads: 1, tokens: 5, head_dim: 1 };
/// let keys = [9.0f32, 3.0, 1.0, 2.0, 9.0];
/// let observation = Observation::new(shape).with_rows(Need::Keys, [&keys]);
/// let plan = policy.plan(&observation, Budget::tokens(3)?)?;
/// assert_eq!(plan.kept(0, 0), [0, 2, 4]);
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    spec: String,
    explicit: String,
    oracle: bool,
    role: Role,
    choice: Choice,
}

/// The two kinds of policies.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Composed(Composed),
    Rule(Arc<dyn Rule>),
}

impl Policy {
    /// Joins an allocator to a scorer.
    pub(crate) fn composed(
        allocator: Configured<dyn Allocator>,
        scorer: Configured<dyn Scorer>,
        common: CommonOptions,
    ) -> Result<Policy, Error> {
        let (allocator_metadata, scorer_metadata) = (allocator.metadata, scorer.metadata);
        let allocator_spec = SpecTexts::new(allocator_metadata.name, &allocator.defaults, &allocator.options);
        let scorer_spec = scorer_spec_texts(&scorer, common)?;
        if let Some(reason) = unpooled(&scorer).filter(|_| common.pool != Pooling::default()) {
            let value = toml::Value::try_from(common.pool).map_or_else(|_| String::new(), |v| v.to_string());
            let option = "pool".into();
            return Err(Error::Option { method: scorer_metadata.name, option, value, reason: reason.into() });
        }
        if let Some(reason) = scorer.method.incomparable().filter(|_| allocator.method.compares()) {
            let reason = format!("`{}` compares scores between heads, but {reason}", allocator_metadata.name);
            return Err(Error::Meaningless {
                allocator: allocator_metadata.name,
                scorer: scorer_metadata.name,
                reason,
            });
        }
        let spec = format!("{}+{}", allocator_spec.short, scorer_spec.short);
        Ok(Policy {
            explicit: format!("{}+{}", allocator_spec.full, scorer_spec.full),
            oracle: allocator_metadata.oracle || scorer_metadata.oracle,
            role: allocator_metadata.role.with_scorer(scorer_metadata.role),
            choice: Choice::Composed(Composed {
                spec: spec.clone(),
                allocator: allocator.method,
                scorer: scorer.method,
                key: (scorer.id, scorer_spec.full),
                common,
            }),
            spec,
        })
    }

    /// Makes a policy of a rule.
    pub(crate) fn rule(rule: Configured<dyn Rule>) -> Policy {
        let written = SpecTexts::new(rule.metadata.name, &rule.defaults, &rule.options);
        let (oracle, role, choice) = (rule.metadata.oracle, rule.metadata.role, Choice::Rule(rule.method));
        Policy { spec: written.short, explicit: written.full, oracle, role, choice }
    }

    /// Returns the canonical specification: the shortest text that a registry with the policy's methods
    /// parses as this policy. Equal policies have equal specifications.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Returns the specification with every option written out. A stored copy keeps its meaning if a default
    /// changes.
    pub fn explicit_spec(&self) -> &str {
        &self.explicit
    }

    /// Returns what a run must observe before it calls [`Policy::plan`].
    pub fn needs(&self) -> Needs {
        match &self.choice {
            Choice::Composed(composed) => composed.allocator.needs().union(composed.scorer.needs()),
            Choice::Rule(rule) => rule.needs(),
        }
    }

    /// Returns whether the policy uses information that a deployed cache cannot have.
    pub fn is_oracle(&self) -> bool {
        self.oracle
    }

    /// Returns the role of the policy in a comparison.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Returns the tokens that the policy keeps regardless of their scores, or `None` for a rule, which has
    /// no such option.
    pub fn guard(&self) -> Option<Guard> {
        match &self.choice {
            Choice::Composed(composed) => Some(composed.common.guard),
            Choice::Rule(_) => None,
        }
    }

    /// Returns whether the policy can plan for a cache that was compressed before. A rule cannot.
    pub fn plans_again(&self) -> bool {
        matches!(self.choice, Choice::Composed(_))
    }

    /// Returns whether the policy's plans keep exactly the number of tokens that the budget asks for.
    pub fn conserves(&self) -> bool {
        match &self.choice {
            Choice::Composed(_) => true,
            Choice::Rule(rule) => rule.conserves(),
        }
    }

    pub(crate) fn choice(&self) -> &Choice {
        &self.choice
    }
}

/// Returns the specification of a scorer with its own options and those that every scorer has.
fn scorer_spec_texts(scorer: &Configured<dyn Scorer>, common: CommonOptions) -> Result<SpecTexts, Error> {
    let metadata = scorer.metadata;
    let mut options: Table = scorer.options.clone();
    options.extend(options::table(metadata.name, &common)?);
    let defaults = with_common(scorer.defaults.clone(), metadata.pools);
    options.retain(|key, _| defaults.contains_key(key));
    Ok(SpecTexts::new(metadata.name, &defaults, &options))
}

/// Returns why a scorer does not pool its group by the option `pool`, or `None` if it does.
fn unpooled(scorer: &Configured<dyn Scorer>) -> Option<String> {
    let never = (!scorer.metadata.pools).then(|| format!("`{}` has no such option", scorer.metadata.name));
    never.or_else(|| scorer.method.unpooled())
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.spec)
    }
}
