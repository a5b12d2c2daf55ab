//! Rows read back equal, columns are found by name, and errors name the line.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use bitkv_record::{
    Accounting, FORMAT, Form, HeadRow, MemoryRow, Queries, Row, has_rows, read_rows, read_rows_noting,
    write_rows,
};
use flate2::{Compression, write::GzEncoder};

fn memory() -> MemoryRow {
    MemoryRow {
        weights: None,
        study: "all".into(),
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
        weights: None,
        study: "lengths".into(),
        model: "m".into(),
        form: Form::PlainLlama,
        text: "say \"hi\"".into(),
        register: "dialogue".into(),
        queries: Queries::Published,
        context: 512,
        layer: 0,
        head: 3,
        kv_head: Some(1),
        entropy_bits: Some(1.0 / 3.0),
        normalised_entropy: None,
    }
}

/// A file of two rows, which tests change and read again.
struct Written {
    _folder: tempfile::TempDir,
    path: PathBuf,
    text: String,
}

impl Written {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heads.csv");
        write_rows(&path, &[head(), HeadRow { head: 4, ..head() }]).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        Self { _folder: folder, path, text }
    }

    fn read(&self, change: impl Fn(&str) -> String) -> Result<(Vec<HeadRow>, Vec<String>), String> {
        let changed = change(&self.text);
        assert_ne!(changed, self.text);
        fs::write(&self.path, changed).unwrap();
        let mut notes = Vec::new();
        let rows = read_rows_noting(&self.path, &mut notes);
        rows.map(|rows| (rows, notes)).map_err(|error| error.to_string())
    }

    fn refuses(&self, expected: &[&str], change: impl Fn(&str) -> String) {
        let message = self.read(change).unwrap_err();
        assert!(message.contains("heads.csv") && !message.contains('\n'), "{message}");
        expected.iter().for_each(|part| assert!(message.contains(part), "{message}\n  lacks: {part}"));
    }
}

fn round_trip<R: Row + PartialEq + std::fmt::Debug>(rows: &[R]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_rows(file.path(), rows).unwrap();
    assert_eq!(read_rows::<R>(file.path()).unwrap(), rows);
    write_rows::<R>(file.path(), &[]).unwrap();
    let header = fs::read_to_string(file.path()).unwrap();
    assert!(header.starts_with("format,") && header.ends_with(",checksum\n") && header.lines().count() == 1);
    assert!(read_rows::<R>(file.path()).unwrap().is_empty());
}

#[test]
fn rows_read_back_equal() {
    round_trip(&[memory(), MemoryRow { published_fraction: Some(0.654), context: 1024, ..memory() }]);
    round_trip(&[head(), HeadRow { text: "a".into(), entropy_bits: None, ..head() }]);
}

#[test]
fn compressed_rows_are_read_if_there_are_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let (plain, compressed) = (folder.path().join("rows.csv"), folder.path().join("rows.csv.gz"));
    assert!(!has_rows(&plain));
    write_rows(&plain, &[memory()]).unwrap();
    let mut encoder = GzEncoder::new(File::create(&compressed).unwrap(), Compression::best());
    std::io::copy(&mut File::open(&plain).unwrap(), &mut encoder).unwrap();
    encoder.finish().unwrap();
    fs::remove_file(&plain).unwrap();
    assert!(has_rows(&plain));
    assert_eq!(read_rows::<MemoryRow>(&plain).unwrap(), [memory()]);
    // The uncompressed file has priority.
    write_rows::<MemoryRow>(&plain, &[]).unwrap();
    assert_eq!(read_rows::<MemoryRow>(&plain).unwrap(), []);
    fs::remove_file(&plain).unwrap();
    fs::write(&compressed, b"not gzip").unwrap();
    let message = read_rows::<MemoryRow>(&plain).unwrap_err().to_string();
    assert!(message.contains("rows.csv") && !message.contains('\n'), "{message}");
}

#[test]
fn columns_are_found_by_name() {
    let file = Written::new();
    // The columns are in another order, one is unknown, and optional ones are missing.
    let text = "context,layer,colour,head,model,text,entropy_bits\n64,1,red,2,m,a,0.5\n";
    let (rows, notes) = file.read(|_| text.into()).unwrap();
    let expected = HeadRow {
        model: "m".into(),
        text: "a".into(),
        context: 64,
        layer: 1,
        head: 2,
        entropy_bits: Some(0.5),
        ..HeadRow::default()
    };
    assert_eq!(rows, [expected]);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("does not know the columns 'colour'"), "{notes:?}");
    // A file with checksums may also have unknown columns.
    let widened = |text: &str| {
        let widen = |(i, line): (usize, &str)| {
            let before = line.rsplit_once(',').unwrap().0;
            let widened = format!("{before},{}", if i == 0 { "colour" } else { "red" });
            let sum = if i == 0 {
                "checksum".into()
            } else {
                format!("{:08x}", crc32fast::hash(widened.as_bytes()))
            };
            format!("{widened},{sum}\n")
        };
        text.lines().enumerate().map(widen).collect::<String>()
    };
    let (rows, notes) = file.read(widened).unwrap();
    assert_eq!((rows.len(), notes.len()), (2, 1));
    assert_eq!(rows[0], head());
}

