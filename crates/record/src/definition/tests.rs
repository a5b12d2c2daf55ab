use super::*;
use crate::{KvFormat, PolicyRole, Positions, TaskKind, When};

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
"#;

fn said(text: &str) -> String {
    let said = Definition::from_toml(text, "lab/sweep.toml").unwrap_err().to_string();
    assert!(said.starts_with("'lab/sweep.toml'") && !said.contains('\n'), "{said}");
    said
}

/// What is said of the good definition with one thing changed.
fn changed(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from}");
    said(&text)
}

#[test]
fn what_is_left_out_has_its_default() {
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
        metrics: vec![Metric::Kl, Metric::Attention, Metric::OutputError, Metric::FreeRunning],
        tasks: vec![GridTask { task: ScoredTask::TEXT, count: 0, tokens: 896 }],
        calibration: Calibration::Texts { texts: TextSource::Calibration, tokens: 512, head_scores: None },
        seeds: vec![0],
        controls: true,
        analysis: None,
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
    assert_eq!(experiment.metrics, [Metric::Kl, Metric::Timing]);
    let task = |kind, aware, count, tokens| GridTask { task: ScoredTask { kind, aware }, count, tokens };
    let tasks = [
        task(TaskKind::Text, false, 0, 256),
        task(TaskKind::Copy, false, 11, 256),
        task(TaskKind::Passkey, true, 3, 200),
    ];
    assert_eq!(experiment.tasks, tasks);
    let calibration = Calibration::Texts {
        texts: TextSource::Folder("lab/../cal".into()),
        tokens: 64,
        head_scores: Some("lab/scores.json".into()),
    };
    assert_eq!(experiment.calibration, calibration);
    assert_eq!((experiment.seeds, experiment.controls), (vec![0, 7], false));
    assert_eq!(experiment.analysis.as_deref(), Some("because"));

    let profile = WHOLE.replace("tokens = 64, texts = \"../cal\"", "profile = \"p.json\"");
    let calibration = Definition::from_toml(&profile, "d.toml").unwrap().experiments.remove(0).calibration;
    let head_scores = Some("scores.json".into());
    assert_eq!(calibration, Calibration::File { profile: "p.json".into(), head_scores });
}

#[test]
fn errors_are_one_sentence_with_file_experiment_key_and_remedy() {
    assert_eq!(
        changed("budgets = [1.0, ", "budgets = ["),
        "'lab/sweep.toml', experiment 'scorers': budgets lacks 1.0, at which a policy must change nothing: add 1.0"
    );
    assert_eq!(
        changed("horizon = 127", "horizon = 127\nbudget = 3"),
        "'lab/sweep.toml', experiment 'scorers': there is no key 'budget': remove it, or write 'budgets' if that is \
         meant, of name, models, texts, context, horizon, budgets, policies, pairs, equal, metrics, tasks, \
         calibration, seeds, controls, analysis, forms, when, positions, kv"
    );
    assert_eq!(
        changed("context = 896", "context = \"long\""),
        "'lab/sweep.toml', experiment 'scorers': context = \"long\" is a text: write a whole number"
    );
}

#[test]
fn impossible_values_are_refused() {
    let end = "oracle{horizon=3}\"]";
    let with = |line: &str| changed(end, &format!("{end}\n{line}"));
    let cases = [
        (changed("Refuted", "Denied"), "analysis does not say what would refute"),
        (changed("analysis", "analyse"), "no key 'analyse'"),
        (changed("[[experiment]]", "[experiment]"), "write a list in brackets"),
        (changed("name = \"scorers\"", ""), "name is missing: add a line such as name = \"scorers\""),
        (changed("scorers", "The Scorers"), "lower-case letters, digits and hyphens"),
        (changed("[\"tiny-mha\", \"tiny-gqa\"]", "[]"), "models = [] is empty"),
        (changed("tiny-gqa", "tiny-mha"), "models lists \"tiny-mha\" twice"),
        (changed("tiny-gqa", " "), "models has an empty text"),
        (changed("models = [\"tiny-mha\", \"tiny-gqa\"]\n", ""), "models is missing"),
        (changed("\"evaluation\"", "\"evalution\""), "write \"evaluation\", or a folder"),
        (changed("texts = \"evaluation\"\n", ""), "texts is missing"),
        (changed("896", "0"), "context = 0 cannot be: write a whole number of at least 1"),
        (changed("127", "0"), "horizon = 0 cannot be: write a whole number of at least 1"),
        (changed("127", "-3"), "horizon = -3 cannot be"),
        (changed("0.5", "1.5"), "budgets: 1.5 is not a fraction kept in (0, 1]"),
        (changed("0.5", "0.0"), "budgets: 0.0 is not"),
        (changed("0.5", "64"), "write \"64 tokens\" if that is meant"),
        (changed("32 KiB", "32 kB"), "budgets: '32 kB' is not a budget"),
        (changed("0.5", "1.0"), "budgets lists 1.0 twice"),
        (
            changed("64 tokens", "897 tokens"),
            "'897 tokens' is more than the 896 tokens of a context of task 'text'",
        ),
        (with("pairs = [\"full\"]"), "pairs has \"full\" where two policies should stand"),
        (with("pairs = [[\"full\", \"a\", \"b\"]]"), "where two policies should stand"),
        (with("pairs = [[\"full\", 3]]"), "pairs = 3 is a whole number: write a text in quotes"),
        (
            with("pairs = [[\"full\", \"uniform+recency{sinks=0}\"]]"),
            "pairs: 'uniform+recency{sinks=0}' is not among policies: add it there, or write",
        ),
        (with("pairs = [[\"uniform+random\", \"uniform + random\"]]"), "is paired with itself"),
        (
            with("pairs = [[\"full\", \"uniform+random\"], [\"full\", \"uniform+random\"]]"),
            "twice: list it once",
        ),
        (with("controls = false"), "controls = false needs a reason"),
        (with("controls = 1"), "write true or false"),
        (with("forms = [\"llama\"]"), "'llama' is no form of a model: write one of true, plain-llama"),
        (with("when = [\"never\"]"), "when: 'never' is not when a cache is cut"),
        (with("when = [{}]"), "when has an empty table: write \"once\""),
        (with("when = [{evry = 3}]"), "no key 'when.evry': remove it, or write 'every'"),
        (with("when = [{prefill-chunk = 896}]"), "never divided"),
        (with("when = [{every = 127}]"), "horizon = 127 is not longer"),
        (with("kv = [\"int3\"]"), "kv: 'int3' is no KV format: write 'int8' if that is meant"),
        (with("equal = \"bytes\""), "kv lists only f16"),
        (with("metrics = [\"timing\"]"), "metrics lacks \"kl\""),
        (with("tasks = [{count = 3}]"), "tasks.kind is missing"),
        (with("tasks = [{kind = \"text\", count = 3}]"), "gives options to texts"),
        (
            with("tasks = [\"copy\", {kind = \"copy\", count = 3}]"),
            "tasks lists 'copy' with 896 tokens twice",
        ),
        (with("tasks = [{kind = \"copy\", tokens = 50}]"), "the 50 tokens of a context of task 'copy'"),
        (with("tasks = [{kind = \"copy\", count = 0}]"), "tasks.count = 0 cannot be"),
        (with("calibration = 512"), "calibration = 512 is a whole number: write a table"),
        (
            with("calibration = {texts = \"evaluation\"}"),
            "calibration.texts = \"evaluation\" is not possible here",
        ),
        (with("calibration = {profile = \"p\", tokens = 3}"), "calibration.tokens means nothing beside"),
        (with("calibration = {tokens = 1}"), "calibration.tokens = 1 cannot be"),
        (with("seeds = [-1]"), "seeds = -1 cannot be"),
        (changed("context = 896", "context = "), "line 8 is not TOML"),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said}\n  lacks: {expected}");
    }
}

