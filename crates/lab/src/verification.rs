//! The definition of `bitkv verify`. It is compiled in; [`Changes`] replace its models, texts and sizes.

use std::path::{Path, PathBuf};

use bitkv_progress::Progress;
use bitkv_record::{Definition, PolicyText, Split, Texts};
use toml::{Table, Value};

use bitkv_models::{Loading, Source, suite};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, bail, ensure},
    grid::sources::in_folder,
};

/// The compiled-in definition.
const DEFINITION: &str = include_str!("../../../experiments/verify.toml");
/// The name of the definition in error messages.
const FILE: &str = "verify.toml";
/// The shortest calibration text and the shortest context, in tokens.
const SHORTEST: usize = 64;
/// The most retrieval contexts that a definition may have.
const MOST_RECALLS: usize = 10_000;
/// The tokens of a retrieval context and its questions.
const RECALL: usize = 241 + 60;

/// Changes to the definition. The default changes nothing.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The models that replace the built-in ones, as `--model` takes them; empty to keep the built-in ones.
    pub models: Vec<String>,
    /// How the models are read.
    pub loading: Loading,
    /// A folder of texts to calibrate on.
    pub calibration: Option<PathBuf>,
    /// A folder of texts to evaluate on.
    pub evaluation: Option<PathBuf>,
    /// The tokens that are read of each calibration text.
    pub calibration_tokens: Option<usize>,
    /// The tokens of each evaluation text that are in the cache when it is compressed.
    pub context_tokens: Option<usize>,
    /// The tokens that are scored after the context.
    pub scored_tokens: Option<usize>,
    /// The policies that are measured; empty to measure all. The full cache and random choice stay, because
    /// they check the model.
    pub policies: Vec<String>,
    /// The budgets besides the full one at which policies are measured, as fractions; empty to keep all.
    pub budgets: Vec<f64>,
    /// The number of retrieval contexts.
    pub recalls: Option<usize>,
    /// The seed of everything random.
    pub seed: Option<u64>,
}

/// Returns the definition with changes. Without changes it is the compiled-in text, byte for byte. Downloads
/// are reported to `progress`.
///
/// # Errors
/// Returns an error if a model cannot be found, or if the sizes do not fit it.
pub fn definition(changes: &Changes, progress: &dyn Progress) -> Result<Definition> {
    let mut table: Table =
        DEFINITION.parse().refuse(Error::Definition, "the compiled-in definition is damaged")?;
    let before = table.clone();
    let experiment = first(&mut table, "experiment")?.clone();
    let size = |key: &str| experiment.get(key).and_then(Value::as_integer).unwrap_or(0) as usize;
    let calibration =
        experiment.get("calibration").and_then(|c| c.get("tokens")?.as_integer()).unwrap_or(0) as usize;
    let sizes = [
        changes.calibration_tokens.unwrap_or(calibration),
        changes.context_tokens.unwrap_or(size("context")),
        changes.scored_tokens.unwrap_or(size("horizon")),
    ];
    ensure!(
        Definition,
        changes.recalls.is_none_or(|count| count <= MOST_RECALLS),
        "--recalls {} is too many: use at most {MOST_RECALLS}",
        changes.recalls.unwrap_or_default()
    );
    check(changes, sizes, progress)?;
    apply(changes, sizes, &mut table)?;
    let text = if table == before {
        DEFINITION.to_owned()
    } else {
        toml::to_string(&table).refuse(Error::Definition, FILE)?
    };
    Ok(Definition::from_toml(&text, FILE)?)
}

