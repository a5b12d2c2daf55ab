//! The measurements that are compiled in are those of `results/advise`, and advice follows from its rows.

use std::fs;
use std::path::{Path, PathBuf};

use bitkv_record::{GridRow, KvFormat, PolicyText, TimingRow, read_rows};
use bitkv_report::advice::{
    Advice, CellBytes, Limits, MeasuredCell, MeasuredModel, Memory, built_in, compiled_form,
};

/// Set to 1, this variable lets the test write the measurements instead of comparing them.
const WRITE: &str = "BITKV_WRITE_ADVICE";
/// The models whose measurements are compiled in.
const MODELS: [&str; 2] = ["tiny-mha", "tiny-gqa"];
/// The tokens in the cache of the rows.
const CONTEXT: usize = 640;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns the folder of the newest run of `advise`: the highest number wins.
fn run() -> PathBuf {
    let later = (2..).map(|number| repository().join(format!("results/advise-{number}")));
    later.take_while(|folder| folder.exists()).last().unwrap_or_else(|| repository().join("results/advise"))
}

fn rows() -> Vec<GridRow> {
    read_rows(&run().join("rows.csv")).unwrap()
}

#[test]
fn the_compiled_measurements_are_those_of_the_run() {
    let timings: Vec<TimingRow> = read_rows(&run().join("timings.csv")).unwrap();
    let models = MODELS.map(|model| MeasuredModel::new(model, &rows(), &timings, CONTEXT));
    let due = compiled_form(&models).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/advice.json");
    if std::env::var(WRITE).is_ok_and(|value| value == "1") {
        fs::write(&file, &due).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap();
    assert!(found == due, "{} is not what the rows say: run the test with {WRITE}=1", file.display());
    assert!(found.len() < 150_000, "{} bytes are compiled in", found.len());
}

/// The means of every compiled cell are recomputed from the rows, by experiment and policy.
#[test]
fn every_compiled_mean_is_that_of_its_rows() {
    let rows = rows();
    let mut compared = 0;
    for model in built_in().unwrap() {
        assert!(model.has_calibration && model.context == CONTEXT);
        assert_eq!(model.cells.len(), 35, "{}", model.model);
        for cell in &model.cells {
            for (experiment, quality, texts) in
                [("calibration", &cell.choosing, 20), ("evaluation", &cell.certifying, 22)]
            {
                let own = rows.iter().filter(|row| {
                    row.model == model.model
                        && row.experiment.trim_end_matches("-int4") == experiment
                        && PolicyText::new(&row.written) == PolicyText::new(&cell.policy)
                        && row.budget.to_string() == format!("{:?}", cell.budget)
                        && row.axes.kv == cell.kv
                });
                let own: Vec<&GridRow> = own.collect();
                let kl: Vec<f64> = own.iter().filter_map(|row| row.kl_nats).collect();
                assert_eq!((kl.len(), quality.kl.len()), (texts, texts), "{} {}", cell.policy, cell.budget);
                let mean = kl.iter().sum::<f64>() / texts as f64;
                let compiled = quality.mean_kl().unwrap();
                assert!((mean - compiled).abs() <= 1e-4 * mean, "{}: {mean} {compiled}", cell.policy);
                let right: usize = own.iter().filter_map(|row| row.correct).sum();
                assert_eq!(right, quality.tasks[0].right(), "{} {}", cell.policy, cell.budget);
                assert_eq!(quality.tasks[0].asked(), 48);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * 35 * 2);
}

/// The expectation of `experiments/advise.toml`: a choice for a limit on the mean KL holds on texts that had
/// no part in it, up to a tenth.
#[test]
fn choices_hold_on_the_evaluation_texts() {
    let memory = Memory { weights: Vec::new(), activations: 0, full_cache: 1 << 20 };
    let bits = |kv: KvFormat| match kv {
        KvFormat::Int8 => 8.0,
        KvFormat::Int4 => 4.0,
        _ => 16.0,
    };
    let bytes = |cell: &MeasuredCell| {
        Some(CellBytes { cache: ((1 << 16) as f64 * cell.kept * bits(cell.kv)) as u64, repetition: 0 })
    };
    for model in built_in().unwrap() {
        let mut chosen = Vec::new();
        for step in 1..=250 {
            let limit = f64::from(step) * 1e-4;
            let limits = Limits { kl: Some(limit), ..Limits::default() };
            let kept = Advice::new(&model, &memory, &limits, bytes).kept().unwrap();
            let evaluation = kept.cell.certifying.mean_kl().unwrap();
            assert!(evaluation <= 1.1 * limit, "{}: {} has {evaluation}", model.model, kept.cell.policy);
            chosen.push((kept.cell.policy.clone(), kept.cell.budget.to_bits(), kept.cell.kv));
        }
        chosen.dedup();
        assert!(chosen.len() >= 4, "{chosen:?}");
    }
}
