//! Advice from rows whose numbers are easy to check by hand.

mod cells;

use bitkv_record::{GridRow, KvFormat, PolicyRole, ScoredTask, When};
use bitkv_report::advice::{
    Advice, Answer, Certificate, Limits, MeasurableModel, MeasuredModel, Memory, NotMet, TaskLoss, missing,
    sentences::{self, Question},
};
use cells::row;

/// The bytes of the full cache in f16.
const FULL: u64 = 1000;

fn memory() -> Memory {
    Memory { weights: vec![("embedding", 300), ("linear layers", 700)], activations: 50, full_cache: FULL }
}

/// Returns the bytes of a cache: an int8 cache is half as large as one in f16.
fn bytes(kept: f64, kv: KvFormat) -> u64 {
    let full = if kv == KvFormat::Int8 { FULL / 2 } else { FULL };
    (full as f64 * kept) as u64
}

/// Returns the rows of a cell on texts: one for each KL, of calibration texts and of evaluation texts.
fn cell(policy: &str, budget: &str, kv: KvFormat, calibration: &[f64], evaluation: &[f64]) -> Vec<GridRow> {
    let experiments = [("calibration", calibration), ("evaluation", evaluation)];
    let rows = experiments.into_iter().flat_map(|(experiment, kls)| {
        kls.iter().enumerate().map(move |(i, kl)| {
            let mut row = row(policy, budget, &format!("{experiment}-{i}"), *kl);
            row.experiment = experiment.into();
            row.axes.kv = kv;
            let entries = (100.0 * budget.parse::<f64>().unwrap()) as usize;
            (row.asked_entries, row.kept_entries) = (Some(entries), Some(entries));
            row
        })
    });
    rows.collect()
}

/// Returns the rows of a retrieval task of a cell, with `correct` of 10 answers right.
fn answers(policy: &str, budget: &str, experiment: &str, correct: usize) -> GridRow {
    let mut row = row(policy, budget, "recall-0", 0.0);
    row.experiment = experiment.into();
    row.task = "recall".parse().unwrap();
    (row.kl_nats, row.agreement, row.nll_nats, row.nll_difference) = (None, None, None, None);
    (row.correct, row.questions) = (Some(correct), 10);
    row
}

/// A model with a full cache in two formats and three policies. On the calibration texts, `snapkv` is better
/// than `h2o` at a half; on the evaluation texts it is the other way round.
fn rows() -> Vec<GridRow> {
    [
        cell("full", "1.0", KvFormat::F16, &[0.0, 0.0], &[0.0, 0.0]),
        cell("full", "1.0", KvFormat::Int8, &[0.001, 0.003], &[0.002, 0.002]),
        cell("snapkv", "0.5", KvFormat::F16, &[0.01, 0.02], &[0.05, 0.06]),
        cell("h2o", "0.5", KvFormat::F16, &[0.02, 0.03], &[0.01, 0.01]),
        cell("snapkv", "0.25", KvFormat::Int8, &[0.1, 0.1], &[0.1, 0.3]),
    ]
    .concat()
}

fn model(rows: &[GridRow]) -> MeasuredModel {
    MeasuredModel::new("m", rows, &[], 100)
}

fn cache(bytes: u64) -> Limits {
    Limits { cache_bytes: Some(bytes), ..Limits::default() }
}

fn kl(nats: f64) -> Limits {
    Limits { kl: Some(nats), ..Limits::default() }
}

/// Returns the answer and its sentence.
fn advised<'a>(model: &'a MeasuredModel, limits: &Limits) -> (Advice<'a>, String) {
    let memory = memory();
    let advice = Advice::new(model, &memory, limits, bytes);
    let question = Question { model: "m", context: 100, memory: &memory, limits, measured: model };
    let sentence = sentences::answer(&question, &advice);
    (advice, sentence)
}

/// Returns the policy, the budget and the format of the choice.
fn choice(model: &MeasuredModel, limits: &Limits) -> Option<(String, f64, KvFormat)> {
    let kept = advised(model, limits).0.kept()?;
    Some((kept.cell.policy.clone(), kept.cell.budget, kept.cell.kv))
}

#[test]
fn a_full_cache_that_fits_is_kept_as_it_is() {
    let model = model(&rows());
    for limits in [cache(FULL), Limits { total_bytes: Some(2050), ..Limits::default() }, Limits::default()] {
        let (advice, sentence) = advised(&model, &limits);
        assert_eq!((advice.answer, advice.runners_up.len()), (Answer::Fits, 0), "{limits:?}");
        assert_eq!(sentence.contains("fits as it is"), limits.has_memory(), "{sentence}");
    }
    assert_ne!(advised(&model, &cache(FULL - 1)).0.answer, Answer::Fits);
    // A limit on quality is met by the full cache too.
    assert_eq!(advised(&model, &Limits { kl: Some(1e-9), ..cache(FULL) }).0.answer, Answer::Fits);
}

