//! A [`Prefill`] reads the contexts of a job and measures the entropies of heads, or takes both from
//! snapshots that other processes wrote.

use bitkv_evict::{Need, Needs};
use bitkv_models::LoadedModel;
use bitkv_progress::{Progress, Silent, Work};
use bitkv_record::{Named, Queries, Text, Texts, sha256_of_parts};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{
    Grid, RunOptions, check_cancelled,
    job::Job,
    key, measure,
    unit::{Scored, Unit},
};
use crate::{
    Result, Snapshots,
    context::Context,
    error::ensure,
    observation::Calibration,
    profile::{self, Entropies},
    snapshots::{rows_from_tensor, rows_to_bytes},
    window::Window,
};

/// The version of the content of snapshots. It is part of their keys.
const VERSION: &str = "snapshot 1";

/// Reads the contexts of one job.
pub(super) struct Prefill<'a> {
    pub(super) job: &'a Job,
    snapshots: Option<&'a Snapshots>,
    /// A hash of everything that all snapshots of the job depend on.
    key: String,
    /// The part of the run that this process measures, as a fraction of the whole: where it begins to measure
    /// calibration texts. So shards that start together measure different texts first.
    first_part: f64,
}

impl<'a> Prefill<'a> {
    pub(super) fn new(job: &'a Job, grid: &Grid, options: &RunOptions<'a>) -> Result<Prefill<'a>> {
        let loaded: &LoadedModel = &job.loaded;
        let parts = [
            VERSION.to_owned(),
            loaded.content()?,
            job.form.name().to_owned(),
            grid.reading(),
            grid.code.clone(),
            key::isa_class(loaded).name().to_owned(),
        ];
        let first_part =
            options.shard.map_or(0.0, |shard| f64::from(shard.index - 1) / f64::from(shard.count));
        Ok(Prefill { job, snapshots: options.snapshots, key: sha256_of_parts(parts), first_part })
    }

    /// Reads the context of a unit, and observes what the job's policies need. If repeating the context fails
    /// although reading it succeeds, the second value is the reason. Only the policies that need the
    /// repetition then fail.
    pub(super) fn read(
        &self,
        unit: &Unit,
        calibration: &Calibration,
        progress: &dyn Progress,
    ) -> Result<(Context<'a>, Option<String>)> {
        let job = self.job;
        let (mut context, unrepeatable) = self.before_eviction(unit, calibration, progress)?;
        match &unit.scored {
            Scored::Text { continuation, .. } | Scored::Together { continuation, .. } => {
                let probes = measure::continuation_probes(job);
                context.read_continuation(continuation, &self.needs(), &probes)?;
            }
            Scored::Questions(questions) if job.needs.contains(Need::Future) => {
                let asked: Vec<Vec<u32>> = questions.iter().map(|question| question.asked()).collect();
                context.observe_future(&asked)?;
            }
            Scored::Questions(_) => {}
        }
        Ok((context, unrepeatable))
    }

    /// Returns the needs of the job that one pass over a context observes.
    fn needs(&self) -> Needs {
        self.job.needs.without(&[Need::Reconstruction].into())
    }

    /// Reads everything that comes before the eviction, from a snapshot if there is one.
    fn before_eviction(
        &self,
        unit: &Unit,
        calibration: &Calibration,
        progress: &dyn Progress,
    ) -> Result<(Context<'a>, Option<String>)> {
        let Some(snapshots) = self.snapshots else { return self.computed(unit, calibration) };
        let loaded: &'a LoadedModel = &self.job.loaded;
        let (seen, held) = ([&unit.context[..], &unit.lookahead].concat(), unit.context.len());
        let key = self.context_key(&seen, held);
        if let Some(bytes) = snapshots.read(&key, progress) {
            match Context::from_snapshot(&bytes, loaded, &seen, held, &self.job.needs, calibration) {
                Some(context) => return Ok((context, None)),
                None => snapshots.damaged(&key, progress),
            }
        }
        let (context, unrepeatable) = self.computed(unit, calibration)?;
        if unrepeatable.is_none()
            && let Some(bytes) = context.snapshot()
        {
            snapshots.write(&key, &bytes, progress);
        }
        Ok((context, unrepeatable))
    }

    fn computed(&self, unit: &Unit, calibration: &Calibration) -> Result<(Context<'a>, Option<String>)> {
        let loaded: &'a LoadedModel = &self.job.loaded;
        let seen = [&unit.context[..], &unit.lookahead].concat();
        let mut context = Context::observe(loaded, &seen, &self.needs(), calibration)?;
        let unrepeatable = context.repeat(&self.job.needs).err().map(|error| error.to_string());
        if !unit.lookahead.is_empty() {
            context.rewind(unit.context.len())?;
        }
        Ok((context, unrepeatable))
    }

    /// Returns the key of a context. Calibration is not a part of it, because a snapshot has none.
    fn context_key(&self, seen: &[u32], held: usize) -> String {
        let needs: Vec<String> = self.job.needs.iter().map(|need| format!("{need:?}")).collect();
        sha256_of_parts([
            self.key.as_str(),
            "context",
            &tokens_text(seen),
            &held.to_string(),
            &needs.join(" "),
        ])
    }

    /// Returns the entropies of one calibration text, from a snapshot if there is one.
    fn entropies(&self, window: &Window, progress: &dyn Progress) -> Result<Entropies> {
        let loaded: &LoadedModel = &self.job.loaded;
        let measure = || profile::measure(loaded, std::slice::from_ref(window), "", &Silent);
        let Some(snapshots) = self.snapshots else { return measure() };
        let key = sha256_of_parts([self.key.as_str(), "entropies", &tokens_text(&window.tokens)]);
        if let Some(bytes) = snapshots.read(&key, progress) {
            match decoded(&bytes, loaded, window.tokens.len()) {
                Some(bits) => return Ok(Entropies::from_text(loaded, bits)),
                None => snapshots.damaged(&key, progress),
            }
        }
        let measured = measure()?;
        if let Some(bytes) = encoded(measured.first_text()) {
            snapshots.write(&key, &bytes, progress);
        }
        Ok(measured)
    }
}

