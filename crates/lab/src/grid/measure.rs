//! One cell on one context.

use std::{cell::OnceCell, time::Instant};

use anyhow::{Result, bail, ensure};
use bitkv_bitnet::{Cache, KvCache, Observe, Sequence};
use bitkv_evict::{Budget, Need, Plan, Planner, Policy, Shape};
use bitkv_record::{AskedBudget, GridRow, KvFormat, Metric, Named, Positions, TimingRow, one_line};
use bitkv_stats::argmax;

use super::{
    cutter::{Cutter, store},
    free_running, key,
    key::UnitKeys,
    output_error,
    plan::{Cell, Job},
    storage,
    unit::{Scored, Unit},
};
use crate::{
    context::Context,
    evidence::Numbers,
    memory::peak_resident_bytes,
    metrics::{self, Reference},
};

/// Questions asked at a time: each has a copy of the cut cache.
const BATCH: usize = 16;
/// How an error begins after which no number of a run can be trusted.
const DEFECT: &str = "the self-check failed";

/// A unit with everything that its cells share.
pub(super) struct Reader<'a> {
    job: &'a Job,
    unit: &'a Unit,
    keys: UnitKeys,
    context: &'a Context<'a>,
    planner: &'a Planner<'a>,
    numbers: &'a Numbers,
    /// Why the context could not be repeated, where a policy wants it to be.
    unrepeatable: Option<String>,
    /// What the uncut cache predicts.
    reference: OnceCell<Reference<'a>>,
    /// Whether the uncut cache answers each question right.
    answers: OnceCell<Vec<bool>>,
    /// What the uncut cache goes on with by itself.
    free: OnceCell<Vec<u32>>,
}

/// What a job must see of the continuation under full attention.
pub(super) fn dense(job: &Job) -> Observe {
    let error = job.wants(Metric::OutputError);
    Observe { qkv: error, attention_output: error, ..Observe::default() }
}

/// A cut cache and how it was made.
struct Cut<'a> {
    cache: Cache,
    plan: Plan,
    budget: Budget,
    cutter: Cutter<'a>,
    plan_seconds: f64,
}

