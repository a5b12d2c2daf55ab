//! The [`Grid`] is everything that a definition asks to be measured, checked before anything is computed.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bitkv_bitnet::Arithmetic;
use bitkv_evict::{Need, Needs, Policy, Registry, Role};
use bitkv_models::{LoadedModel, Loading};
use bitkv_progress::{Progress, Silent};
use bitkv_record::{
    AskedBudget, Axes, AxisLists, Definition, Draft, Experiment, FileHash, Form, ListedModel, MetricGroup,
    ModelEntry, RuleName, When,
};

use super::{
    code, gaps,
    loaded_models::LoadedModels,
    memory::{MemoryJob, memory_jobs},
    profiles::{ProfileJob, profile_jobs},
    selection::Selection,
    sources::{CalibrationSources, calibration_sources, read_texts},
    unit::{Unit, units},
};
use crate::{
    Error, Result,
    error::{Place as _, bail, ensure},
    evictor::whole_context_need,
    observation::shape,
    registry::role_of,
    text_use::TextUse,
};

/// Options for reading a definition: which of its sections are run, and how its models are read.
#[derive(Clone, Copy)]
pub struct GridOptions<'a> {
    /// The names of the experiments, profiles and memory studies to run; empty to run all.
    pub only: &'a [String],
    /// How the files of models are read. The form of a job says whether its weights run as a plain Llama.
    pub loading: Loading,
    /// Receives the progress of downloads.
    pub progress: &'a dyn Progress,
    /// The most seconds that a cell may take, instead of the limits in the definition; `None` to use those.
    pub cell_seconds: Option<f64>,
}

impl Default for GridOptions<'_> {
    fn default() -> Self {
        GridOptions { only: &[], loading: Loading::default(), progress: &Silent, cell_seconds: None }
    }
}

/// A definition whose models are loaded and whose cells are known.
pub struct Grid {
    /// The definition.
    pub definition: Definition,
    /// The experiments, one job for every experiment, model and form.
    pub jobs: Vec<Job>,
    /// The head profiles, one for every study, model and form.
    pub profiles: Vec<ProfileJob>,
    /// The memory tables, one for every study, model and form.
    pub memory: Vec<MemoryJob>,
    /// The hashes of the models' files, each model once.
    pub models: Vec<ModelEntry>,
    /// What a user should know about the models' files.
    pub notes: Vec<String>,
    /// The hashes of all texts that are read.
    pub texts: Vec<FileHash>,
    loading: Loading,
    /// The code that the rows depend on; see [`code::code`].
    pub(super) code: String,
}

/// One experiment on one model in one form.
pub struct Job {
    /// The experiment.
    pub experiment: Experiment,
    /// The form that the weights run as: their true form or a plain Llama.
    pub form: Form,
    /// The model.
    pub loaded: Arc<LoadedModel>,
    /// The model in its true form, if predictions are compared with it.
    pub truth: Option<Arc<LoadedModel>>,
    /// The policies in the order of the definition; a random policy once per seed.
    pub policies: Vec<SeededPolicy>,
    /// The rules whose realised budgets are asked for.
    pub rules: BTreeMap<RuleName, Policy>,
    /// The union of the needs of all policies and rules.
    pub needs: Needs,
    /// The contexts. Each is read once for all cells.
    pub units: Vec<Unit>,
    /// The ways to compress the cache. [`Job::cells_of`] says which of them are measured on a unit.
    pub cells: Vec<Cell>,
    /// Where entropies and head scores come from.
    pub calibration: CalibrationSources,
    /// How much of the evaluation texts is read; `None` if the experiment reads no texts.
    pub text_use: Option<TextUse>,
    /// The most seconds that a cell may take; `None` for no limit.
    pub cell_seconds: Option<f64>,
}

/// A policy and its seed, which matters only if the policy is random.
#[derive(Clone, Debug)]
pub struct SeededPolicy {
    /// The policy as the definition writes it.
    pub written: String,
    /// The policy.
    pub policy: Policy,
    /// The seed.
    pub seed: u64,
    /// The number of the draw, from 0, among those of one seed of the experiment; `None` if the policy is not
    /// random.
    pub draw: Option<usize>,
}

/// One way to compress a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The index of the policy in [`Job::policies`].
    pub policy: usize,
    /// How much is kept.
    pub budget: AskedBudget,
    /// When tokens are evicted, which positions the kept keys have, and the format in which they are stored.
    pub axes: Axes,
}

impl Grid {
    /// Reads a definition from a file, finds and loads its models, and lists its cells. `registry` has the
    /// policies that it may name.
    ///
    /// # Errors
    /// Returns an error that names the file, the experiment and the key if the definition asks for something
    /// impossible. Gaps that are found without loading a model are reported at once, and so are those that
    /// only the models show.
    pub fn read(path: &Path, options: &GridOptions<'_>, registry: &Registry) -> Result<Grid> {
        let mut draft = Draft::read(path)?;
        gaps::add(&mut draft, options.only, registry);
        Grid::new(draft.finish()?, options, registry)
    }