/// Checks that the windows are long enough and fit every model, without reading weights.
fn check(
    changes: &Changes,
    [calibration, context, scored]: [usize; 3],
    progress: &dyn Progress,
) -> Result<()> {
    for (option, tokens, least) in [
        ("--calibration-tokens", calibration, SHORTEST),
        ("--context-tokens", context, SHORTEST),
        ("--scored-tokens", scored, 1),
    ] {
        ensure!(Definition, tokens >= least, "{option} is {tokens}: use {least} or more");
    }
    if let Some(budget) = changes.budgets.iter().find(|budget| !(**budget > 0.0 && **budget < 1.0)) {
        bail!(
            Definition,
            "--budget {budget} is not a fraction of the cache: use a number above 0 and below 1, such as 0.2"
        );
    }
    check_texts(changes)?;
    let recall = if changes.recalls == Some(0) { 0 } else { RECALL };
    let needed = calibration.max(context.saturating_add(scored).saturating_add(1)).max(recall);
    for (i, model) in changes.models.iter().enumerate() {
        ensure!(
            Definition,
            !changes.models[..i].contains(model),
            "two models are named {model}: give each once, or rename one folder"
        );
    }
    let built_in = bitkv_models::built_in().into_iter().map(str::to_owned).collect();
    for model in if changes.models.is_empty() { &built_in } else { &changes.models } {
        let source = Source::find_with(model, changes.loading.clone(), progress)?;
        let checkpoint = source.checkpoint()?;
        let longest = checkpoint.config().max_position_embeddings;
        ensure!(
            Definition,
            needed <= longest,
            "{} reads {longest} tokens at most and the verification needs {needed}: lower --calibration-tokens, \
             --context-tokens or --scored-tokens",
            source.name()
        );
        bitkv_models::required(source.tokenizer(&checkpoint)?.as_ref(), &source.name())?;
    }
    Ok(())
}

/// Checks the folders of texts. Errors name the options, because the user has no file with the definition.
fn check_texts(changes: &Changes) -> Result<()> {
    let folders = [
        ("--calibration", &changes.calibration, Split::Calibration),
        ("--evaluation", &changes.evaluation, Split::Evaluation),
    ];
    let [calibration, evaluation] = folders.map(|(option, folder, split)| match folder {
        Some(folder) => Texts::from_folder(folder, split).map_err(|error| in_folder(option, folder, error)),
        None => Ok(suite::texts()?.only(split)),
    });
    calibration?.join(evaluation?).at("--calibration and --evaluation must have nothing in common")?;
    Ok(())
}

/// Applies the changes to the parsed definition.
fn apply(changes: &Changes, [calibration, context, scored]: [usize; 3], table: &mut Table) -> Result<()> {
    if !changes.models.is_empty() {
        replace_models(table, &changes.models);
    }
    let experiment = first(table, "experiment")?;
    set(experiment, "context", Some(context));
    set(experiment, "horizon", Some(scored));
    keep_policies(experiment, &changes.policies)?;
    if !changes.budgets.is_empty() {
        let all: Vec<Value> =
            [1.0].iter().chain(&changes.budgets).map(|budget| Value::Float(*budget)).collect();
        experiment.insert("budgets".into(), all.into());
    }
    if changes.loading.plain_llama {
        experiment.insert("forms".into(), vec!["plain-llama"].into());
    }
    if let Some(seed) = changes.seed {
        experiment.insert(
            "seeds".into(),
            vec![
                i64::try_from(seed)
                    .map_err(|_| Error::Definition("--seed is too large: use at most 2^63 - 1".into()))?,
            ]
            .into(),
        );
    }
    if let Some(folder) = &changes.evaluation {
        experiment.insert("texts".into(), path(folder)?);
    }
    let folder = changes.calibration.as_deref().map(path).transpose()?;
    let from = experiment
        .get_mut("calibration")
        .and_then(Value::as_table_mut)
        .refuse(Error::Definition, format!("{FILE} has no calibration"))?;
    set(from, "tokens", Some(calibration));
    from.extend(folder.clone().map(|folder| ("texts".to_owned(), folder)));
    let tasks = experiment
        .get_mut("tasks")
        .and_then(Value::as_array_mut)
        .refuse(Error::Definition, format!("{FILE} has no tasks"))?;
    match changes.recalls {
        Some(0) => tasks.retain(|task| !task.is_table()),
        recalls => {
            tasks.iter_mut().filter_map(Value::as_table_mut).for_each(|task| set(task, "count", recalls))
        }
    }
    let forms = changes.loading.plain_llama.then(|| ("forms".to_owned(), vec!["plain-llama"].into()));
    let profile = first(table, "profile")?;
    profile.extend(forms.clone());
    let shorter =
        profile.get("lengths").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_integer);
    let lengths: Vec<i64> =
        shorter.filter(|length| *length < calibration as i64).chain([calibration as i64]).collect();
    profile.insert("lengths".into(), lengths.into());
    profile.extend(folder.map(|folder| ("texts".to_owned(), folder)));
    let models = first(table, "experiment")?.get("models").cloned();
    let studies = table
        .get_mut("memory")
        .and_then(Value::as_array_mut)
        .refuse(Error::Definition, format!("{FILE} has no [[memory]]"))?;
    for study in studies.iter_mut().filter_map(Value::as_table_mut) {
        // The studies of the published models keep their models and contexts.
        if study.get("models") != models.as_ref() {
            continue;
        }
        study.extend(forms.clone());
        if study.get("accounting") == Some(&vec!["measured"].into()) {
            study.insert("contexts".into(), vec![context as i64].into());
        }
    }
    Ok(())
}

