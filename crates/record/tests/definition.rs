//! Experiment definitions: what the reader accepts, the defaults, and the error for every mistake.

use std::path::Path;

use bitkv_record::{
    AskedBudget, AxisLists, CalibrationSettings, Definition, Equal, Equivalence, Experiment, Form, GridTask,
    KvFormat, MetricGroup, PolicyRole, Positions, ScoredTask, TaskKind, TextSource, When, sha256,
};

const GOOD: &str = r#"
analysis = '''Does it help? Refuted if the interval includes zero.'''

[[experiment]]
name = "scorers"
models = ["tiny-mha", "tiny-gqa"]
texts = "evaluation"
context = 896
horizon = 127
budgets = [1.0, 0.5, "64 tokens", "32 KiB"]
policies = ["full", " uniform+recency ", "uniform+random", "uniform + oracle{horizon=3}"]
"#;

const WHOLE: &str = r#"
analysis = "refuted if not"

[[experiment]]
name = "everything-2"
analysis = "because"
models = ["m"]
forms = ["true", "plain-llama"]
texts = "own/texts"
context = 256
horizon = 32
budgets = [1]
policies = ["uniform+recency", "uniform+key{x='a', y=1}"]
pairs = [["uniform + key{y=1,x=\"a\"}", "uniform+recency"]]
controls = false
when = ["once", "chunked", "decoding", {prefill-chunk = 64, every = 8}]
positions = ["rerotated"]
kv = ["f16", "kivi2"]
equal = "bytes"
metrics = ["kl", "timing"]
tasks = ["text", "copy", {kind = "passkey", count = 3, tokens = 200, aware = true}]
calibration = {tokens = 64, texts = "../cal", head-scores = "scores.json"}
seeds = [0, 7]
draws = 16
equivalence = {kl = 0.002, accuracy = 0.05}
"#;

fn refusal(text: &str) -> String {
    let message = Definition::from_toml(text, "lab/sweep.toml").unwrap_err().to_string();
    assert!(message.starts_with("'lab/sweep.toml'") && !message.contains('\n'), "{message}");
    message
}

/// Returns the error of the good definition with one change.
fn changed(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from}");
    refusal(&text)
}

#[test]
fn missing_keys_have_their_defaults() {
    let definition = Definition::from_toml(GOOD, "lab/sweep.toml").unwrap();
    assert_eq!((definition.file(), definition.text()), ("lab/sweep.toml", GOOD));
    assert_eq!(definition.sha256(), sha256(GOOD.as_bytes()));
    let [experiment] = &definition.experiments[..] else { panic!() };
    let expected = Experiment {
        name: "scorers".into(),
        models: vec!["tiny-mha".into(), "tiny-gqa".into()],
        axes: AxisLists::default(),
        texts: TextSource::Evaluation,
        context: 896,
        horizon: 127,
        budgets: vec![
            AskedBudget::FULL,
            AskedBudget::Fraction(0.5),
            AskedBudget::Tokens(64),
            AskedBudget::Bytes(32768),
        ],
        policies: ["full", "uniform+recency", "uniform+random", "uniform + oracle{horizon=3}"]
            .map(String::from)
            .to_vec(),
        pairs: Vec::new(),
        equal: Equal::Tokens,
        metrics: vec![
            MetricGroup::Kl,
            MetricGroup::Attention,
            MetricGroup::OutputError,
            MetricGroup::FreeRunning,
        ],
        tasks: vec![GridTask { task: ScoredTask::TEXT, count: 0, tokens: 896 }],
        calibration: CalibrationSettings::Texts {
            texts: TextSource::Calibration,
            tokens: 512,
            head_scores: None,
        },
        seeds: vec![0],
        draws: 1,
        equivalence: None,
        controls: true,
        analysis: None,
        cell_seconds: None,
    };
    assert_eq!(experiment, &expected);
}