    /// Does the same as [`Grid::read`] for a definition that was already read.
    ///
    /// # Errors
    /// Fails as [`Grid::read`] does.
    pub fn new(definition: Definition, options: &GridOptions<'_>, registry: &Registry) -> Result<Grid> {
        let (names, only) = (definition.names(), options.only);
        if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
            bail!(
                Definition,
                "{} has no experiment `{unknown}`: it has {}",
                definition.file(),
                names.join(", ")
            );
        }
        definition.check_roles(|text| role_of(registry, text))?;
        let mut models = LoadedModels::new(&definition, options.loading, options.progress)?;
        let mut texts = Vec::new();
        let selection = Selection { definition: &definition, only };
        let jobs = selection.jobs_per_model(
            "experiment",
            &definition.experiments,
            |experiment| (&experiment.name, &experiment.models, &experiment.axes.form),
            |job: &Job| (&job.loaded.name, Some(&job.loaded)),
            |experiment, model: &ListedModel, form| {
                // Policies are parsed first, so that a mistake in a name is found before models are loaded.
                let policies = parse_policies(experiment, registry)?;
                let loaded = models.open(model, form).at("models")?;
                let rules = budget_rules(experiment, registry)?;
                let mut job =
                    make_job(experiment, form, loaded, policies, rules, &mut texts, options.progress)?;
                if job.wants(MetricGroup::Form) && form != Form::True {
                    job.truth = Some(models.open(model, Form::True).at("models")?);
                }
                job.cell_seconds = options.cell_seconds.or(job.cell_seconds);
                Ok(job)
            },
        )?;
        let profiles = profile_jobs(&selection, &mut models, &mut texts)?;
        let memory = memory_jobs(&selection, &mut models)?;
        texts.sort_by(|a: &FileHash, b| (&a.name, &a.sha256).cmp(&(&b.name, &b.sha256)));
        texts.dedup();
        let mut skipped: Vec<String> =
            jobs.iter().filter_map(|job| skipped_note(&job.experiment, &job.policies)).collect();
        skipped.dedup();
        let notes = [models.notes(), skipped].concat();
        let (models, loading) = (models.entries()?, options.loading);
        let code = code::code(registry);
        let grid = Grid { definition, jobs, profiles, memory, models, notes, texts, loading, code };
        ensure!(
            Definition,
            grid.rows() > 0,
            "{}: there is nothing to measure: every context is longer than its model can read",
            grid.definition.file()
        );
        Ok(grid)
    }

    /// Returns the reading options that change a model's weights but not its files. Row keys include them.
    pub(super) fn reading(&self) -> String {
        let Loading { plain_llama: _, i2s_layout, activation, as_bitnet, arithmetic } = self.loading;
        let layout = i2s_layout.map(|layout| format!("{layout:?}"));
        let activation = activation.map(|activation| activation.name().to_owned());
        let masters = as_bitnet.then(|| "bitnet".to_owned());
        let arithmetic = (arithmetic == Arithmetic::Bf16).then(|| "bf16".to_owned());
        [layout, activation, masters, arithmetic].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// Returns how much every study reads of its texts.
    pub fn text_uses(&self) -> Vec<TextUse> {
        let jobs = self.jobs.iter().flat_map(|job| [&job.text_use, &job.calibration.text_use]);
        jobs.flatten().chain(self.profiles.iter().map(ProfileJob::text_use)).cloned().collect()
    }

    /// Returns the bytes of the weights of all loaded models, each model and form once.
    pub(super) fn weight_bytes(&self) -> u64 {
        let jobs = self.jobs.iter().flat_map(|job| [Some(&*job.loaded), job.truth.as_deref()]);
        let profiles = self.profiles.iter().map(|job| Some(job.loaded()));
        let all = jobs.chain(profiles).chain(self.memory.iter().map(MemoryJob::loaded)).flatten();
        let models: BTreeMap<*const LoadedModel, u64> =
            all.map(|loaded| (std::ptr::from_ref(loaded), loaded.model.weight_bytes() as u64)).collect();
        models.values().sum()
    }

    /// Returns the number of rows of a complete run, timings not counted.
    pub fn rows(&self) -> usize {
        let jobs: usize = self.jobs.iter().map(Job::rows).sum();
        let heads: usize = self.profiles.iter().map(ProfileJob::rows).sum();
        jobs + heads + self.memory.iter().map(MemoryJob::rows).sum::<usize>()
    }
}

