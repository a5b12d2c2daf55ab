//! What a definition asks to be measured, checked before anything is computed.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use bitkv_checkpoint::codec::i2s::Layout;
use bitkv_evict::{Need, Needs, Policy, Registry, Role};
use bitkv_models::LoadedModel;
use bitkv_progress::{Progress, Silent};
use bitkv_record::{
    AskedBudget, Axes, AxisLists, Definition, Experiment, FileHash, Form, Metric, ModelEntry, RuleName,
};

use super::{
    code,
    loaded_models::LoadedModels,
    memory::{MemoryJob, memory_jobs},
    profiles::{Study, studies},
    sources::{Sources, sources, texts_of},
    unit::{Unit, units},
    wanted::Wanted,
};
use crate::{
    Error, Result,
    error::{Place as _, bail, ensure},
    observation::shape,
    registry::role_of,
};

/// What of a definition is run, and how its models are read.
#[derive(Clone, Copy)]
pub struct Options<'a> {
    /// Names of the experiments, profiles and memory studies that are wanted; all if there is none.
    pub only: &'a [String],
    /// The byte layout of I2_S tensors in .gguf files; found by plausibility when it is not given.
    pub i2s_layout: Option<Layout>,
    /// Hears of downloads.
    pub progress: &'a dyn Progress,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Options { only: &[], i2s_layout: None, progress: &Silent }
    }
}

/// A definition whose models are models and whose every cell is known.
pub struct Grid {
    /// The definition.
    pub definition: Definition,
    /// One for every experiment, model and form.
    pub jobs: Vec<Job>,
    /// Profiles of heads, one for every study, model and form.
    pub studies: Vec<Study>,
    /// Memory by context length, one for every study and model.
    pub memory: Vec<MemoryJob>,
    /// Hashes of the models, once each.
    pub models: Vec<ModelEntry>,
    /// Hashes of all texts read.
    pub texts: Vec<FileHash>,
    i2s_layout: Option<Layout>,
    /// What the rows follow from besides; see [`code::code`].
    pub(super) code: String,
}

/// One experiment on one model in one form.
pub struct Job {
    /// The experiment.
    pub experiment: Experiment,
    /// What the weights are run as.
    pub form: Form,
    /// The model.
    pub loaded: Arc<LoadedModel>,
    /// The model in its true form, where predictions are compared with it.
    pub truth: Option<Arc<LoadedModel>>,
    /// Policies in the order of the definition, by seed.
    pub policies: Vec<Seeded>,
    /// The rules by which budgets are asked for.
    pub rules: BTreeMap<RuleName, Policy>,
    /// What any of them needs.
    pub needs: Needs,
    /// Contexts, each of which is read once for all its cells.
    pub units: Vec<Unit>,
    /// What is cut how, for every unit.
    pub cells: Vec<Cell>,
    /// Where entropies and head scores come from.
    pub calibration: Sources,
}

/// A policy and the seed it was given, which counts where it is random.
#[derive(Clone, Debug)]
pub struct Seeded {
    /// As the definition writes it.
    pub written: String,
    /// The policy.
    pub policy: Policy,
    /// The seed.
    pub seed: u64,
}

/// One way to compress a cache.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Index of the policy in [`Job::policies`].
    pub policy: usize,
    /// How much is kept.
    pub budget: AskedBudget,
    /// When, where kept keys stand, and how they are stored.
    pub axes: Axes,
}

impl Grid {
    /// Reads a definition, whose policies are of a registry, finds and loads its models, and lists its cells.
    ///
    /// # Errors
    /// With the file, the experiment and the key of whatever cannot be, before anything is computed.
    pub fn read(path: &Path, options: &Options<'_>, registry: &Registry) -> Result<Grid> {
        Grid::new(Definition::read(path)?, options, registry)
    }

    /// As [`Grid::read`].
    ///
    /// # Errors
    /// As [`Grid::read`].
    pub fn new(definition: Definition, options: &Options<'_>, registry: &Registry) -> Result<Grid> {
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
        let mut models = LoadedModels::new(&definition, options.i2s_layout, options.progress)?;
        let mut texts = Vec::new();
        let wanted = Wanted { definition: &definition, only };
        let jobs = wanted.on_models(
            &definition.experiments,
            |experiment| (&experiment.name, &experiment.models, &experiment.axes.form),
            |job: &Job| &job.loaded.name,
            |experiment, model, form| {
                // Policies first: a slip in a name should not wait for models.
                let policies = policies(experiment, registry)?;
                let loaded = models.open(model, form).at("models")?;
                let rules = rules(experiment, registry)?;
                let mut job = job(experiment, form, loaded, policies, rules, &mut texts)?;
                if job.wants(Metric::Form) && form != Form::True {
                    job.truth = Some(models.open(model, Form::True).at("models")?);
                }
                Ok(job)
            },
        )?;
        let studies = studies(&wanted, &mut models, &mut texts)?;
        let memory = memory_jobs(&wanted, &mut models)?;
        texts.sort_by(|a: &FileHash, b| (&a.name, &a.sha256).cmp(&(&b.name, &b.sha256)));
        texts.dedup();
        let (models, i2s_layout) = (models.entries()?, options.i2s_layout);
        let code = code::code(registry);
        let grid = Grid { definition, jobs, studies, memory, models, texts, i2s_layout, code };
        ensure!(
            Definition,
            grid.rows() > 0,
            "{}: there is nothing to measure: every context is longer than its model can read",
            grid.definition.file()
        );
        Ok(grid)
    }