#[test]
fn every_key_is_read() {
    let experiment = Definition::from_toml(WHOLE, "lab/sweep.toml").unwrap().experiments.remove(0);
    assert_eq!(experiment.axes.form, [Form::True, Form::PlainLlama]);
    assert_eq!(experiment.texts, TextSource::Folder("lab/own/texts".into()));
    assert_eq!(experiment.budgets, [AskedBudget::FULL]);
    let both = When { prefill_chunk: Some(64), every: Some(8) };
    assert_eq!(experiment.axes.when, [When::ONCE, When::CHUNKED, When::DECODING, both]);
    assert_eq!(experiment.pairs, [(r#"uniform + key{y=1,x="a"}"#.to_owned(), "uniform+recency".to_owned())]);
    assert_eq!((experiment.axes.positions, experiment.equal), (vec![Positions::Rerotated], Equal::Bytes));
    assert_eq!(experiment.axes.kv, [KvFormat::F16, KvFormat::Kivi2]);
    assert_eq!(experiment.metrics, [MetricGroup::Kl, MetricGroup::Timing]);
    let task = |kind, aware, count, tokens| GridTask { task: ScoredTask { kind, aware }, count, tokens };
    let tasks = [
        task(TaskKind::Text, false, 0, 256),
        task(TaskKind::Copy, false, 11, 256),
        task(TaskKind::Passkey, true, 3, 200),
    ];
    assert_eq!(experiment.tasks, tasks);
    let calibration = CalibrationSettings::Texts {
        texts: TextSource::Folder("lab/../cal".into()),
        tokens: 64,
        head_scores: Some("lab/scores.json".into()),
    };
    assert_eq!(experiment.calibration, calibration);
    assert_eq!((experiment.seeds, experiment.controls), (vec![0, 7], false));
    let margins = Equivalence { kl: Some(0.002), agreement: None, accuracy: Some(0.05) };
    assert_eq!((experiment.draws, experiment.equivalence), (16, Some(margins)));
    assert_eq!(experiment.analysis.as_deref(), Some("because"));

    let profile = WHOLE.replace("tokens = 64, texts = \"../cal\"", "profile = \"p.json\"");
    let calibration = Definition::from_toml(&profile, "d.toml").unwrap().experiments.remove(0).calibration;
    let head_scores = Some("scores.json".into());
    assert_eq!(calibration, CalibrationSettings::File { profile: "p.json".into(), head_scores });
}

/// Values of an axis are compared with each other, so margins do not need pairs of policies.
#[test]
fn margins_of_equivalence_apply_to_axes_too() {
    let axes = [
        "kv = [\"f16\", \"int8\"]",
        "when = [\"once\", \"decoding\"]",
        "positions = [\"original\", \"rerotated\"]",
        "forms = [\"true\", \"plain-llama\"]",
    ];
    for axis in axes {
        let text = format!("{GOOD}{axis}\nequivalence = {{kl = 0.001}}\n");
        let experiment = Definition::from_toml(&text, "d.toml").unwrap().experiments.remove(0);
        assert_eq!(experiment.equivalence.and_then(|margins| margins.kl), Some(0.001), "{axis}");
    }
}

#[test]
fn errors_are_one_sentence_with_file_experiment_key_and_remedy() {
    assert_eq!(
        changed("budgets = [1.0, ", "budgets = ["),
        "'lab/sweep.toml', experiment 'scorers': budgets lacks 1.0, at which every policy must leave the output unchanged: add 1.0"
    );
    assert_eq!(
        changed("horizon = 127", "horizon = 127\nbudget = 3"),
        "'lab/sweep.toml', experiment 'scorers': there is no key 'budget': remove it, or write 'budgets' if that is \
         meant, or another of name, models, texts, context, horizon, budgets, policies, pairs, equal, metrics, tasks, \
         calibration, seeds, draws, equivalence, controls, analysis, cell_seconds, forms, when, positions, kv"
    );
    assert_eq!(
        changed("context = 896", "context = \"long\""),
        "'lab/sweep.toml', experiment 'scorers': context = \"long\" is a string: write a whole number"
    );
}

/// Every gap has its number and its section, and a gap that follows from another is not reported.
#[test]
fn all_gaps_are_reported_at_once() {
    let text = GOOD
        .replace("Refuted", "Denied")
        .replace("budgets = [1.0, ", "budgets = [")
        .replace("horizon = 127", "horizons = 127\ntasks = [\"recal\", \"passky\"]\nkv = [\"int3\"]");
    let message = refusal(&text);
    let clauses: Vec<&str> = message.split("; ").collect();
    let expected = [
        "'lab/sweep.toml' has 6 gaps: (1) analysis must say what result refutes the expectation: ",
        "(2) experiment 'scorers': there is no key 'horizons': remove it, or write 'horizon' if that is meant, ",
        "(3) experiment 'scorers': kv: 'int3' is not a known KV format: write 'int8' if that is meant",
        "(4) experiment 'scorers': tasks: 'recal' is not a known task: write 'recall' if that is meant",
        "(5) experiment 'scorers': tasks: 'passky' is not a known task: write 'passkey' if that is meant",
        "(6) experiment 'scorers': budgets lacks 1.0, ",
    ];
    assert_eq!(clauses.len(), expected.len(), "{message}");
    for (clause, start) in clauses.iter().zip(expected) {
        assert!(clause.starts_with(start), "{clause}\n  begins otherwise than: {start}");
    }
    let sections = GOOD.to_owned()
        + "[[profile]]\nname = \"P\"\nmodels = []\ntexts = \"suite\"\n[[memory]]\nname = \"m\"\nmodels = [\"m\"]\n";
    let message = refusal(&sections);
    for part in [
        "has 4 gaps: (1) profile 'P': models = [] is empty",
        "(2) profile 'P': lengths is missing",
        "(3) memory 'm': contexts is missing",
        "(4) name = \"P\" is not a valid name",
    ] {
        assert!(message.contains(part), "{message}\n  lacks: {part}");
    }
}

#[test]
fn impossible_values_are_refused() {
    let end = "oracle{horizon=3}\"]";
    let added = |line: &str| changed(end, &format!("{end}\n{line}"));
    let cases = [
        (
            changed("Refuted", "Denied"),
            "analysis must say what result refutes the expectation: add a sentence that begins with 'Refuted if'",
        ),
        (changed("analysis", "analyse"), "no key 'analyse'"),
        (changed("[[experiment]]", "[experiment]"), "write a list in brackets"),
        (
            changed("name = \"scorers\"", ""),
            "a section [[experiment]]: name is missing: add a line such as name = \"scorers\"",
        ),
        (
            changed("analysis = '''Does it help? Refuted if the interval includes zero.'''", ""),
            "analysis is missing: add a line such as analysis = ",
        ),
        (changed("scorers", "The Scorers"), "lower-case letters, digits and hyphens"),
        (changed("[\"tiny-mha\", \"tiny-gqa\"]", "[]"), "models = [] is empty"),
        (changed("tiny-gqa", "tiny-mha"), "models lists \"tiny-mha\" twice"),
        (changed("tiny-gqa", " "), "models has an empty string"),
        (changed("models = [\"tiny-mha\", \"tiny-gqa\"]\n", ""), "models is missing"),
        (changed("\"evaluation\"", "\"evalution\""), "write \"evaluation\" or \"long\", or a folder"),
        (changed("texts = \"evaluation\"\n", ""), "texts is missing"),
        (changed("896", "0"), "context = 0 is too small: write a whole number of at least 1"),
        (changed("127", "0"), "horizon = 0 is too small: write a whole number of at least 1"),
        (changed("127", "-3"), "horizon = -3 is too small"),
        (changed("0.5", "1.5"), "budgets: 1.5 is not a fraction in (0, 1]"),
        (changed("0.5", "0.0"), "budgets: 0.0 is not"),
        (
            changed("0.5", "64"),
            "budgets: 64 is not a fraction in (0, 1] and has no unit: write \"64 tokens\" for a number of tokens",
        ),
        (changed("32 KiB", "32 kB"), "budgets: '32 kB' is not a budget"),
        (changed("0.5", "1.0"), "budgets lists 1.0 twice"),
        (
            changed("64 tokens", "897 tokens"),
            "'897 tokens' is more than the 896 tokens of a context of task 'text'",
        ),
        (
            added("pairs = [\"full\"]"),
            "pairs has \"full\", which is not a pair of policies: write a pair such as",
        ),
        (added("pairs = [[\"full\", \"a\", \"b\"]]"), "which is not a pair of policies"),
        (
            added("pairs = [[\"full\", 3]]"),
            "pairs lists 3, which is a whole number: write a string in quotes",
        ),
        (
            added("pairs = [[\"full\", \"uniform+recency{sinks=0}\"]]"),
            "pairs: 'uniform+recency{sinks=0}' is not in policies: add it there, or write",
        ),
        (added("pairs = [[\"uniform+random\", \"uniform + random\"]]"), "is paired with itself"),
        (
            added("pairs = [[\"full\", \"uniform+random\"], [\"full\", \"uniform+random\"]]"),
            "twice: list it once",
        ),
        (added("controls = false"), "controls = false needs a reason"),
        (added("controls = 1"), "write true or false"),
        (
            added("forms = [\"llama\"]"),
            "'llama' is not a known form of a model: write one of true, plain-llama",
        ),
        (added("when = [\"never\"]"), "when: 'never' is not a time of eviction"),
        (added("when = [{}]"), "when has an empty table: write \"once\""),
        (added("when = [{evry = 3}]"), "no key 'when.evry': remove it, or write 'every'"),
        (
            added("when = [{prefill-chunk = 896}]"),
            "so a context of 896 tokens of task 'text' is never divided: write \"chunked-448\" instead, or \"once\"",
        ),
        (
            added("when = [{every = 127}]"),
            "horizon = 127 is not longer: set `every` below 127, or raise horizon",
        ),
        (added("kv = [\"int3\"]"), "kv: 'int3' is not a known KV format: write 'int8' if that is meant"),
        (added("equal = \"bytes\""), "kv lists only f16"),
        (added("metrics = [\"timing\"]"), "metrics lacks \"kl\""),
        (added("tasks = [{count = 3}]"), "tasks.kind is missing"),
        (added("tasks = [{kind = \"text\", count = 3}]"), "tasks has options for \"text\", which has none"),
        (
            added("tasks = [\"copy\", {kind = \"copy\", count = 3}]"),
            "tasks lists 'copy' with 896 tokens twice",
        ),
        (added("tasks = [{kind = \"copy\", tokens = 50}]"), "the 50 tokens of a context of task 'copy'"),
        (added("tasks = [{kind = \"copy\", count = 0}]"), "tasks.count = 0 is too small"),
        (added("calibration = 512"), "calibration = 512 is a whole number: write a table"),
        (
            added("calibration = {texts = \"evaluation\"}"),
            "calibration.texts = \"evaluation\" is not allowed here",
        ),
        (
            added("calibration = {profile = \"p\", tokens = 3}"),
            "calibration.tokens has no effect beside calibration.profile: remove one",
        ),
        (added("calibration = {tokens = 1}"), "calibration.tokens = 1 is too small"),
        (added("seeds = [-1]"), "seeds lists -1, which is too small: write a whole number of at least 0"),
        (added("seeds = [\"a\"]"), "seeds lists \"a\", which is a string: write a whole number"),
        (added("draws = 0"), "draws = 0 is too small: write a whole number of at least 1"),
        (
            added("cell_seconds = 0"),
            "cell_seconds = 0 is not a time limit: write a number of seconds above 0",
        ),
        (added("cell_seconds = nan"), "cell_seconds = nan is not a time limit"),
        (added("seeds = [1, -1]"), "seeds lists -1"),
        (
            added(&format!("seeds = {:?}", (0..1001).collect::<Vec<_>>())),
            "seeds has 1001 entries: write at most 1000",
        ),
        (
            added("tasks = [{kind = \"recall\", tokens = 9223372036854775807}]"),
            "tasks.tokens = 9223372036854775807 is too large: write a whole number of at most 67108864",
        ),
        (
            added("tasks = [{kind = \"recall\", tokens = 67108864}]"),
            "the generated contexts of tasks have 738197504 tokens together: use at most 33554432",
        ),
        (
            added(&format!("draws = 1000\nseeds = {:?}", (0..1000).collect::<Vec<_>>())),
            "cells on each of 1 contexts: use at most 200000 cells",
        ),
        (added("draws = 1001"), "draws = 1001 is too large: write a whole number of at most 1000"),
        (
            added("equivalence = 0.001"),
            "equivalence = 0.001 is a number: write a table, such as equivalence = {kl = 0.001}",
        ),
        (
            added("equivalence = {}"),
            "equivalence has no margin: write the largest difference that does not matter",
        ),
        (
            added("equivalence = {kl = -0.001}"),
            "equivalence.kl = -0.001 is not a margin: write a number above 0",
        ),
        (added("equivalence = {kl = nan}"), "equivalence.kl = NaN is not a margin"),
        (added("equivalence = {kl = \"small\"}"), "equivalence.kl = \"small\" is a string: write a number"),
        (added("equivalence = {nll = 1}"), "there is no key 'equivalence.nll'"),
        (
            added("equivalence = {agreement = 1}"),
            "equivalence.agreement = 1.0 is not a margin: write a number between 0 and 1",
        ),
        (
            added("equivalence = {kl = 1}"),
            "equivalence tests the policies of pairs, and the values of forms, when, positions and kv, but there are no \
             pairs and every axis has one value: add pairs = ",
        ),
        (
            added("kv = [\"f16\", \"int8\"]\nequivalence = {accuracy = 0.01}"),
            "no task has answers: add a task such as \"passkey\", or remove accuracy",
        ),
        (added("forms = [true]"), "forms lists true, which is a boolean: write a string in quotes"),
        (
            added("[[profile]]\nname = \"p\"\nmodels = [\"m\"]\ntexts = \"suite\"\nlengths = [1]"),
            "'lab/sweep.toml', profile 'p': lengths lists 1, which is too small",
        ),
        (
            added("[[memory]]\nname = \"m\"\nmodels = [\"m\"]\ncontexts = 3"),
            "'lab/sweep.toml', memory 'm': contexts = 3 is a whole number: write a list in brackets",
        ),
        (changed("context = 896", "context = "), "line 8 is not TOML"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}\n  lacks: {expected}");
    }
}

#[test]
fn names_are_unique_and_a_definition_has_a_section() {
    let body = &GOOD[GOOD.find("[[").unwrap()..];
    assert!(refusal(&format!("{GOOD}{body}")).contains("two sections are named 'scorers'"));
    assert!(refusal("analysis = 'refuted if'").contains("there is nothing to measure"));
    let other = body.replace("\"scorers\"", "\"others\"");
    assert_eq!(Definition::from_toml(&format!("{GOOD}{other}"), "d").unwrap().experiments.len(), 2);
}

#[test]
fn a_file_is_read_and_a_missing_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.toml");
    std::fs::write(&path, WHOLE).unwrap();
    let definition = Definition::read(&path).unwrap();
    assert_eq!(definition.experiments[0].texts, TextSource::Folder(folder.path().join("own/texts")));
    assert!(Definition::read(Path::new("no/such.toml")).unwrap_err().to_string().contains("no/such.toml"));
}

/// Returns the role of a policy, as a registry would return it.
fn role_of(policy: &str) -> Option<PolicyRole> {
    let has_part = |name: &str| policy.split(['+', '{']).any(|part| part.trim() == name);
    let all = [
        ("full", PolicyRole::Full),
        ("random", PolicyRole::Control),
        ("spread", PolicyRole::Control),
        ("oracle", PolicyRole::Oracle),
    ];
    let found = all.into_iter().find(|(name, _)| has_part(name)).map(|(_, role)| role);
    found.or((!has_part("nothing")).then_some(PolicyRole::Method))
}

#[test]
fn an_experiment_must_list_its_controls() {
    let checked = |from: &str, to: &str| {
        let text = GOOD.replacen(from, to, 1);
        let result = Definition::from_toml(&text, "lab/sweep.toml").unwrap().check_roles(role_of);
        result.map_or_else(|error| error.to_string(), |()| "no error".to_owned())
    };
    assert_eq!(checked("x", "x"), "no error");
    assert_eq!(
        checked("\"full\", ", ""),
        "'lab/sweep.toml', experiment 'scorers': policies lacks the full cache, which every experiment needs as a \
         reference: add \"full\", or write controls = false and give the reason in the key analysis of this experiment"
    );
    assert!(
        checked("+random", "+recency{sinks=4}").contains("policies lacks random choice with uniform budgets")
    );
    let many = "policies = [\"uniform+recency\"]";
    let all =
        "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]";
    assert!(checked(all, many).contains(
        "policies lacks the full cache, random choice with uniform budgets and an oracle, which every experiment needs \
         as references: add \"full\", \"uniform+random\" and \"uniform+oracle\", or write controls = false"
    ));
    assert!(checked("uniform+random", "entropy+random").contains("add \"uniform+random\""));
    // Another control does not replace random choice.
    assert!(checked("uniform+random", "uniform+spread").contains("add \"uniform+random\""));
    assert!(checked("uniform+random", "uniform+nothing").contains("add \"uniform+random\""));
    assert!(checked("oracle", "recent").contains("policies lacks an oracle"));
    let off = "seeds = [0]\ncontrols = false\nanalysis = \"none\"\npolicies = [\"uniform+recency\"]\n";
    assert_eq!(
        checked(
            "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]",
            off
        ),
        "no error"
    );
    let forms = format!("{off}metrics = [\"kl\", \"form\"]\nforms = [\"true\", \"plain-llama\"]\n");
    let message = checked(
        "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]",
        &forms,
    );
    assert!(
        message.ends_with("which needs the full cache, but policies does not list it: add \"full\""),
        "{message}"
    );
}

/// What the error proposes is accepted, also for the shortest contexts.
#[test]
fn proposed_chunks_are_accepted() {
    for (context, when) in
        [(96, "chunked"), (2, "chunked-2+decoding-8"), (1, "chunked"), (1, "chunked-1+decoding-8")]
    {
        let parsed = |when: &str| {
            let text = GOOD.replace("context = 896", &format!("context = {context}\nwhen = [\"{when}\"]"));
            Definition::from_toml(&text.replace("[1.0, 0.5, \"64 tokens\", \"32 KiB\"]", "[1.0]"), "a.toml")
        };
        let error = parsed(when).unwrap_err().to_string();
        let proposed = error.split_once("write \"").unwrap().1.split_once('"').unwrap().0;
        parsed(proposed).unwrap_or_else(|refusal| panic!("{error}: {refusal}"));
    }
}