#[test]
fn names_are_unique_and_there_is_an_experiment() {
    let body = &GOOD[GOOD.find("[[").unwrap()..];
    assert!(said(&format!("{GOOD}{body}")).contains("two sections are named 'scorers'"));
    assert!(said("analysis = 'refuted if'").contains("there is nothing to measure"));
    let other = body.replace("\"scorers\"", "\"others\"");
    assert_eq!(Definition::from_toml(&format!("{GOOD}{other}"), "d").unwrap().experiments.len(), 2);
}

#[test]
fn a_file_is_read_and_one_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sweep.toml");
    std::fs::write(&path, WHOLE).unwrap();
    let definition = Definition::read(&path).unwrap();
    assert_eq!(definition.experiments[0].texts, TextSource::Folder(folder.path().join("own/texts")));
    assert!(Definition::read(Path::new("no/such.toml")).unwrap_err().to_string().contains("no/such.toml"));
}

/// Roles as a registry would tell them.
fn role_of(policy: &str) -> Option<PolicyRole> {
    let is = |name: &str| policy.split(['+', '{']).any(|part| part.trim() == name);
    let all = [
        ("full", PolicyRole::Full),
        ("random", PolicyRole::Control),
        ("spread", PolicyRole::Control),
        ("oracle", PolicyRole::Oracle),
    ];
    let found = all.into_iter().find(|(name, _)| is(name)).map(|(_, role)| role);
    found.or((!is("nothing")).then_some(PolicyRole::Method))
}

#[test]
fn an_experiment_lists_its_controls() {
    let said = |from: &str, to: &str| {
        let text = GOOD.replacen(from, to, 1);
        let checked = Definition::from_toml(&text, "lab/sweep.toml").unwrap().check_roles(role_of);
        checked.map_or_else(|error| error.to_string(), |()| "nothing".to_owned())
    };
    assert_eq!(said("x", "x"), "nothing");
    assert_eq!(
        said("\"full\", ", ""),
        "'lab/sweep.toml', experiment 'scorers': policies lacks the full cache, without which nothing can be judged: \
         add \"full\", or write controls = false and the reason in analysis of this experiment"
    );
    assert!(
        said("+random", "+recency{sinks=4}").contains("policies lacks random choice with uniform budgets")
    );
    assert!(said("uniform+random", "entropy+random").contains("add \"uniform+random\""));
    // Another control is not random.
    assert!(said("uniform+random", "uniform+spread").contains("add \"uniform+random\""));
    assert!(said("uniform+random", "uniform+nothing").contains("add \"uniform+random\""));
    assert!(said("oracle", "recent").contains("policies lacks an oracle"));
    let off = "seeds = [0]\ncontrols = false\nanalysis = \"none\"\npolicies = [\"uniform+recency\"]\n";
    assert_eq!(
        said(
            "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]",
            off
        ),
        "nothing"
    );
    let forms = format!("{off}metrics = [\"kl\", \"form\"]\nforms = [\"true\", \"plain-llama\"]\n");
    let said = said(
        "policies = [\"full\", \" uniform+recency \", \"uniform+random\", \"uniform + oracle{horizon=3}\"]",
        &forms,
    );
    assert!(
        said.ends_with("measured on the full cache, but policies does not list it: add \"full\""),
        "{said}"
    );
}
