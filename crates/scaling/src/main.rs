//! Writes the projections, the validation and the tables of `docs/SCALING.md`.

use std::{fs, path::Path, process::ExitCode};

use bitkv_report::splice;
use bitkv_scaling::{
    Cluster, Error, Overheads, Result, TYPICAL, Work, count, measured_tables, project, projected_tables,
    read_points, validate,
};
use serde::Serialize;

const USAGE: &str = "\
usage: bitkv-scaling POINTS.csv [--cores N]
                                    writes results/scaling and the tables of docs/SCALING.md for nodes of N cores
                                    (64); run it in the root of the repository
       bitkv-scaling count ROWS.csv prints the work of a finished shard as one line of CSV
       bitkv-scaling columns        prints the names of the numbers in that line";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["count", rows] => print_count(Path::new(rows)),
        ["columns"] => {
            println!("{}", Work::header());
            Ok(())
        }
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        [points] if !points.starts_with('-') => write_all(Path::new(points), &TYPICAL),
        [points, "--cores", cores] => {
            with_cores(cores).and_then(|cluster| write_all(Path::new(points), &cluster))
        }
        _ => Err(Error::new(format!("these arguments are not known: use one of these lines\n{USAGE}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn print_count(path: &Path) -> Result<()> {
    let file = bitkv_bytes::open_regular(path)
        .map_err(|cause| Error::in_file(path, cause, "give the rows.csv of a finished shard"))?;
    println!("{}", count(path, file)?.line());
    Ok(())
}

fn with_cores(cores: &str) -> Result<Cluster> {
    let number = cores.parse().ok().filter(|cores: &u32| *cores > 0);
    let number = number.ok_or_else(|| {
        Error::new(format!("--cores {cores}: this is not a number of cores: give a whole number, such as 64"))
    })?;
    Ok(Cluster { cores: f64::from(number), ..TYPICAL })
}

fn write_all(points: &Path, cluster: &Cluster) -> Result<()> {
    let points = if points.exists() {
        read_points(points)?
    } else {
        eprintln!("{} does not exist, so that all overheads are assumed", points.display());
        Vec::new()
    };
    let overheads = Overheads::fit(&points);
    let (checks, projections) = (validate(&points), project(cluster, &overheads));
    let folder = Path::new("results/scaling");
    fs::create_dir_all(folder).map_err(|cause| Error::in_file(folder, cause, "make the folder writable"))?;
    write_csv(&folder.join("validation.csv"), &checks)?;
    write_csv(&folder.join("projection.csv"), &projections)?;
    let path = Path::new("docs/SCALING.md");
    let mut document = bitkv_bytes::read_document(path, bitkv_bytes::limit::WRITTEN)
        .map_err(|cause| Error::in_file(path, cause, "run the program in the root of the repository"))?;
    let mut tables = measured_tables(&points, &checks, cluster, &overheads);
    tables.extend(projected_tables(&projections, cluster, &overheads));
    for (name, table) in tables {
        document = splice(&document, name, &table)
            .map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
    }
    write(path, &document)
}

fn write_csv<R: Serialize>(path: &Path, rows: &[R]) -> Result<()> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let remedy = "report this as a bug";
    for row in rows {
        writer.serialize(row).map_err(|cause| Error::in_file(path, cause, remedy))?;
    }
    let bytes = writer.into_inner().map_err(|cause| Error::in_file(path, cause, remedy))?;
    write(path, &String::from_utf8_lossy(&bytes))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|cause| Error::in_file(path, cause, "make the file writable"))
}