#[test]
fn a_limit_on_memory_gives_the_lowest_kl_of_the_texts_that_choose() {
    let model = model(&rows());
    // The full cache in int8 has 500 bytes and the mean of 0.001 and 0.003.
    assert_eq!(choice(&model, &cache(999)), Some(("full".into(), 1.0, KvFormat::Int8)));
    assert_eq!(choice(&model, &cache(500)), Some(("full".into(), 1.0, KvFormat::Int8)));
    assert_eq!(choice(&model, &cache(499)), Some(("snapkv".into(), 0.25, KvFormat::Int8)));
    // Without the full cache in int8, snapkv wins at a half, although the evaluation texts prefer h2o.
    let rows: Vec<GridRow> =
        rows().into_iter().filter(|row| row.policy != "full" || row.axes.kv == KvFormat::F16).collect();
    let model = self::model(&rows);
    let (advice, sentence) = advised(&model, &cache(500));
    let kept = advice.kept().unwrap();
    assert_eq!((kept.cell.policy.as_str(), kept.cache_bytes), ("snapkv", 500));
    assert!((kept.kl() - 0.015).abs() < 1e-12, "{}", kept.kl());
    let next: Vec<&str> = advice.runners_up.iter().map(|next| next.cell.policy.as_str()).collect();
    assert_eq!(next, ["h2o", "snapkv"]);
    assert!(
        sentence.starts_with("Keep 50 % of the cache with snapkv in f16: the cache takes "),
        "{sentence}"
    );
    assert!(sentence.ends_with("on the calibration texts is 0.0150 nats."), "{sentence}");
}

#[test]
fn a_limit_on_quality_gives_the_smallest_cache() {
    let model = model(&rows());
    assert_eq!(choice(&model, &kl(0.1)), Some(("snapkv".into(), 0.25, KvFormat::Int8)));
    // Two caches have 500 bytes: the one with the lower KL is better.
    assert_eq!(choice(&model, &kl(0.05)), Some(("full".into(), 1.0, KvFormat::Int8)));
    assert_eq!(choice(&model, &kl(0.001)), Some(("full".into(), 1.0, KvFormat::F16)));
}

#[test]
fn limits_that_no_measured_cache_meets_name_the_nearest_one() {
    let model = model(&rows());
    // The smallest cache has a quarter of 500 bytes.
    let (advice, sentence) = advised(&model, &cache(124));
    assert!(matches!(&advice.answer, Answer::NotMet(NotMet::Memory(nearest)) if nearest.cache_bytes == 125));
    assert!(sentence.contains("25 % of the cache with snapkv in int8"), "{sentence}");
    let (advice, sentence) = advised(&model, &Limits { kl: Some(0.001), ..cache(999) });
    assert!(matches!(&advice.answer, Answer::NotMet(NotMet::Kl(nearest)) if nearest.kl() == 0.002));
    assert!(sentence.contains("--max-kl 0.001") && sentence.contains("0.00200 nats"), "{sentence}");
    assert_eq!((advice.kept(), advice.runners_up.len()), (None, 0));
    // Weights and activations have 1050 bytes.
    let (_, sentence) = advised(&model, &Limits { total_bytes: Some(1049), ..Limits::default() });
    assert!(sentence.contains("the weights and activations of m alone take"), "{sentence}");
}

#[test]
fn the_peak_counts_towards_total_memory() {
    let model = model(&rows());
    let limits = Limits { total_bytes: Some(2049), ..Limits::default() };
    let (advice, sentence) = advised(&model, &limits);
    assert_eq!(advice.kept().map(|kept| kept.cache_bytes), Some(500));
    assert!(sentence.contains("Only the state after the prompt fits"), "{sentence}");
    let (_, sentence) = advised(&model, &cache(999));
    assert!(!sentence.contains("Only the state"), "{sentence}");
}

