//! Makes many plans of one observation, and shares their scores.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use crate::{
    Budget, Error, Memo, Needs, Observation, Plan, Policy, Rule, Shape,
    composed::{Composed, ScoreKey},
    policy::Choice,
};

/// Makes many plans of one observation. What policies share, such as the scores of one scorer, is computed
/// once.
///
/// ```
/// use bitkv_evict::{Budget, Need, Observation, Planner, Policy, Shape};
///
/// let shape = Shape { layers: 1, query_heads: 1, kv_heads: 1, tokens: 4, head_dim: 1 };
/// let keys = [1.0f32, 4.0, 2.0, 3.0];
/// let observation = Observation::new(shape).with_rows(Need::Keys, [&keys]);
/// let planner = Planner::new(&observation);
/// let policy = Policy::parse("uniform+key-norm{sinks=0,recent=0}")?;
/// for (tokens, kept) in [(1, &[0][..]), (2, &[0, 2])] {
///     // The keys are scored at the first budget only.
///     assert_eq!(planner.plan(&policy, Budget::tokens(tokens)?)?.kept(0, 0), kept);
/// }
/// # Ok::<(), bitkv_evict::Error>(())
/// ```
#[derive(Debug)]
pub struct Planner<'a> {
    observation: &'a Observation<'a>,
    checked: RefCell<Needs>,
    scores: RefCell<BTreeMap<ScoreKey, Rc<Vec<Vec<f32>>>>>,
    memo: Memo,
}

impl<'a> Planner<'a> {
    /// Returns a planner. The observation is checked only when a plan needs it.
    pub fn new(observation: &'a Observation<'a>) -> Planner<'a> {
        Planner {
            observation,
            checked: RefCell::default(),
            scores: RefCell::default(),
            memo: Memo::default(),
        }
    }

    /// Returns the values that rules keep between plans.
    pub fn memo(&self) -> &Memo {
        &self.memo
    }

    /// Chooses the tokens to keep, as [`Policy::plan`] does.
    ///
    /// # Errors
    /// Fails as [`Policy::plan`] does.
    pub fn plan(&self, policy: &Policy, budget: Budget) -> Result<Plan, Error> {
        self.check(policy)?;
        match policy.choice() {
            Choice::Composed(composed) => composed.plan(self.observation, &self.scores(composed)?, budget),
            Choice::Rule(rule) => self.plan_by_rule(policy, &**rule, budget),
        }
    }

    /// Returns for each KV head whether its plan ends in a tie, `[layers * kv_heads]`: the worst entry that
    /// it keeps by its score and the best entry that it evicts have the same score, so their positions
    /// decide. Entries that are kept regardless of their scores do not count. Returns `None` for a rule,
    /// which has no scores.
    ///
    /// # Errors
    /// Fails as [`Policy::plan`] does.
    pub fn ties(&self, policy: &Policy, budget: Budget) -> Result<Option<Vec<bool>>, Error> {
        self.check(policy)?;
        match policy.choice() {
            Choice::Composed(composed) => {
                composed.ties(self.observation, &self.scores(composed)?, budget).map(Some)
            }
            Choice::Rule(_) => Ok(None),
        }
    }

    fn plan_by_rule(&self, policy: &Policy, rule: &dyn Rule, budget: Budget) -> Result<Plan, Error> {
        let policy = policy.spec().to_owned();
        if !self.observation.is_whole() {
            return Err(Error::Ragged { policy });
        }
        rule.plan(self.observation, budget, &self.memo).map_err(|reason| Error::Impossible { policy, reason })
    }

    fn scores(&self, composed: &Composed) -> Result<Rc<Vec<Vec<f32>>>, Error> {
        let cached = self.scores.borrow().get(&composed.key).cloned();
        if let Some(scores) = cached {
            return Ok(scores);
        }
        let scores = Rc::new(composed.scores(self.observation)?);
        self.scores.borrow_mut().insert(composed.key.clone(), Rc::clone(&scores));
        Ok(scores)
    }

    /// Checks the needs that no earlier plan checked.
    fn check(&self, policy: &Policy) -> Result<(), Error> {
        let mut checked = self.checked.borrow_mut();
        if checked.is_empty() {
            self.observation.check_cache()?;
        }
        let needs = policy.needs();
        self.observation.check(&needs.without(&checked), policy.spec())?;
        *checked = std::mem::take(&mut *checked).union(needs);
        Ok(())
    }
}

impl Policy {
    /// Checks before anything is observed whether the options fit a cache of this shape. A rule that cannot
    /// plan a cache says so only when it plans.
    ///
    /// # Errors
    /// Fails if an option of the allocator does not fit.
    pub fn check_shape(&self, shape: Shape) -> Result<(), Error> {
        match self.choice() {
            Choice::Composed(composed) => composed.check(shape),
            Choice::Rule(_) => Ok(()),
        }
    }

    /// Chooses the tokens to keep. The same arguments always give the same plan. To make several plans of one
    /// observation, a [`Planner`] is faster.
    ///
    /// # Errors
    /// Fails if something that the policy needs was not observed, has the wrong shape or is not finite, if a
    /// score is not finite, or if a rule cannot plan this cache.
    pub fn plan(&self, observation: &Observation<'_>, budget: Budget) -> Result<Plan, Error> {
        Planner::new(observation).plan(self, budget)
    }
}
