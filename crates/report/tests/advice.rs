//! Advice from rows whose numbers are easy to check by hand.

mod cells;

use bitkv_record::{FileHash, GridRow, KvFormat, PolicyRole, ScoredTask, When};
use bitkv_report::advice::{
    Advice, Answer, CellBytes, Certificate, Limits, MeasurableModel, MeasuredCell, MeasuredModel, Memory,
    NotMet, RunRows, TaskLoss, missing,
    sentences::{self, Question},
};
use cells::row;

/// The bytes of the full cache in f16.
const FULL: u64 = 1000;

fn memory() -> Memory {
    Memory { weights: vec![("embedding", 300), ("linear layers", 700)], activations: 50, full_cache: FULL }
}

/// Returns the bytes of a cell: an int8 cache is half as large as one in f16.
fn bytes(cell: &MeasuredCell) -> Option<CellBytes> {
    let full = if cell.kv == KvFormat::Int8 { FULL / 2 } else { FULL };
    Some(CellBytes { cache: (full as f64 * cell.kept) as u64, repetition: 0 })
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

/// Returns the rows of a retrieval task of a cell, with `correct` of 10 answers right. The contexts of every
/// experiment have another seed.
fn answers(policy: &str, budget: &str, experiment: &str, correct: usize) -> GridRow {
    let mut row = row(policy, budget, "recall-0", 0.0);
    row.experiment = experiment.into();
    row.task = "recall".parse().unwrap();
    row.seed = experiment.len() as u64;
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
    let sentence = sentences::answer(&question(model, &memory, limits), &advice);
    (advice, sentence)
}

/// Returns the question of the owner of a model for a context of 100 tokens.
fn question<'a>(model: &'a MeasuredModel, memory: &'a Memory, limits: &'a Limits) -> Question<'a> {
    Question { model: "m", context: 100, positions: 4096, memory, limits, measured: model, is_own: true }
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
    let (_, sentence) = advised(&model, &kl(1e-12));
    assert!(sentence.starts_with("Of the measured caches, only the full cache in f16 meets"), "{sentence}");
    assert!(!sentence.contains("instead of"), "{sentence}");
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
    let start = "The peak does not fit: the cache is whole while the prompt is read";
    assert!(sentence.starts_with(start), "{sentence}");
    assert!(
        sentence.contains("Only the state after the prompt would fit. Keep the full cache in int8"),
        "{sentence}"
    );
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
    let (_, sentence) = advised(&model, &loss(0.24));
    assert!(sentence.ends_with("nats; 12.5 % of the right answers to recall are lost."), "{sentence}");
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
    let question = Question { context: 200, ..question(&model, &memory, &limits) };
    let own = MeasurableModel { argument: "a b", reading: "", out: "runs/advise" };
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
    let again = "bitkv advise --model 'a b' --context 200 --max-loss copy=0.1 --from runs/advise";
    assert!(command.ends_with(again), "{command}");

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

/// A policy that cannot run at the context is not recommended, and the answer names it.
#[test]
fn policies_that_cannot_run_are_left_out() {
    let (model, memory) = (model(&rows()), memory());
    let limits = cache(600);
    let without = |cell: &MeasuredCell| bytes(cell).filter(|_| cell.policy != "full");
    let advice = Advice::new(&model, &memory, &limits, without);
    assert_eq!(
        (advice.kept().unwrap().cell.policy.as_str(), &advice.left_out[..]),
        ("snapkv", &["full"][..])
    );
    assert!(advice.front.iter().all(|candidate| candidate.cell.policy != "full"));
    let question = Question { positions: 110, ..question(&model, &memory, &limits) };
    let sentence = sentences::left_out(&question, &advice).unwrap();
    assert!(
        sentence.starts_with("full is left out,") && sentence.contains("m has 110 positions"),
        "{sentence}"
    );
    let (all, _) = advised(&model, &limits);
    assert_eq!(sentences::left_out(&question, &all), None);
}