#[test]
fn lost_answers_are_a_share_of_those_of_the_full_cache() {
    let mut rows = rows();
    for experiment in ["calibration", "evaluation"] {
        rows.push(answers("full", "1.0", experiment, 8));
        rows.push(answers("snapkv", "0.5", experiment, 6));
        rows.push(answers("h2o", "0.5", experiment, 7));
    }
    let model = model(&rows);
    let loss =
        |share| Limits { losses: vec![TaskLoss { task: "recall".parse().unwrap(), share }], ..cache(600) };
    // A quarter of eight answers is lost by snapkv, an eighth by h2o; the caches in int8 were not asked.
    assert_eq!(choice(&model, &loss(0.25)).unwrap().0, "snapkv");
    assert_eq!(choice(&model, &loss(0.24)).unwrap().0, "h2o");
    let (advice, sentence) = advised(&model, &loss(0.12));
    assert!(matches!(advice.answer, Answer::NotMet(NotMet::Loss(_, TaskLoss { share: 0.125, .. }))));
    assert!(sentence.contains("--max-loss recall=12 %") && sentence.contains("with h2o"), "{sentence}");
    let kept = advised(&model, &loss(0.25)).0.kept().unwrap();
    let certificate = Certificate::new(kept.cell, &model, &loss(0.25));
    let [task] = &certificate.tasks[..] else { panic!("{certificate:?}") };
    assert_eq!((task.correct, task.full_correct, task.questions, task.loss), (6, 8, 10, 0.25));
    assert_eq!(certificate.meets_limits, Some(true));
}

#[test]
fn what_was_not_measured_is_said_with_the_command_that_measures_it() {
    let task: ScoredTask = "copy".parse().unwrap();
    let model = model(&rows());
    let limits = Limits { losses: vec![TaskLoss { task, share: 0.1 }], ..Limits::default() };
    let (advice, sentence) = advised(&model, &limits);
    assert_eq!(advice.answer, Answer::NoAnswers(task));
    assert!(sentence.starts_with("Not measured:") && sentence.contains("copy"), "{sentence}");
    let memory = memory();
    let question = Question { model: "m", context: 200, memory: &memory, limits: &limits, measured: &model };
    let own = MeasurableModel { argument: "a b", is_measured: true, longest: 4096 };
    let found = missing(&question, own, &advice.answer, None);
    let whats: Vec<&str> = found.iter().map(|missing| missing.what.as_str()).collect();
    assert_eq!(
        whats,
        ["The loss of answers to copy was not measured.", "The rows have 100 tokens in the cache, not 200."]
    );
    let command = &found[0].command;
    assert!(
        command.starts_with("bitkv sweep --model 'a b' ") && command.contains("--tasks copy"),
        "{command}"
    );
    assert!(command.ends_with("bitkv advise --model 'a b' --context 200 --from runs/advise"), "{command}");

    // A smaller cache than the smallest one may meet the limit, unless the weights alone do not.
    let (advice, _) = advised(&model, &cache(124));
    let question = Question { context: 100, limits: &limits, ..question };
    let found = missing(&question, own, &advice.answer, None);
    assert_eq!(found[0].what, "Caches that keep less than 25.0 % of the entries were not measured.");
    assert!(found[0].command.contains("--ratios 16x,32x"), "{found:?}");
    let weights = Limits { total_bytes: Some(1050), ..Limits::default() };
    let (advice, _) = advised(&model, &weights);
    let question = Question { limits: &weights, ..question };
    assert_eq!(missing(&question, own, &advice.answer, None), []);

    let none = MeasuredModel::new("another", &rows(), &[], 100);
    let (advice, sentence) = advised(&none, &cache(10));
    assert_eq!(advice.answer, Answer::NoRows);
    assert!(sentence.starts_with("Not measured:"), "{sentence}");
    // A full cache that fits needs no rows.
    assert_eq!(advised(&none, &cache(FULL)).0.answer, Answer::Fits);
}

#[test]
fn only_evaluation_texts_certify_and_few_of_them_attain_no_bound() {
    let model = model(&rows());
    let snapkv = model.cells.iter().find(|cell| cell.policy == "snapkv" && cell.budget == 0.5).unwrap();
    let certificate = Certificate::new(snapkv, &model, &kl(0.02));
    assert_eq!((certificate.texts, certificate.kl, certificate.kl_bound), (2, Some(0.055), None));
    assert_eq!((certificate.largest_kl, certificate.attainable), (Some(0.06), 2.0 / 3.0));
    // The limit holds on the calibration texts, whose mean is 0.015, and not on the evaluation texts.
    assert_eq!(certificate.meets_limits, Some(false));

    // With 39 texts, ceil(40 * 0.95) = 38: the second largest is the bound.
    let many: Vec<f64> = (1..=39).map(f64::from).collect();
    let rows = cell("snapkv", "0.5", KvFormat::F16, &[0.5], &many);
    let model = self::model(&rows);
    let certificate = Certificate::new(&model.cells[0], &model, &Limits::default());
    assert_eq!((certificate.kl_bound, certificate.attainable), (Some(38.0), 39.0 / 40.0));
}

