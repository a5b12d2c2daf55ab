//! Rows depend neither on the number of threads nor on the width of the vectors. Plain loops add in another
//! order, so their rows differ a little, and say so in the column `isa`.

mod support;

use std::fs;

use bitkv_kernels::Isa;
use bitkv_record::{GridRow, IsaClass};
use support::{
    Place,
    grid::{RUN, definition, rows},
};

/// The files with numbers.
const FILES: [&str; 3] = ["rows.csv", "heads.csv", "memory.csv"];

/// A definition with rows of every kind, and with policies that read all observations.
fn studies() -> String {
    let more = "\"uniform+random\", \"entropy+window-attention\", \"adaptive+expected-attention\", \"uniform+kvzip\"";
    definition(&[("\"uniform+random\"", more), ("[1.0, 0.5, 0.25]", "[1.0, 0.25]")])
        + "metrics = [\"kl\", \"output-error\", \"free-running\"]\nkv = [\"f16\", \"int4\"]\n\
           [[profile]]\nname = \"p\"\nmodels = [\"first-gqa\"]\ntexts = \"texts\"\nlengths = [32, 64]\n\
           [[memory]]\nname = \"m\"\nmodels = [\"first-gqa\"]\ncontexts = [32, 64]\n"
}

/// Runs the definition with a variable. Returns the files, and the rows of the cells.
fn measured(place: &Place, variable: (&str, &str)) -> (Vec<Vec<u8>>, Vec<GridRow>) {
    let output =
        place.command(&["run", "small.toml", "--out", RUN]).env(variable.0, variable.1).output().unwrap();
    assert!(output.status.success(), "{variable:?}: {}", String::from_utf8_lossy(&output.stderr));
    let files = FILES.iter().map(|file| fs::read(place.path(RUN).join(file)).unwrap()).collect();
    let rows = rows(&place.path(RUN));
    fs::remove_dir_all(place.path("runs")).unwrap();
    (files, rows)
}

#[test]
fn threads_change_no_byte() {
    let place = Place::with_texts();
    place.write("small.toml", studies());
    let (one, _) = measured(&place, ("RAYON_NUM_THREADS", "1"));
    for threads in ["2", "3", "5", "8"] {
        let (other, _) = measured(&place, ("RAYON_NUM_THREADS", threads));
        assert!(one == other, "{threads} threads change the rows");
    }
}

#[test]
fn instruction_sets_of_one_class_change_no_byte() {
    let place = Place::with_texts();
    place.write("small.toml", studies());
    let all: Vec<_> =
        Isa::available().iter().map(|isa| measured(&place, ("BITKV_ISA", isa.name()))).collect();
    let class = |rows: &[GridRow]| rows[0].isa.unwrap();
    for (files, rows) in &all {
        let (first, _) = all.iter().find(|(_, others)| class(others) == class(rows)).unwrap();
        assert!(files == first, "the rows of {} differ", class(rows));
    }
    let (scalar, vector) = (&all[0].1, &all.last().unwrap().1);
    assert_eq!(class(scalar), IsaClass::Scalar);
    for (a, b) in scalar.iter().zip(vector) {
        check_close(a, b);
    }
}

/// Asserts that two rows of one cell with different instruction sets differ at most as the documentation
/// says.
fn check_close(a: &GridRow, b: &GridRow) {
    let close = |a: Option<f64>, b: Option<f64>, most: f64| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= most,
        (a, b) => a == b,
    };
    let about = format!("{} at {} on {}", a.policy, a.budget, a.text);
    assert_eq!((&a.policy, a.budget, &a.text), (&b.policy, b.budget, &b.text));
    assert_eq!(a.kept_entries, b.kept_entries, "{about}");
    assert!(close(a.nll_nats, b.nll_nats, 0.01), "{about}: {:?} and {:?}", a.nll_nats, b.nll_nats);
    assert!(close(a.kl_nats, b.kl_nats, 0.01), "{about}: {:?} and {:?}", a.kl_nats, b.kl_nats);
}