/// A repetition of the prompt counts towards the peak.
#[test]
fn a_repetition_that_does_not_fit_is_not_recommended() {
    let (model, memory) = (model(&rows()), memory());
    let repeating = |cell: &MeasuredCell| {
        let repetition = if cell.kv == KvFormat::Int8 { 50 } else { 0 };
        Some(CellBytes { repetition, ..bytes(cell)? })
    };
    // The peak of reading the prompt is 2050 bytes, and 2100 with the repetition.
    let chosen = |total| {
        let limits = Limits { total_bytes: Some(total), ..cache(600) };
        let kept = Advice::new(&model, &memory, &limits, repeating).kept().unwrap();
        (kept.cell.policy.clone(), kept.peak(&memory))
    };
    assert_eq!(chosen(2100), ("full".into(), 2100));
    assert_eq!(chosen(2099), ("snapkv".into(), 2050));
}

/// Returns rows whose keys begin with `run`, as they differ between runs.
fn with_keys(mut rows: Vec<GridRow>, run: &str) -> Vec<GridRow> {
    rows.iter_mut().enumerate().for_each(|(i, row)| row.key = format!("{run}{i:015}"));
    rows
}

/// Returns one sweep of a full cache and `snapkv`, whose texts have the given KL.
fn sweep(run: &str, kls: &[f64]) -> Vec<GridRow> {
    let nothing = vec![0.0; kls.len()];
    let mut rows =
        [cell("full", "1.0", KvFormat::F16, &[], &nothing), cell("snapkv", "0.5", KvFormat::F16, &[], kls)]
            .concat();
    rows.iter_mut().for_each(|row| row.experiment = "sweep".into());
    with_keys(rows, run)
}

fn hashes(contents: &[&str]) -> Vec<FileHash> {
    let hash =
        |(i, content): (usize, &&str)| FileHash::from_bytes(format!("evaluation-{i}"), content.as_bytes());
    contents.iter().enumerate().map(hash).collect()
}