#[test]
fn cells_that_cannot_be_deployed_are_left_out() {
    let is_cell_with = |change: &dyn Fn(&mut GridRow)| {
        let mut rows = rows();
        rows.iter_mut().filter(|row| row.policy == "h2o").for_each(change);
        model(&rows).cells.iter().any(|cell| cell.policy == "h2o")
    };
    assert!(is_cell_with(&|_| {}));
    assert!(!is_cell_with(&|row| row.role = PolicyRole::Control));
    assert!(!is_cell_with(&|row| row.role = PolicyRole::Oracle));
    assert!(!is_cell_with(&|row| row.oracle = true));
    assert!(!is_cell_with(&|row| row.axes.when = When::DECODING));
    assert!(!is_cell_with(&|row| row.axes.form = "plain-llama".parse().unwrap()));
    assert!(!is_cell_with(&|row| row.axes.positions = "rerotated".parse().unwrap()));
    assert!(!is_cell_with(&|row| row.budget = "64 tokens".parse().unwrap()));
    assert!(!is_cell_with(&|row| row.experiment = "timing".into()));
    assert!(!is_cell_with(&|row| row.model = "another".into()));
    // A cell that lacks a text cannot be compared with the others.
    assert!(!is_cell_with(&|row| if row.text == "evaluation-1" {
        row.error = Some("too long".into())
    }));
}

#[test]
fn without_calibration_texts_every_second_text_chooses() {
    let kls = [0.1, 0.2, 0.3, 0.4, 0.5];
    let mut rows = cell("snapkv", "0.5", KvFormat::F16, &[], &kls);
    rows.iter_mut().for_each(|row| row.experiment = "sweep".into());
    let model = model(&rows);
    assert!(!model.has_calibration);
    assert_eq!(model.cells[0].choosing.kl, [0.1, 0.3, 0.5]);
    assert_eq!(model.cells[0].certifying.kl, [0.2, 0.4]);
}

#[test]
fn the_rows_of_the_nearest_context_decide() {
    let mut rows = cell("snapkv", "0.5", KvFormat::F16, &[0.1], &[0.1]);
    let mut longer = cell("snapkv", "0.5", KvFormat::F16, &[0.7], &[0.7]);
    longer.iter_mut().for_each(|row| row.context_tokens = 900);
    rows.extend(longer);
    for (context, measured, kl) in [(10, 100, 0.1), (299, 100, 0.1), (301, 900, 0.7), (9000, 900, 0.7)] {
        let model = MeasuredModel::new("m", &rows, &[], context);
        assert_eq!(
            (model.context, model.cells[0].choosing.kl.as_slice()),
            (measured, &[kl][..]),
            "{context}"
        );
    }
}

#[test]
fn the_front_has_what_no_other_cache_beats() {
    let model = model(&rows());
    let front = advised(&model, &Limits::default()).0.front;
    let shown: Vec<(u64, f64)> = front.iter().map(|best| (best.cache_bytes, best.kl())).collect();
    assert_eq!(shown, [(1000, 0.0), (500, 0.002), (125, 0.1)]);
}

/// At equal bytes, an int8 cache asks for more entries than one in f16 at the same budget.
#[test]
fn cells_at_equal_bytes_keep_the_entries_that_they_ask_for() {
    let mut rows = cell("snapkv", "0.5", KvFormat::Int8, &[0.1], &[0.1]);
    rows.iter_mut().for_each(|row| (row.asked_entries, row.kept_entries) = (Some(90), Some(90)));
    let model = model(&rows);
    assert_eq!((model.cells[0].budget, model.cells[0].kept), (0.9, 0.9));
    // 50 of 100 entries is the budget; 49 is its rounding.
    let rows = cell("snapkv", "0.495", KvFormat::F16, &[0.1], &[0.1]);
    assert_eq!(self::model(&rows).cells[0].kept, 0.495);
    // A rule that does not conserve its budget is asked for one fraction and keeps another.
    let mut rows = cell("entropy-global", "0.5", KvFormat::F16, &[0.1], &[0.1]);
    rows.iter_mut().for_each(|row| row.kept_entries = Some(80));
    let rule = self::model(&rows);
    assert_eq!((rule.cells[0].budget, rule.cells[0].kept), (0.5, 0.8));
    let (_, sentence) = advised(&rule, &cache(900));
    assert!(
        sentence.contains("80 % of the cache with entropy-global in f16, which is what it keeps when 50 %")
    );
}
