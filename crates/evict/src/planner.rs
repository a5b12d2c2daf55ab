use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use crate::{Budget, Error, Needs, Observation, Plan, Policy, kvpress::Known};

/// Makes many plans of one observation: what policies share is computed once.
#[derive(Debug)]
pub struct Planner<'a> {
    seen: &'a Observation<'a>,
    checked: RefCell<Needs>,
    /// By the scorer, its options written out.
    scores: RefCell<BTreeMap<String, Rc<Vec<Vec<f32>>>>>,
    /// Of presses of kvpress.
    known: Known,
}

impl<'a> Planner<'a> {
    /// Nothing is looked at before a plan needs it.
    pub fn new(seen: &'a Observation<'a>) -> Planner<'a> {
        Planner { seen, checked: RefCell::default(), scores: RefCell::default(), known: Known::default() }
    }

    /// As [`Policy::plan`].
    ///
    /// # Errors
    /// As [`Policy::plan`].
    pub fn plan(&self, policy: &Policy, budget: Budget) -> Result<Plan, Error> {
        self.check(policy)?;
        let Some(key) = policy.scorer() else {
            return policy.plan_by_rule(self.seen, budget, &self.known);
        };
        let known = self.scores.borrow().get(key).cloned();
        let scores = match known {
            Some(scores) => scores,
            None => {
                let scores = Rc::new(policy.scores(self.seen)?);
                self.scores.borrow_mut().insert(key.to_owned(), Rc::clone(&scores));
                scores
            }
        };
        policy.plan_scored(self.seen, &scores, budget)
    }

    /// Checks what no earlier plan needed.
    fn check(&self, policy: &Policy) -> Result<(), Error> {
        let mut checked = self.checked.borrow_mut();
        if checked.is_empty() {
            self.seen.check_cache()?;
        }
        let needs = policy.needs();
        self.seen.check(&needs.without(&checked), policy.spec())?;
        *checked = std::mem::take(&mut *checked).union(needs);
        Ok(())
    }
}
