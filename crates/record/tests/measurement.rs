//! Rows read back equal, and what is impossible is refused with its line.

use std::fs::File;

use bitkv_record::{Accounting, CellRow, HeadRow, MemoryRow, Row, Task, has_rows, read_rows, write_rows};
use flate2::{Compression, write::GzEncoder};

fn memory() -> MemoryRow {
    MemoryRow {
        model: "m, with a comma".into(),
        accounting: Accounting::Published,
        context: 512,
        weight_bytes: 900,
        kv_bytes: 90,
        activation_bytes: 10,
        total_bytes: 1000,
        kv_fraction: 0.09,
        published_fraction: None,
    }
}

fn head() -> HeadRow {
    HeadRow {
        model: "m".into(),
        profile: "calibration-512".into(),
        context: 512,
        text: String::new(),
        layer: 0,
        head: 3,
        entropy_bits: Some(1.0 / 3.0),
        normalised_entropy: None,
    }
}

fn cell() -> CellRow {
    CellRow {
        model: "m".into(),
        policy: "uniform+window-attention{window=64,kernel=5}".into(),
        oracle: false,
        conserving: true,
        budget: 0.2,
        text: "say \"hi\"".into(),
        register: "dialogue".into(),
        task: Task::Recall,
        context_tokens: 512,
        asked_tokens: 100,
        kept_tokens: 100,
        full_tokens: 500,
        cache_bytes: 12_800,
        full_bytes: 64_000,
        attention_preservation: Some(0.99),
        retained_mass: Some(0.5),
        kl_nats: Some(1e-9),
        agreement: Some(1.0),
        nll_nats: None,
        targets: 8,
        bytes_scored: None,
        correct: Some(2),
        questions: 3,
    }
}

fn round_trip<R: Row + PartialEq + std::fmt::Debug>(rows: &[R]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_rows(file.path(), rows).unwrap();
    assert_eq!(read_rows::<R>(file.path()).unwrap(), rows);
    write_rows::<R>(file.path(), &[]).unwrap();
    assert_eq!(std::fs::read_to_string(file.path()).unwrap().trim_end(), R::COLUMNS.join(","));
    assert!(read_rows::<R>(file.path()).unwrap().is_empty());
}

#[test]
fn rows_read_back_equal() {
    round_trip(&[memory(), MemoryRow { published_fraction: Some(0.654), context: 1024, ..memory() }]);
    round_trip(&[head(), HeadRow { text: "a".into(), entropy_bits: None, ..head() }]);
    round_trip(&[cell(), CellRow { budget: 1.0, correct: None, ..cell() }]);
}

#[test]
fn packed_rows_are_read_where_there_are_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, packed) = (folder.path().join("rows.csv"), folder.path().join("rows.csv.gz"));
    assert!(!has_rows(&plain));
    write_rows(&plain, &[memory()]).unwrap();
    let mut encoder = GzEncoder::new(File::create(&packed).unwrap(), Compression::best());
    std::io::copy(&mut File::open(&plain).unwrap(), &mut encoder).unwrap();
    encoder.finish().unwrap();
    std::fs::remove_file(&plain).unwrap();
    assert!(has_rows(&plain));
    assert_eq!(read_rows::<MemoryRow>(&plain).unwrap(), [memory()]);
    // What stands there unpacked counts.
    write_rows::<MemoryRow>(&plain, &[]).unwrap();
    assert_eq!(read_rows::<MemoryRow>(&plain).unwrap(), []);
    std::fs::remove_file(&plain).unwrap();
    std::fs::write(&packed, b"not gzip").unwrap();
    let said = read_rows::<MemoryRow>(&plain).unwrap_err().to_string();
    assert!(said.contains("rows.csv") && !said.contains('\n'), "{said}");
}

fn refusal<R: Row + std::fmt::Debug>(row: R) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_rows(file.path(), &[row]).unwrap_err().to_string()
}

#[test]
fn impossible_cells_are_refused_by_column() {
    type Spoil = fn(&mut CellRow);
    let cases: [(Spoil, &str); 10] = [
        (|c| c.budget = 0.0, "budget"),
        (|c| c.budget = f64::NAN, "budget"),
        (|c| c.kept_tokens = 501, "kept_tokens"),
        (|c| c.kept_tokens = 99, "conserving"),
        (|c| c.correct = Some(4), "correct"),
        (|c| c.targets = 0, "targets"),
        (|c| c.agreement = Some(1.5), "agreement"),
        (|c| c.kl_nats = Some(f64::NAN), "kl_nats"),
        (|c| c.kl_nats = Some(-0.1), "kl_nats"),
        (|c| c.nll_nats = Some(f64::INFINITY), "nll_nats"),
    ];
    for (spoil, expected) in cases {
        let mut row = cell();
        spoil(&mut row);
        let message = refusal(row);
        assert!(message.contains(expected) && message.contains("line 2"), "{message} lacks {expected}");
    }
    // Single precision may leave a range by a rounding error, which is no reason to lose a run.
    assert!(CellRow { agreement: Some(1.000_01), kl_nats: Some(-1e-7), ..cell() }.check().is_ok());
}

#[test]
fn impossible_memory_and_heads_are_refused_by_column() {
    assert!(refusal(MemoryRow { total_bytes: 1010, ..memory() }).contains("total_bytes"));
    assert!(refusal(MemoryRow { kv_fraction: 0.1, ..memory() }).contains("kv_fraction"));
    assert!(refusal(HeadRow { entropy_bits: Some(-1.0), ..head() }).contains("entropy_bits"));
    assert!(refusal(HeadRow { normalised_entropy: Some(1.1), ..head() }).contains("normalised_entropy"));
}

#[test]
fn a_repeated_row_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let message = write_rows(file.path(), &[head(), head()]).unwrap_err().to_string();
    assert!(message.contains("line 3") && message.contains("repeats line 2"), "{message}");
}

#[test]
fn files_that_are_not_exactly_the_format_are_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let read = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        read_rows::<HeadRow>(file.path()).unwrap_err().to_string()
    };
    let header = HeadRow::COLUMNS.join(",");
    let message = read(&format!("{header},extra\n"));
    assert!(message.contains("extra") && message.contains("expected"), "{message}");
    let message = read(&format!("{header}\nm,p,512,,0,0,1.0,\nm,p,512,,0,1,much,\n"));
    assert!(message.contains("line 3") && message.contains("column 7"), "{message}");
    let message = read(&format!("{header}\nm,p,512,,0,0\n"));
    assert!(message.contains("line 2") && message.contains("6 values"), "{message}");
    let message = read(&format!("{header}\nm,p,512,,0,0,inf,\n"));
    assert!(message.contains("line 2") && message.contains("entropy_bits"), "{message}");
}