/// The policies that check a model, so that every verification has them.
const CHECKS: [&str; 2] = ["full", "uniform+random"];

/// Removes the policies that are not wanted, and the pairs of policies that are then incomplete. An empty
/// list removes nothing.
///
/// # Errors
/// Returns an error if the definition does not have one of the policies.
fn keep_policies(experiment: &mut Table, wanted: &[String]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let texts = |value: Option<&Value>| -> Vec<String> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let same = |a: &str, b: &str| PolicyText::new(a) == PolicyText::new(b);
    let known = texts(experiment.get("policies"));
    for policy in wanted {
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        ensure!(
            Definition,
            known.iter().any(|known| same(known, policy)),
            "--policy {policy} is not a policy of the verification: {}",
            bitkv_spelling::suggestion(policy, &names)
        );
    }
    let is_kept = |policy: &str| CHECKS.contains(&policy) || wanted.iter().any(|wanted| same(wanted, policy));
    let kept: Vec<Value> =
        known.iter().filter(|policy| is_kept(policy)).map(|text| text.clone().into()).collect();
    experiment.insert("policies".into(), kept.into());
    // The oracle may be missing now.
    experiment.insert("controls".into(), false.into());
    experiment.insert("analysis".into(), "Only some policies of the verification are measured.".into());
    if let Some(pairs) = experiment.get_mut("pairs").and_then(Value::as_array_mut) {
        pairs.retain(|pair| texts(Some(pair)).iter().all(|policy| is_kept(policy)));
        if pairs.is_empty() {
            experiment.remove("pairs");
            experiment.remove("equivalence");
        }
    }
    Ok(())
}

/// Replaces the built-in models by `models` in every section that lists them.
fn replace_models(table: &mut Table, models: &[String]) {
    let built_in: Value = bitkv_models::built_in().into();
    let sections = table.iter_mut().filter_map(|(_, value)| value.as_array_mut()).flatten();
    for section in sections.filter_map(Value::as_table_mut) {
        if section.get("models") == Some(&built_in) {
            section.insert("models".into(), models.to_vec().into());
        }
    }
}

/// Returns the first section of the list `key`.
fn first<'t>(table: &'t mut Table, key: &str) -> Result<&'t mut Table> {
    let list = table.get_mut(key).and_then(Value::as_array_mut);
    list.and_then(|list| list.first_mut()?.as_table_mut())
        .refuse(Error::Definition, format!("{FILE} has no [[{key}]]"))
}

/// Sets a key to a number, if there is one.
fn set(table: &mut Table, key: &str, value: Option<usize>) {
    if let Some(value) = value {
        table.insert(key.into(), Value::Integer(value as i64));
    }
}

/// Returns a folder as a definition names it. A relative path gets `./` before it, because a word such as
/// `suite` names the suite's own texts.
fn path(folder: &Path) -> Result<Value> {
    let text = folder
        .to_str()
        .refuse(Error::Definition, format!("the folder {} is not UTF-8 text: rename it", folder.display()))?;
    Ok(if folder.is_absolute() { text.to_owned() } else { format!("./{text}") }.into())
}