impl<'a> Reader<'a> {
    /// Of a unit that was read as `context`.
    pub(super) fn new(
        job: &'a Job,
        unit: &'a Unit,
        keys: UnitKeys,
        context: &'a Context<'a>,
        planner: &'a Planner<'a>,
        numbers: &'a Numbers,
        unrepeatable: Option<String>,
    ) -> Reader<'a> {
        let (reference, answers, free) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Reader { job, unit, keys, context, planner, numbers, unrepeatable, reference, answers, free }
    }

    /// Measures a cell: a row for every group of questions, of which a text has one, and what it took. A cell that fails
    /// gives rows that say why.
    ///
    /// # Errors
    /// When nothing was evicted and yet something changed: then no number of the run can be trusted.
    pub(super) fn measure(&self, cell: &Cell) -> Result<(Vec<GridRow>, Option<TimingRow>)> {
        let (rows, timing) = match self.measured(cell) {
            Ok(measured) => measured,
            Err(error) => (self.failed(cell, &format!("{error:#}")), None),
        };
        rows.iter().try_for_each(|row| self.self_check(cell, row))?;
        Ok((rows, timing))
    }

    fn measured(&self, cell: &Cell) -> Result<(Vec<GridRow>, Option<TimingRow>)> {
        let cut = self.cut(cell)?;
        let row = GridRow {
            asked_entries: Some(cut.plan.asked()),
            kept_entries: Some(cut.plan.total()),
            cache_bytes: Some(cut.cache.bytes() as u64),
            plan_hash: Some(self.plan_hash(&cut.plan)),
            ..self.blank(cell)
        };
        let bytes = cut.cache.bytes() as u64;
        let (plan_seconds, decode) = (cut.plan_seconds, self.decode_seconds(&cut.cache)?);
        let started = Instant::now();
        let rows = match &self.unit.scored {
            Scored::Text { continuation, targets, .. } => {
                vec![self.text(cell, cut, row, continuation, targets)?]
            }
            Scored::Questions(_) => self.questions(cell, &cut.cache, row)?,
        };
        let timing = self.job.wants(Metric::Timing).then(|| TimingRow {
            key: rows[0].key.clone(),
            experiment: self.job.experiment.name.clone(),
            model: self.job.subject.name.clone(),
            policy: rows[0].policy.clone(),
            budget: cell.budget,
            when: cell.when,
            kv: cell.kv,
            text: self.unit.name.clone(),
            plan_seconds,
            continuation_seconds: started.elapsed().as_secs_f64(),
            decode_seconds_per_token: decode,
            peak_rss_bytes: peak_resident_bytes(),
            cache_bytes: bytes,
        });
        Ok((rows, timing))
    }

    fn policy(&self, cell: &Cell) -> &'a Policy {
        &self.job.policies[cell.policy].policy
    }

    /// Reads and cuts the context as the cell says.
    fn cut(&self, cell: &Cell) -> Result<Cut<'a>> {
        let subject = self.context.subject();
        let shape = self.context.shape();
        if let Some(reason) = &self.unrepeatable
            && self.policy(cell).needs().contains(Need::Reconstruction)
        {
            bail!("{reason}");
        }
        let mut budget = storage::budget(cell.budget, cell.kv, self.job.experiment.equal, shape)?;
        if let AskedBudget::Realised(_, rule) = cell.budget
            && self.policy(cell).conserves()
        {
            let realised = self.planner.plan(&Policy::parse(rule.name())?, budget)?;
            budget = Budget::entries(realised.total())?;
        }
        let cutter = Cutter::new(subject, self.policy(cell), self.numbers, cell.positions);
        let mut cut = match cell.when.prefill_chunk {
            None => {
                let started = Instant::now();
                let plan = self.planner.plan(self.policy(cell), budget)?;
                let plan_seconds = started.elapsed().as_secs_f64();
                let mut cutter = cutter.with_past(self.context.evidence());
                let mut cache = self.context.cache().clone();
                cutter.keep(&plan, &mut cache)?;
                Cut { cache, budget: cap(budget, shape)?, plan, cutter, plan_seconds }
            }
            Some(_) if !self.unit.peek.is_empty() => {
                bail!(
                    "a question is seen before the cut only where the cache is cut once: use when = [\"once\"]"
                )
            }
            Some(chunk) => chunked(self.context.tokens(), chunk, budget, cutter, subject.model.new_cache())?,
        };
        store(&mut cut.cache, cell.kv)?;
        Ok(cut)
    }

    fn text(
        &self,
        cell: &Cell,
        mut cut: Cut<'a>,
        mut row: GridRow,
        continuation: &[u32],
        targets: &[u32],
    ) -> Result<GridRow> {
        if self.job.wants(Metric::Attention) && cell.when.prefill_chunk.is_none() {
            let (rows, shape) = (self.context.last_rows(), self.context.shape());
            let kept = |i: usize| cut.plan.query_kept(i / shape.query_heads, i % shape.query_heads);
            let kept: Vec<&[u32]> = (0..rows.len()).map(kept).collect();
            row.attention_cosine = Some(metrics::attention_cosine(rows, &kept));
            row.retained_mass = Some(metrics::retained_mass(rows, &kept));
        }
        if self.job.wants(Metric::OutputError) && cell.positions == Positions::Original {
            row.output_error = Some(output_error::relative(self.context, &cut.cache)?);
        }
        if self.job.wants(Metric::FreeRunning) && cell.when.every.is_none() {
            let free = free_running::greedy(self.context, cut.cache.clone())?;
            let full = self.full_run()?;
            row.first_divergence = Some(metrics::first_difference(full, &free));
            row.matching_fraction = Some(metrics::matching_fraction(full, &free));
        }
        let logits = self.go_on(cell, &mut cut, continuation)?;
        ensure!(
            logits.iter().flatten().all(|z| z.is_finite()),
            "the logits are not finite: the weights are damaged, or the cache format is too coarse"
        );
        let reference = self.reference.get_or_init(|| Reference::of(self.context.reference(), targets));
        let compared = reference.compare(&logits, targets);
        row.kl_nats = Some(compared.kl);
        row.agreement = Some(compared.agreement);
        row.nll_nats = Some(compared.nll);
        row.nll_difference = Some(compared.nll_difference);
        row.targets = targets.len();
        Ok(row)
    }

    /// Logits after each token of the continuation, read through the cut cache, which is cut again as the cell says.
    fn go_on(&self, cell: &Cell, cut: &mut Cut<'a>, continuation: &[u32]) -> Result<Vec<Vec<f32>>> {
        let model = &self.context.subject().model;
        let Some(every) = cell.when.every else {
            let output = model.forward(continuation, &mut cut.cache, None)?;
            return Ok(model.logits(&output.hidden)?.to_vec2()?);
        };
        let mut logits = Vec::new();
        for block in continuation.chunks(every) {
            let (output, evidence) = cut.cutter.read(block, &mut cut.cache)?;
            logits.extend(model.logits(&output.hidden)?.to_vec2()?);
            cut.cutter.cut(&evidence, cut.budget, &mut cut.cache)?;
        }
        Ok(logits)
    }

    fn questions(&self, cell: &Cell, cache: &Cache, row: GridRow) -> Result<Vec<GridRow>> {
        let right = self.answered(cache)?;
        if self.is_untouched(cell) {
            let full = self.full_answers()?;
            ensure!(right == full, "{DEFECT}: {} at budget 1 on {} answers otherwise", row.policy, row.text);
        }
        let of_group = |group: &super::unit::Group| GridRow {
            key: self.keys.row(self.job, cell, group),
            correct: Some(group.questions.iter().filter(|&&question| right[question]).count()),
            questions: group.questions.len(),
            depth: group.depth,
            ..row.clone()
        };
        Ok(self.unit.groups.iter().map(of_group).collect())
    }

    /// Whether each question is answered right from a copy of the cache.
    fn answered(&self, cache: &Cache) -> Result<Vec<bool>> {
        let Scored::Questions(questions) = &self.unit.scored else { return Ok(Vec::new()) };
        let model = &self.context.subject().model;
        let mut right = Vec::new();
        for batch in questions.chunks(BATCH) {
            let asked: Vec<Vec<u32>> = batch.iter().map(|question| question.asked()).collect();
            let mut caches = vec![cache.clone(); batch.len()];
            let mut sequences: Vec<Sequence<'_>> = asked
                .iter()
                .zip(&mut caches)
                .map(|(tokens, cache)| Sequence { tokens, cache: cache as &mut dyn KvCache })
                .collect();
            let logits: Vec<Vec<f32>> = model.logits(&model.forward_batch(&mut sequences)?)?.to_vec2()?;
            let mut predicted = logits.iter().map(|row| argmax(row).unwrap_or(usize::MAX));
            for (question, tokens) in batch.iter().zip(&asked) {
                let predictions: Vec<usize> = predicted.by_ref().take(tokens.len()).collect();
                right.push(question.correct(&predictions));
            }
        }
        Ok(right)
    }

    fn full_answers(&self) -> Result<&[bool]> {
        if self.answers.get().is_none() {
            let _ = self.answers.set(self.answered(self.context.cache())?);
        }
        Ok(self.answers.get().map_or(&[], Vec::as_slice))
    }

    fn full_run(&self) -> Result<&[u32]> {
        if self.free.get().is_none() {
            let run = free_running::greedy(self.context, self.context.cache().clone())?;
            let _ = self.free.set(run);
        }
        Ok(self.free.get().map_or(&[], Vec::as_slice))
    }

    fn decode_seconds(&self, cache: &Cache) -> Result<Option<f64>> {
        match self.job.wants(Metric::Timing) {
            true => free_running::decode_seconds(self.context.subject(), cache).map(Some),
            false => Ok(None),
        }
    }

    fn plan_hash(&self, plan: &Plan) -> String {
        let shape = plan.shape();
        let heads = 0..shape.all_kv_heads();
        key::plan_hash(heads.map(|i| plan.kept(i / shape.kv_heads, i % shape.kv_heads).to_vec()))
    }

    /// A row that says what it is of and nothing more.
    fn blank(&self, cell: &Cell) -> GridRow {
        let (job, seeded, shape) = (self.job, &self.job.policies[cell.policy], self.context.shape());
        let group = &self.unit.groups[0];
        GridRow {
            key: self.keys.row(job, cell, group),
            experiment: job.experiment.name.clone(),
            model: job.subject.name.clone(),
            form: job.form,
            policy: seeded.policy.spec().to_owned(),
            oracle: seeded.policy.is_oracle(),
            conserving: seeded.policy.conserves(),
            budget: cell.budget,
            when: cell.when,
            positions: cell.positions,
            kv: cell.kv,
            seed: seeded.seed,
            task: self.unit.task,
            text: self.unit.name.clone(),
            register: self.unit.register.clone(),
            context_tokens: shape.tokens,
            asked_entries: None,
            kept_entries: None,
            full_entries: Some(shape.all_kv_heads() * shape.tokens),
            cache_bytes: None,
            full_bytes: Some(self.context.full_bytes()),
            plan_hash: None,
            attention_cosine: None,
            retained_mass: None,
            output_error: None,
            kl_nats: None,
            agreement: None,
            nll_nats: None,
            nll_difference: None,
            targets: 0,
            first_divergence: None,
            matching_fraction: None,
            correct: None,
            questions: 0,
            depth: group.depth,
            error: None,
        }
    }

    fn failed(&self, cell: &Cell, error: &str) -> Vec<GridRow> {
        let of_group = |group: &super::unit::Group| GridRow {
            key: self.keys.row(self.job, cell, group),
            questions: group.questions.len(),
            depth: group.depth,
            error: Some(one_line(error)),
            ..self.blank(cell)
        };
        self.unit.groups.iter().map(of_group).collect()
    }

    /// Whether nothing was evicted and nothing rounded.
    fn is_untouched(&self, cell: &Cell) -> bool {
        let policy = self.policy(cell);
        let whole = policy.conserves() || policy.spec() == "full";
        whole && cell.budget == AskedBudget::FULL && cell.kv == KvFormat::F16
    }

    /// Then nothing may change.
    fn self_check(&self, cell: &Cell, row: &GridRow) -> Result<()> {
        let exact = row.kl_nats.is_none_or(|kl| kl == 0.0) && row.agreement.is_none_or(|part| part == 1.0);
        let broken = row.error.as_ref().is_some_and(|error| error.starts_with(DEFECT));
        ensure!(
            !broken && (!self.is_untouched(cell) || row.error.is_some() || exact),
            "{DEFECT}: {} at budget 1 on {} has a KL of {:?} and an agreement of {:?}; report this as a defect",
            row.policy,
            row.text,
            row.kl_nats,
            row.agreement
        );
        Ok(())
    }
}