#[test]
fn heads_of_format_1_are_read() {
    let file = Written::new();
    let text = "model,profile,context,text,layer,head,entropy_bits,normalised_entropy\n\
                m,lengths/dialogue,32,a,0,1,0.25,0.05\n";
    let (rows, notes) = file.read(|_| text.into()).unwrap();
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!((rows[0].study.as_str(), rows[0].register.as_str()), ("lengths", "dialogue"));
    assert_eq!((rows[0].entropy_bits, rows[0].kv_head), (Some(0.25), None));
}

#[test]
fn damaged_headers_are_errors() {
    let file = Written::new();
    let first = |text: &str, header: &str| text.replacen(text.lines().next().unwrap(), header, 1);
    file.refuses(
        &[
            "no column 'context'",
            "another kind of file or its first line is damaged",
            ": name a run folder, or put the original file back",
        ],
        |text| first(text, &text.lines().next().unwrap()[..60]),
    );
    file.refuses(&["has the column 'model' twice", "as if two files were joined"], |text| {
        text.replacen("form,", "model,", 1)
    });
    file.refuses(
        &[
            "line 2",
            "has 15 values, but the first line has 14 columns: put the original file back, or run again",
        ],
        |text| text.replacen(",normalised_entropy", "", 1),
    );
    fs::write(&file.path, [&file.text.as_bytes()[..80], &[0xff]].concat()).unwrap();
    assert!(read_rows::<HeadRow>(&file.path).unwrap_err().to_string().contains("not UTF-8"));
}

#[test]
fn a_newer_format_is_an_error() {
    let file = Written::new();
    let newer = format!("\n{},", FORMAT + 1);
    file.refuses(&["line 2", "is of format 3", "use a newer bitkv"], |text| text.replacen("\n2,", &newer, 1));
    file.refuses(
        &["line 2", "the column format does not hold a version such as 2: put the original file back"],
        |text| text.replacen("\n2,", "\nx,", 1),
    );
}

#[test]
fn changed_lines_have_a_wrong_checksum() {
    let file = Written::new();
    file.refuses(&["line 3", "checksum", "changed after it was written", "original"], |text| {
        let at = text.rfind("0.3333").unwrap();
        format!("{}0.4444{}", &text[..at], &text[at + 6..])
    });
    file.refuses(&["line 3", "repeats line 2", ": put the original file back, or run again"], |text| {
        let lines: Vec<&str> = text.lines().collect();
        format!("{}\n{}\n{}\n", lines[0], lines[1], lines[1])
    });
    // A file without checksums is read without this check.
    let stripped = |text: &str| -> String {
        text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned() + "\n").collect()
    };
    assert_eq!(file.read(stripped).unwrap().0[0], head());
}

fn refusal<R: Row + std::fmt::Debug>(row: R) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_rows(file.path(), &[row]).unwrap_err().to_string()
}

#[test]
fn errors_name_the_column_of_an_impossible_value() {
    assert!(refusal(HeadRow { entropy_bits: Some(-0.1), ..head() }).contains("entropy_bits = -0.1"));
    assert!(
        refusal(HeadRow { normalised_entropy: Some(1.1), ..head() }).contains("normalised_entropy = 1.1")
    );
    assert!(refusal(HeadRow { entropy_bits: Some(f64::INFINITY), ..head() }).contains("entropy_bits = inf"));
    assert!(refusal(MemoryRow { total_bytes: 1010, ..memory() }).contains("total_bytes = 1010"));
    assert!(refusal(MemoryRow { kv_fraction: 0.5, ..memory() }).contains("kv_fraction = 0.5"));
    assert!(
        refusal(MemoryRow { published_fraction: Some(65.4), ..memory() })
            .contains("published_fraction = 65.4")
    );
}

#[test]
fn the_error_of_a_missing_file_names_it() {
    assert!(read_rows::<HeadRow>(Path::new("no/such.csv")).unwrap_err().to_string().contains("no/such.csv"));
}