impl Job {
    /// Returns the number of rows of all cells.
    pub fn rows(&self) -> usize {
        self.units.iter().map(|unit| self.cells_of(unit).count() * unit.groups.len()).sum()
    }

    /// Returns the cells that are measured on a unit. Every draw of a random policy is measured on every
    /// text. Generated contexts are many and alike, so each has one of the draws, in turn.
    pub fn cells_of(&self, unit: &Unit) -> impl Iterator<Item = &Cell> {
        let is_measured = move |cell: &&Cell| {
            let seeded = &self.policies[cell.policy];
            let has_one_draw = repeats_the_first_draw(&seeded.policy, cell.budget);
            let own = unit.number.zip(seeded.draw);
            has_one_draw || own.is_none_or(|(number, draw)| number % self.experiment.draws == draw)
        };
        self.cells.iter().filter(is_measured)
    }

    /// Returns whether the experiment asks for a metric.
    pub fn wants(&self, metric: MetricGroup) -> bool {
        self.experiment.metrics.contains(&metric)
    }
}

/// Returns the policies of an experiment, in its order.
pub(super) fn parse_policies(experiment: &Experiment, registry: &Registry) -> Result<Vec<SeededPolicy>> {
    let mut policies: Vec<SeededPolicy> = Vec::new();
    for text in &experiment.policies {
        let found = with_seeds(text, &policy_seeds(experiment), registry);
        let found = found.at(format!("policies lists `{text}`"))?;
        for seeded in found {
            ensure!(
                Definition,
                policies.iter().all(|earlier| earlier.policy.spec() != seeded.policy.spec()),
                "policies lists `{text}` twice in different spellings: remove one of them"
            );
            policies.push(seeded);
        }
    }
    ensure!(
        Definition,
        experiment.draws == 1 || policies.iter().any(|seeded| seeded.draw > Some(0)),
        "draws = {} has no effect, because no policy is random without a seed in its text: remove draws, or add a \
         policy such as \"uniform+random\"",
        experiment.draws
    );
    Ok(policies)
}

/// Returns the seeds of random policies: for each seed of the experiment as many as it asks for draws. With
/// one draw they are the seeds of the experiment. Neighbouring seeds have no draw in common.
fn policy_seeds(experiment: &Experiment) -> Vec<(u64, usize)> {
    // Options of policies are signed.
    const LARGEST: u64 = i64::MAX as u64;
    let draws = experiment.draws as u64;
    let of_seed = |seed: &u64| {
        let first = seed.wrapping_mul(draws);
        (0..draws).map(move |draw| (first.wrapping_add(draw) & LARGEST, draw as usize))
    };
    experiment.seeds.iter().flat_map(of_seed).collect()
}

/// Returns the policy with every seed if it is random, or only with the first seed if it is not.
pub(super) fn with_seeds(
    text: &str,
    seeds: &[(u64, usize)],
    registry: &Registry,
) -> Result<Vec<SeededPolicy>, bitkv_evict::Error> {
    let mut found = Vec::new();
    for &(seed, draw) in seeds {
        let written = text.to_owned();
        let (policy, draw) = match registry.seeded(text, seed)? {
            Some(policy) => (policy, Some(draw)),
            None if found.is_empty() => (registry.policy(text)?, None),
            None => break,
        };
        found.push(SeededPolicy { written, policy, seed, draw });
    }
    Ok(found)
}

/// Returns the published rules whose realised budgets an experiment asks for.
pub(super) fn budget_rules(
    experiment: &Experiment,
    registry: &Registry,
) -> Result<BTreeMap<RuleName, Policy>> {
    let asked = experiment.budgets.iter().filter_map(|budget| match budget {
        AskedBudget::Realised(_, rule) => Some(*rule),
        _ => None,
    });
    let policy = |rule: RuleName| match registry.policy(rule.as_str()) {
        Ok(policy) if policy.role() == Role::Published => Ok((rule, policy)),
        _ => {
            let published = registry.listings().into_iter().filter(|other| other.role == Role::Published);
            let published: Vec<&str> = published.map(|listing| listing.name).collect();
            let remedy = bitkv_spelling::suggestion(rule.as_str(), &published);
            Err(Error::Definition(format!("budgets: '{rule}' is not a published rule: {remedy}")))
        }
    };
    asked.map(policy).collect()
}

/// Returns whether all draws of a policy are equal at a budget: a full budget leaves nothing to choose.
fn repeats_the_first_draw(policy: &Policy, budget: AskedBudget) -> bool {
    policy.conserves() && budget == AskedBudget::FULL
}