    /// How models are read, where that is not told by their files.
    pub(super) fn reading(&self) -> String {
        self.i2s_layout.map_or_else(String::new, |layout| format!("{layout:?}"))
    }

    /// Rows of every kind that a complete run has.
    pub fn rows(&self) -> usize {
        let jobs: usize = self.jobs.iter().map(Job::rows).sum();
        let heads: usize = self.studies.iter().map(Study::rows).sum();
        jobs + heads + self.memory.iter().map(MemoryJob::rows).sum::<usize>()
    }
}

impl Job {
    /// Rows of all cells.
    pub fn rows(&self) -> usize {
        self.units.iter().map(|unit| self.cells.len() * unit.groups.len()).sum()
    }

    /// Whether a metric is wanted.
    pub fn wants(&self, metric: Metric) -> bool {
        self.experiment.metrics.contains(&metric)
    }
}

fn policies(experiment: &Experiment, registry: &Registry) -> Result<Vec<Seeded>> {
    let mut policies: Vec<Seeded> = Vec::new();
    for text in &experiment.policies {
        let found = seeded(text, &experiment.seeds, registry);
        let found = found.at(format!("policies lists `{text}`"))?;
        for one in found {
            ensure!(
                Definition,
                policies.iter().all(|earlier| earlier.policy.spec() != one.policy.spec()),
                "policies lists `{text}` twice, once as it stands and once in other words: remove one of them"
            );
            policies.push(one);
        }
    }
    Ok(policies)
}

/// The policy with every seed where it is random, and else with the first.
fn seeded(text: &str, seeds: &[u64], registry: &Registry) -> Result<Vec<Seeded>, bitkv_evict::Error> {
    let mut found = Vec::new();
    for &seed in seeds {
        let written = text.to_owned();
        match registry.seeded(text, seed)? {
            Some(policy) => found.push(Seeded { written, policy, seed }),
            None if found.is_empty() => {
                found.push(Seeded { written, policy: registry.policy(text)?, seed });
            }
            None => {}
        }
    }
    Ok(found)
}

/// The rules by which budgets are asked for.
fn rules(experiment: &Experiment, registry: &Registry) -> Result<BTreeMap<RuleName, Policy>> {
    let asked = experiment.budgets.iter().filter_map(|budget| match budget {
        AskedBudget::Realised(_, rule) => Some(*rule),
        _ => None,
    });
    let policy = |rule: RuleName| match registry.policy(rule.as_str()) {
        Ok(policy) if policy.role() == Role::Published => Ok((rule, policy)),
        _ => {
            let published = registry.listings().into_iter().filter(|other| other.role == Role::Published);
            let published: Vec<&str> = published.map(|listing| listing.name).collect();
            let remedy = bitkv_spelling::instead(rule.as_str(), &published);
            Err(Error::Definition(format!("budgets: '{rule}' is no published rule: {remedy}")))
        }
    };
    asked.map(policy).collect()
}

fn job(
    experiment: &Experiment,
    form: Form,
    loaded: Arc<LoadedModel>,
    policies: Vec<Seeded>,
    rules: BTreeMap<RuleName, Policy>,
    texts: &mut Vec<FileHash>,
) -> Result<Job> {
    let all = policies.iter().map(|seeded| &seeded.policy).chain(rules.values());
    let needs = all.fold(Needs::default(), |needs, policy| needs.union(policy.needs()));
    let evaluated = texts_of(&experiment.texts)?;
    let calibration = sources(experiment, &loaded, &needs, &evaluated)?;
    texts.extend(evaluated.hashes());
    texts.extend(calibration.profiled.iter().flat_map(|(texts, _)| texts.hashes()));
    ensure!(
        Definition,
        !needs.contains(Need::HeadPattern),
        "policies: a head pattern cannot be given in a definition: use duo{{by='measured'}}"
    );
    check_budgets(experiment, &loaded)?;
    let units = units(experiment, &loaded, &evaluated)?;
    let cells = cells(experiment, form, &policies);
    Ok(Job {
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
    })
}

fn cells(experiment: &Experiment, form: Form, policies: &[Seeded]) -> Vec<Cell> {
    let lists = AxisLists { form: vec![form], ..experiment.axes.clone() };
    let mut cells = Vec::new();
    for axes in lists.product() {
        for (policy, seeded) in policies.iter().enumerate() {
            // The whole cache is the same whatever is asked for.
            let full = [AskedBudget::FULL];
            let whole = seeded.policy.role() == Role::Full;
            let budgets = if whole { &full[..] } else { &experiment.budgets };
            // What a rule realises is asked of that rule and of those that can keep exactly as much.
            let asked = |budget: &&AskedBudget| match budget {
                AskedBudget::Realised(_, rule) => {
                    seeded.policy.conserves() || seeded.policy.spec() == rule.as_str()
                }
                _ => true,
            };
            cells.extend(budgets.iter().filter(asked).map(|&budget| Cell { policy, budget, axes }));
        }
    }
    cells
}

/// A budget in bytes must hold a token of every head.
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
