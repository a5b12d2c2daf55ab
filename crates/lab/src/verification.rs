//! The definition of `bitkv verify`. It is compiled in; [`Changes`] replace its models, texts and sizes.

mod part;

use std::path::{Path, PathBuf};

use bitkv_progress::Progress;
use bitkv_record::{Definition, Split, Texts};
use toml::{Table, Value};

use bitkv_models::{Loading, Source, suite};

use crate::{
    Error, Result,
    error::{Place as _, Refuse as _, ensure},
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
    /// The policies that are measured, some of those of the definition, each once; empty to measure all. The
    /// full cache and random choice stay, because they check the model.
    pub policies: Vec<String>,
    /// The budgets besides the full one at which policies are measured, as fractions: some of those of the
    /// definition, each once; empty to keep all.
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
/// Returns an error if a policy or a budget is not one of the definition or is given twice, if a model cannot
/// be found, or if the sizes do not fit it.
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
    // A wrong option is refused before a model is downloaded.
    apply(changes, sizes, &mut table)?;
    check(changes, sizes, progress)?;
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
    check_texts(changes)?;
    let recall = if changes.recalls == Some(0) { 0 } else { RECALL };
    let needed = calibration.max(context.saturating_add(scored).saturating_add(1)).max(recall);
    for (i, model) in changes.models.iter().enumerate() {
        ensure!(
            Definition,
            !changes.models[..i].contains(model),
            "--model {model} is given twice: give it once"
        );
    }
    let built_in = bitkv_models::built_in().into_iter().map(str::to_owned).collect();
    for model in if changes.models.is_empty() { &built_in } else { &changes.models } {
        let source = Source::find_with(model, changes.loading, progress)?;
        let checkpoint = source.checkpoint()?;
        let longest = checkpoint.config().max_position_embeddings;
        ensure!(
            Definition,
            needed <= longest,
            "{} reads {longest} tokens at most and the verification needs {needed}: {}",
            source.name(),
            remedy(longest, recall)
        );
        bitkv_models::required(source.tokenizer(&checkpoint)?.as_ref(), &source.name())?;
    }
    Ok(())
}

/// Returns what to do about a model that reads only `longest` tokens, if retrieval needs `recall` tokens.
fn remedy(longest: usize, recall: usize) -> String {
    // The shortest context is followed by one scored token and its target.
    let least = SHORTEST + 2;
    if longest < least {
        return format!(
            "use a model that reads {least} tokens or more, or write a definition for `bitkv run`"
        );
    }
    let retrieval = if longest < recall { "use --recalls 0, and " } else { "" };
    format!("{retrieval}lower --calibration-tokens, --context-tokens or --scored-tokens")
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
fn apply(changes: &Changes, sizes: [usize; 3], table: &mut Table) -> Result<()> {
    if !changes.models.is_empty() {
        replace_models(table, &changes.models);
    }
    part::keep(table, &changes.policies, &changes.budgets)?;
    change_experiment(changes, sizes, first(table, "experiment")?)?;
    let [calibration, context, _] = sizes;
    change_profile(changes, calibration, first(table, "profile")?)?;
    change_memory(changes, context, table)
}

/// Changes the sizes, texts, form, seed and tasks of the experiment.
fn change_experiment(
    changes: &Changes,
    [calibration, context, scored]: [usize; 3],
    experiment: &mut Table,
) -> Result<()> {
    set(experiment, "context", Some(context));
    set(experiment, "horizon", Some(scored));
    experiment.extend(forms(changes));
    if let Some(seed) = changes.seed {
        let seed = i64::try_from(seed)
            .map_err(|_| Error::Definition("--seed is too large: use at most 2^63 - 1".into()))?;
        experiment.insert("seeds".into(), vec![seed].into());
    }
    if let Some(folder) = &changes.evaluation {
        experiment.insert("texts".into(), path(folder)?);
    }
    let from = experiment
        .get_mut("calibration")
        .and_then(Value::as_table_mut)
        .refuse(Error::Definition, format!("{FILE} has no calibration"))?;
    set(from, "tokens", Some(calibration));
    from.extend(calibration_texts(changes)?);
    change_tasks(changes.recalls, experiment)
}

/// Changes the number of retrieval contexts. With 0, the experiment has no retrieval task.
fn change_tasks(recalls: Option<usize>, experiment: &mut Table) -> Result<()> {
    let tasks = experiment
        .get_mut("tasks")
        .and_then(Value::as_array_mut)
        .refuse(Error::Definition, format!("{FILE} has no tasks"))?;
    match recalls {
        Some(0) => tasks.retain(|task| !task.is_table()),
        _ => tasks.iter_mut().filter_map(Value::as_table_mut).for_each(|task| set(task, "count", recalls)),
    }
    Ok(())
}

/// Changes the form, the texts and the lengths of the profile. The longest length is that of the
/// calibration.
fn change_profile(changes: &Changes, calibration: usize, profile: &mut Table) -> Result<()> {
    profile.extend(forms(changes));
    let shorter =
        profile.get("lengths").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_integer);
    let lengths: Vec<i64> =
        shorter.filter(|length| *length < calibration as i64).chain([calibration as i64]).collect();
    profile.insert("lengths".into(), lengths.into());
    profile.extend(calibration_texts(changes)?);
    Ok(())
}

/// Changes the form and the context of the memory studies. Those of the published models stay.
fn change_memory(changes: &Changes, context: usize, table: &mut Table) -> Result<()> {
    let models = first(table, "experiment")?.get("models").cloned();
    let studies = table
        .get_mut("memory")
        .and_then(Value::as_array_mut)
        .refuse(Error::Definition, format!("{FILE} has no [[memory]]"))?;
    let is_own = |study: &&mut Table| study.get("models") == models.as_ref();
    for study in studies.iter_mut().filter_map(Value::as_table_mut).filter(is_own) {
        study.extend(forms(changes));
        if study.get("accounting") == Some(&vec!["measured"].into()) {
            study.insert("contexts".into(), vec![context as i64].into());
        }
    }
    Ok(())
}

/// Returns the key of a plain Llama, if the models run as one.
fn forms(changes: &Changes) -> Option<(String, Value)> {
    changes.loading.plain_llama.then(|| ("forms".to_owned(), vec!["plain-llama"].into()))
}

/// Returns the key of the calibration texts, if they are replaced.
fn calibration_texts(changes: &Changes) -> Result<Option<(String, Value)>> {
    let folder = changes.calibration.as_deref().map(path).transpose()?;
    Ok(folder.map(|folder| ("texts".to_owned(), folder)))
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