/// What a cache is cut down to again and again: the entries that the budget keeps of the whole context, whatever comes
/// after it. A budget of everything never cuts.
fn cap(budget: Budget, whole: Shape) -> Result<Budget> {
    if budget.is_full() { Ok(budget) } else { Ok(Budget::entries(budget.total(whole))?) }
}

/// Reads a context in chunks and cuts after each, so that later chunks see only what earlier cuts left. The cache never
/// holds more than the budget of the whole context and a chunk.
fn chunked<'a>(
    tokens: &[u32],
    chunk: usize,
    budget: Budget,
    mut cutter: Cutter<'a>,
    mut cache: Cache,
) -> Result<Cut<'a>> {
    let (mut plan, mut plan_seconds, mut budget) = (None, 0.0, budget);
    for part in tokens.chunks(chunk) {
        let (_, evidence) = cutter.read(part, &mut cache)?;
        let started = Instant::now();
        budget = cap(budget, Shape { tokens: tokens.len(), ..evidence.shape() })?;
        plan = Some(cutter.cut(&evidence, budget, &mut cache)?);
        plan_seconds += started.elapsed().as_secs_f64();
    }
    let plan = plan.ok_or_else(|| anyhow::anyhow!("the context is empty"))?;
    Ok(Cut { cache, plan, budget, cutter, plan_seconds })
}