/// Returns what `snapkv` costs on the texts that choose and on those that certify.
fn snapkv(runs: &[RunRows<'_>]) -> [Vec<f64>; 2] {
    let model = MeasuredModel::from_runs("m", runs, 100);
    let cell = model.cells.iter().find(|cell| cell.policy == "snapkv").unwrap();
    [cell.choosing.kl.clone(), cell.certifying.kl.clone()]
}

#[test]
fn texts_of_several_runs_are_different_unless_their_contents_are_equal() {
    let (first, second) = (sweep("a", &[0.1, 0.2]), sweep("b", &[0.3, 0.5]));
    let run = |rows, texts| RunRows { rows, timings: &[], texts };
    let (x, y, z) = (hashes(&["x", "y"]), hashes(&["z", "w"]), hashes(&["x", "w"]));
    let all = |runs: [RunRows<'_>; 2]| {
        let [mut forward, [a, b]] = [snapkv(&runs), snapkv(&[runs[1], runs[0]])];
        assert_eq!(forward, [a, b], "the order of runs does not matter");
        let mut all = forward.each_mut().map(std::mem::take).concat();
        all.sort_by(f64::total_cmp);
        all
    };
    // Names do not identify the texts of two runs.
    assert_eq!(all([run(&first, &x), run(&second, &y)]), [0.1, 0.2, 0.3, 0.5]);
    assert_eq!(all([run(&first, &[]), run(&second, &[])]), [0.1, 0.2, 0.3, 0.5]);
    // One text is the same: it has the mean of 0.1 and 0.3.
    assert_eq!(all([run(&first, &x), run(&second, &z)]), [0.2, 0.2, 0.5]);
    // A run that is named twice, or whose rows another run has too, counts once.
    assert_eq!(all([run(&first, &x), run(&first, &x)]), [0.1, 0.2]);
    let part = [&first[..1], &first[2..3]].concat();
    assert_eq!(all([run(&first, &[]), run(&part, &[])]), [0.1, 0.2]);
    // A row that failed does not replace one that was measured.
    let mut failed = first.clone();
    failed[2].error = Some("stopped".into());
    assert_eq!(all([run(&failed, &x), run(&part, &x)]), [0.1, 0.2]);
}

#[test]
fn seeds_of_a_text_are_averaged() {
    let mut rows = cell("snapkv", "0.5", KvFormat::F16, &[0.1], &[0.25]);
    for (seed, kl) in [(1, 0.5), (2, 0.75)] {
        let mut more = cell("snapkv", "0.5", KvFormat::F16, &[0.1], &[kl]);
        more.iter_mut().for_each(|row| row.seed = seed);
        rows.extend(more);
    }
    let model = model(&rows);
    assert_eq!(
        (&model.cells[0].choosing.kl[..], &model.cells[0].certifying.kl[..]),
        (&[0.1][..], &[0.5][..])
    );
}

#[test]
fn texts_that_choose_do_not_certify() {
    let mut same = rows();
    same.iter_mut().for_each(|row| row.text = row.text.replace("calibration", "evaluation"));
    let overlapping = model(&same);
    assert!(overlapping.notes[0].starts_with("2 texts or contexts choose"), "{:?}", overlapping.notes);
    let (limits, memory) = (cache(600), memory());
    let kept = advised(&overlapping, &limits).0.kept().unwrap();
    let certificate = Certificate::new(kept.cell, &overlapping, &limits);
    assert_eq!((certificate.texts, certificate.kl, certificate.kl_bound), (0, None, None));
    let question = question(&overlapping, &memory, &limits);
    let said = sentences::certainty(&question, &kept, &certificate);
    assert_eq!(
        said,
        ["There are no evaluation texts besides those that chose, so nothing certifies the choice."]
    );

    // The hashes of two texts show that they are the same, although their names differ.
    let rows = rows();
    let text = |name: &str, content: &str| FileHash::from_bytes(name, content.as_bytes());
    let texts = [
        text("calibration-0", "x"),
        text("calibration-1", "y"),
        text("evaluation-0", "x"),
        text("evaluation-1", "z"),
    ];
    let model = MeasuredModel::from_runs("m", &[RunRows { rows: &rows, timings: &[], texts: &texts }], 100);
    let snapkv = model.cells.iter().find(|cell| cell.policy == "snapkv" && cell.budget == 0.5).unwrap();
    assert_eq!((&snapkv.choosing.kl[..], &snapkv.certifying.kl[..]), (&[0.01, 0.02][..], &[0.06][..]));
}

/// The rows of another context or another model say so.
#[test]
fn sentences_name_the_context_and_the_model_of_the_rows() {
    let mut rows = rows();
    for experiment in ["calibration", "evaluation"] {
        rows.push(answers("full", "1.0", experiment, 8));
        rows.push(answers("snapkv", "0.5", experiment, 8));
    }
    let (model, memory) = (model(&rows), memory());
    let losses = vec![TaskLoss { task: "recall".parse().unwrap(), share: 0.5 }];
    let limits = Limits { losses, ..Limits::default() };
    let question = Question { context: 1, is_own: false, ..question(&model, &memory, &limits) };
    let advice = Advice::new(&model, &memory, &limits, bytes);
    let sentence = sentences::answer(&question, &advice);
    assert!(sentence.contains("on the calibration texts at 100 tokens is"), "{sentence}");
    let other = sentences::other_models_texts(&question, &advice.kept().unwrap()).unwrap();
    assert!(
        other.starts_with("On 2 evaluation texts of 100 tokens, the mean KL of m is 0.0550 nats."),
        "{other}"
    );
    let found =
        missing(&question, MeasurableModel { argument: "m", reading: "", out: "o" }, &advice.answer, None);
    let whats: Vec<&str> = found.iter().map(|missing| missing.what.as_str()).collect();
    let expected = [
        "m was not measured.",
        "The rows have 100 tokens in the cache, not 1.",
        "The contexts of recall have 100 tokens, not 1.",
    ];
    assert_eq!(whats, expected);
    let fits =
        sentences::answer(&Question { limits: &cache(FULL), ..question }, &advised(&model, &cache(FULL)).0);
    assert!(fits.starts_with("The full cache fits as it is: 1 token of m takes"), "{fits}");
}