/// The entropies and scores of heads that the job's policies need.
pub(super) struct CalibratedHeads {
    pub(super) numbers: Calibration,
    /// The reason why the entropies could not be measured. The cells that need them then fail.
    pub(super) failure: Option<String>,
}

/// Returns the entropies and scores of heads that the job's policies need. Entropies are measured if no file
/// gives them.
///
/// # Errors
/// Returns an error if the work was cancelled.
pub(super) fn calibrate(prefill: &Prefill<'_>, progress: &dyn Progress) -> Result<CalibratedHeads> {
    let (mut numbers, mut failure) = (Calibration::new(), None);
    let sources = &prefill.job.calibration;
    if let Some((texts, tokens)) = &sources.profiled {
        match measured_entropies(prefill, texts, *tokens, progress) {
            Ok(entropies) => {
                numbers.insert(Need::Entropy, entropies);
            }
            Err(error) if error.is_cancelled() => return Err(error),
            Err(error) => failure = Some(format!("the entropies of heads cannot be measured: {error}")),
        }
    }
    if let Some(entropy) = &sources.entropy {
        numbers.insert(Need::Entropy, entropy.clone());
    }
    if let Some(scores) = &sources.head_scores {
        numbers.insert(Need::HeadScores, scores.clone());
    }
    Ok(CalibratedHeads { numbers, failure })
}

/// Returns the mean entropy of every head over calibration texts, in bits, `[layers * query_heads]`.
fn measured_entropies(
    prefill: &Prefill<'_>,
    texts: &Texts,
    tokens: usize,
    progress: &dyn Progress,
) -> Result<Vec<f64>> {
    let loaded: &LoadedModel = &prefill.job.loaded;
    let texts: Vec<&Text> = texts.all().iter().collect();
    let windows = Window::all(loaded, &texts, tokens)?;
    ensure!(Unfit, !windows.is_empty(), "there are no calibration texts to profile {} on", loaded.name);
    let steps = Work::steps(progress, &format!("{} calibration", loaded.name), windows.len());
    let first = (prefill.first_part * windows.len() as f64) as usize;
    let mut measured: Vec<Option<Entropies>> = vec![None; windows.len()];
    for i in (first..windows.len()).chain(0..first) {
        check_cancelled(progress)?;
        measured[i] = Some(prefill.entropies(&windows[i], progress)?);
        steps.advance();
    }
    steps.finish();
    let joined = Entropies::joined(measured.into_iter().flatten().collect());
    let entropies = joined.map(|all| all.mean(tokens, Queries::Published)).unwrap_or_default();
    ensure!(
        Unfit,
        entropies.iter().all(|bits| bits.is_finite()),
        "an entropy is not finite: examine {} with `bitkv doctor`",
        loaded.name
    );
    Ok(entropies)
}

/// Returns the entropies of one text as bytes; `None` if the heads have different numbers of queries.
fn encoded(bits: &[Vec<f32>]) -> Option<Vec<u8>> {
    let (shape, bytes) = rows_to_bytes(bits)?;
    let tensor = TensorView::new(Dtype::F32, shape.into(), &bytes).ok()?;
    safetensors::serialize([("entropies", tensor)], None).ok()
}

/// Returns the entropies that [`encoded`] made bytes of, `[layers * heads][queries]`.
fn decoded(bytes: &[u8], loaded: &LoadedModel, queries: usize) -> Option<Vec<Vec<f32>>> {
    let config = loaded.config();
    let heads = config.num_hidden_layers * config.num_attention_heads;
    let file = SafeTensors::deserialize(bytes).ok()?;
    let tensor = file.tensor("entropies").ok()?;
    if tensor.shape() == [heads, queries] { rows_from_tensor(&tensor) } else { None }
}

/// Returns token ids as one text.
fn tokens_text(tokens: &[u32]) -> String {
    tokens.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")
}