/// Lists the units and cells of an experiment on a model, and checks its texts, calibration and budgets.
fn make_job(
    experiment: &Experiment,
    form: Form,
    loaded: Arc<LoadedModel>,
    policies: Vec<SeededPolicy>,
    rules: BTreeMap<RuleName, Policy>,
    texts: &mut Vec<FileHash>,
    notes: &dyn Progress,
) -> Result<Job> {
    let all: Vec<&Policy> = policies.iter().map(|seeded| &seeded.policy).chain(rules.values()).collect();
    let needs = all.iter().fold(Needs::default(), |needs, policy| needs.union(policy.needs()));
    let evaluated = read_texts(&experiment.texts)?;
    let calibration = calibration_sources(experiment, &loaded, &all, &evaluated, notes)?;
    texts.extend(evaluated.hashes());
    texts.extend(calibration.profiled.iter().flat_map(|(texts, _)| texts.hashes()));
    ensure!(
        Definition,
        !needs.contains(Need::HeadPattern),
        "policies: a head pattern cannot be given in a definition: use duo{{by='measured'}}"
    );
    check_budgets(experiment, &loaded)?;
    let extent = shape(&loaded, experiment.context);
    all.iter().try_for_each(|policy| policy.check_shape(extent)).at("policies")?;
    let (units, text_use) = units(experiment, &loaded, &evaluated)?;
    let cells = cells(experiment, form, &policies);
    ensure!(
        Definition,
        !cells.is_empty(),
        "policies: none of them can be measured with the values of when: add \"once\" to when, or name other policies"
    );
    Ok(Job {
        cell_seconds: experiment.cell_seconds,
        experiment: experiment.clone(),
        form,
        loaded,
        truth: None,
        policies,
        rules,
        needs,
        units,
        cells,
        calibration,
        text_use,
    })
}

/// Returns the cells of an experiment: every policy at every budget, for every combination of the axes.
fn cells(experiment: &Experiment, form: Form, policies: &[SeededPolicy]) -> Vec<Cell> {
    let lists = AxisLists { form: vec![form], ..experiment.axes.clone() };
    let mut cells = Vec::new();
    for axes in lists.product() {
        for (policy, seeded) in policies.iter().enumerate() {
            if axes.when != When::ONCE && whole_context_need(&seeded.policy).is_some() {
                continue;
            }
            // The full cache is measured once, because it is the same at every budget.
            let full = [AskedBudget::FULL];
            let is_full = seeded.policy.role() == Role::Full;
            let budgets = if is_full { &full[..] } else { &experiment.budgets };
            let differs = |budget: &&AskedBudget| {
                seeded.draw <= Some(0) || !repeats_the_first_draw(&seeded.policy, **budget)
            };
            // A budget that a rule realises applies to that rule, and to policies that can keep exactly as
            // much.
            let applies = |budget: &&AskedBudget| match budget {
                AskedBudget::Realised(_, rule) => {
                    seeded.policy.conserves() || seeded.policy.spec() == rule.as_str()
                }
                _ => true,
            };
            cells.extend(budgets.iter().filter(differs).filter(applies).map(|&budget| Cell {
                policy,
                budget,
                axes,
            }));
        }
    }
    cells
}

/// Returns a sentence about the policies that are not measured at some times of eviction; `None` if all are.
fn skipped_note(experiment: &Experiment, policies: &[SeededPolicy]) -> Option<String> {
    let times = experiment.axes.when.iter().filter(|when| **when != When::ONCE);
    let times: Vec<String> = times.map(When::to_string).collect();
    let skipped =
        policies.iter().filter_map(|seeded| Some((&seeded.policy, whole_context_need(&seeded.policy)?)));
    let reasons: Vec<String> =
        skipped.map(|(policy, need)| format!("`{policy}` reads {}", need.name())).collect();
    (!times.is_empty() && !reasons.is_empty()).then(|| {
        format!(
            "{}: {}, which is observed only if a cell evicts once, so there are no such cells with when = {}",
            experiment.name,
            reasons.join(" and "),
            times.join(" and ")
        )
    })
}

/// Returns an error if a budget in bytes cannot hold one token of every KV head, or is more than the full
/// cache.
fn check_budgets(experiment: &Experiment, loaded: &LoadedModel) -> Result<()> {
    let extent = shape(loaded, experiment.context);
    for budget in &experiment.budgets {
        if let AskedBudget::Bytes(bytes) = budget {
            let least = (extent.all_kv_heads() * 4 * extent.head_dim) as u64;
            ensure!(
                Definition,
                *bytes >= least,
                "budgets: {budget} does not hold one token of each of the {} KV heads of {}: ask for at least {least} B",
                extent.all_kv_heads(),
                loaded.name
            );
            let most = least * extent.tokens as u64;
            ensure!(
                Definition,
                *bytes <= most,
                "budgets: {budget} is more than the {most} B of {} tokens of {}: ask for less",
                extent.tokens,
                loaded.name
            );
        }
    }
    Ok(())
}
