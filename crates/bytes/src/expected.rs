//! Recognises by its first bytes that a file is something else than its reader expects, such as a git-lfs
//! pointer in the place of weights.

/// What the reader of a file expects it to hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Text of any kind, which may be empty or a page of HTML.
    Text,
    /// A document in JSON, TOML or Jinja.
    Document,
    /// A document as [`Expected::Document`] that its owner writes. It may be empty: its reader says what it
    /// lacks.
    Written,
    /// Data in a format that has no mark at its start, such as a SentencePiece model.
    Data,
    /// A safetensors file.
    Safetensors,
    /// A GGUF file.
    Gguf,
}

/// What a file is, and what to do about it.
struct Content {
    name: &'static str,
    remedy: &'static str,
    /// Whether a user's text may look like this.
    is_text: bool,
}

const LFS_POINTER: Content = Content {
    name: "a git-lfs pointer, not the file itself",
    remedy: "run `git lfs pull` in its folder, or download it again",
    is_text: false,
};
const EMPTY: Content = Content { name: "empty", remedy: "download it again", is_text: true };
const ZEROS: Content = Content {
    name: "a file whose start has only zero bytes, as in an incomplete download",
    remedy: "download it again",
    is_text: false,
};
const UTF_16: Content = Content { name: "text in UTF-16", remedy: "save it as UTF-8", is_text: false };
const HTML: Content = Content {
    name: "an HTML page, such as the page of a login or of an error",
    remedy: "download the file itself, whose address on the hub has `resolve` instead of `blob`",
    is_text: true,
};
const SERVER_ERROR: Content = Content {
    name: "the error message of a server",
    remedy: "read its text for the reason, and download it again",
    is_text: true,
};
const PYTORCH: Content = Content {
    name: "a PyTorch file of pickled data",
    remedy: "convert it to safetensors with transformers: load the model, then save_pretrained",
    is_text: false,
};
const SAFETENSORS: Content = Content {
    name: "a safetensors file",
    remedy: "put it as model.safetensors into a folder that holds its config.json",
    is_text: false,
};
const GGUF: Content = Content {
    name: "a GGUF file",
    remedy: "let its name end in .gguf and give the file itself as the model",
    is_text: false,
};
const OLD_GGML: Content = Content {
    name: "a GGML file, the format before GGUF",
    remedy: "convert the model to GGUF with llama.cpp, or download a newer file",
    is_text: false,
};
const UNPACK: &str = "unpack it first";
const OTHER_MODEL_FILE: &str = "use the file that came with the model";

/// Formats that the first bytes reveal: the bytes, the name of the format and the remedy.
#[rustfmt::skip]
const MAGIC: [(&[u8], &str, &str); 24] = [
    (b"\x1F\x8B\x08", "compressed with gzip", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd", UNPACK),
    (b"\xFD7zXZ\0", "compressed with xz", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", UNPACK),
    (b"Rar!", "a RAR archive", UNPACK),
    (b"PK\x03\x04", "a ZIP archive", UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", OTHER_MODEL_FILE),
    (b"\x89PNG", "a PNG image", OTHER_MODEL_FILE),
    (b"\xFF\xD8\xFF", "a JPEG image", OTHER_MODEL_FILE),
    (b"GIF8", "a GIF image", OTHER_MODEL_FILE),
    (b"RIFF", "a RIFF file, such as a WebP image", OTHER_MODEL_FILE),
    (b"%PDF", "a PDF document", OTHER_MODEL_FILE),
    (b"%!PS", "a PostScript document", OTHER_MODEL_FILE),
    (b"\x7FELF", "a program", OTHER_MODEL_FILE),
    (b"MZ\x90\0", "a program", OTHER_MODEL_FILE),
    (b"\x89HDF", "an HDF5 file", "convert it to safetensors"),
    (b"\x93NUMPY", "a NumPy array", "convert it to safetensors"),
    (b"SQLite format 3\0", "an SQLite database", OTHER_MODEL_FILE),
    (b"PAR1", "a Parquet table", OTHER_MODEL_FILE),
    (b"ARROW1", "an Arrow table", OTHER_MODEL_FILE),
    (b"OggS", "an Ogg recording", OTHER_MODEL_FILE),
    (b"ID3", "an MP3 recording", OTHER_MODEL_FILE),
    (b"fLaC", "a FLAC recording", OTHER_MODEL_FILE),
];

/// How error messages of servers begin that are neither HTML nor XML.
const SERVER_ERRORS: [&str; 15] = [
    "{\"error\"",
    "{\"errors\"",
    "{\"message\"",
    "{\"detail\"",
    "{\"statuscode\"",
    "entry not found",
    "repository not found",
    "not found",
    "404: not found",
    "404 not found",
    "403 forbidden",
    "access to model",
    "invalid username or password",
    "unauthorized",
    "internal server error",
];

/// The number of bytes at the start of a file that [`misplaced`] looks at.
const START: usize = 512;

/// Returns what a file is and what to do, such as "it is empty: download it again", if its first bytes show
/// that it is not what the reader expects; `None` if they do not. `bytes` is the file, or at least its first
/// 512 bytes.
pub fn misplaced(bytes: &[u8], expected: Expected) -> Option<String> {
    let start = &bytes[..bytes.len().min(START)];
    let sentence = |name: &str, remedy: &str| Some(format!("it is {name}: {remedy}"));
    match expected {
        Expected::Safetensors if is_safetensors(start) => return None,
        Expected::Gguf if start.starts_with(b"GGUF") => return None,
        Expected::Written if start.is_empty() => return None,
        _ => {}
    }
    if let Some(content) = content(start) {
        let accepted = expected == Expected::Text && content.is_text;
        return if accepted { None } else { sentence(content.name, content.remedy) };
    }
    if let Some((_, name, remedy)) = MAGIC.iter().find(|(magic, ..)| start.starts_with(magic)) {
        return sentence(name, remedy);
    }
    let is_weights = matches!(expected, Expected::Safetensors | Expected::Gguf);
    let text = text_start(start).filter(|_| is_weights)?;
    Some(format!("it is a text that begins with `{text}`: download it again"))
}

/// Returns what the first bytes show, apart from [`MAGIC`].
fn content(start: &[u8]) -> Option<Content> {
    if start.is_empty() {
        return Some(EMPTY);
    }
    // The header's length at the start of a safetensors file can look like the mark of another format.
    if is_safetensors(start) {
        return Some(SAFETENSORS);
    }
    let contains = |part: &[u8]| start.windows(part.len()).any(|window| window == part);
    if start.starts_with(b"GGUF") {
        return Some(GGUF);
    }
    if [b"lmgg", b"tjgg", b"fmgg", b"algg"].iter().any(|magic| start.starts_with(*magic)) {
        return Some(OLD_GGML);
    }
    // A pickle begins with its protocol, and the zip archive of a newer file with the entry of its pickle.
    let pickle = start[0] == 0x80 && matches!(start.get(1), Some(2..=5));
    if pickle || start.starts_with(b"PK\x03\x04") && (contains(b"data.pkl") || contains(b".format_version")) {
        return Some(PYTORCH);
    }
    let utf_16 = start.starts_with(&[0xFF, 0xFE]) || start.starts_with(&[0xFE, 0xFF]);
    if utf_16 || matches!(start, [b'{' | b'[', 0, _, 0, ..] | [0, b'{' | b'[', 0, ..]) {
        return Some(UTF_16);
    }
    if start.len() >= 16 && start.iter().all(|byte| *byte == 0) {
        return Some(ZEROS);
    }
    text_content(start)
}

/// Returns what the first bytes of a text show.
fn text_content(start: &[u8]) -> Option<Content> {
    let text = without_byte_order_mark(start).trim_ascii_start();
    if text.is_empty() {
        return Some(EMPTY);
    }
    let text: Vec<u8> = text.to_ascii_lowercase();
    let pointer =
        |host: &str| text.starts_with(format!("version https://{host}.github.com/spec/").as_bytes());
    if pointer("git-lfs") || pointer("hawser") || text.starts_with(b"# xet version") {
        return Some(LFS_POINTER);
    }
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| text.starts_with(tag.as_bytes())) {
        return Some(HTML);
    }
    // Spaces inside a JSON text do not matter.
    let dense: Vec<u8> = match text[0] {
        b'{' => text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect(),
        _ => text,
    };
    let xml = ["<?xml", "<error>"].iter().any(|tag| dense.starts_with(tag.as_bytes()));
    let error = xml || SERVER_ERRORS.iter().any(|error| dense.starts_with(error.as_bytes()));
    error.then_some(SERVER_ERROR)
}

/// Returns whether a file begins with the length of a header, and the header.
fn is_safetensors(start: &[u8]) -> bool {
    matches!(start, [_, _, _, _, 0, 0, 0, 0, b'{', ..])
}

/// Returns the first characters of a text; `None` if the bytes are not a text.
fn text_start(start: &[u8]) -> Option<String> {
    const SHOWN: usize = 24;
    // A shorter file may be the start of any format.
    const SHORTEST: usize = 8;
    let text: Vec<char> = start.utf8_chunks().next()?.valid().chars().take(SHOWN).collect();
    let printable = |char: &char| !char.is_control() || char.is_ascii_whitespace();
    (start.len() >= SHORTEST && text.len() == SHOWN.min(start.len()) && text.iter().all(printable))
        .then(|| text.iter().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns the bytes after a UTF-8 byte order mark, or all bytes if they do not begin with one.
pub fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n";

    fn safetensors(length: u64) -> Vec<u8> {
        [&length.to_le_bytes()[..], b"{\"a\":{}}"].concat()
    }

    #[test]
    fn what_a_file_is_and_the_remedy_are_named() {
        for (bytes, what, remedy) in [
            (POINTER, "a git-lfs pointer, not the file itself", "`git lfs pull`"),
            (b"version https://hawser.github.com/spec/v1\n", "a git-lfs pointer", "`git lfs pull`"),
            (b"", "empty", "download"),
            (b"\n \n", "empty", "download"),
            (b"<!DOCTYPE html>\n<html>", "an HTML page", "`resolve`"),
            (b"\xEF\xBB\xBF\n<HTML lang='en'>", "an HTML page", "`resolve`"),
            (
                b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>",
                "the error message of a server",
                "reason",
            ),
            (b"{ \"error\" : \"Repository not found\"}", "the error message of a server", "reason"),
            (b"Entry not found", "the error message of a server", "reason"),
            (b"\x1F\x8B\x08\0\0\0\0\0\0\x03", "compressed with gzip", "unpack"),
            (b"PK\x03\x04\0\0\0\0archive/data.pkl", "a PyTorch file of pickled data", "safetensors"),
            (b"PK\x03\x04\0\0\0\0a.txt", "a ZIP archive", "unpack"),
            (b"\x80\x02}q\0(X\x19\0\0\0", "a PyTorch file of pickled data", "safetensors"),
            (b"\xFF\xFE{\0\"\0", "text in UTF-16", "UTF-8"),
            (b"{\0\"\0a\0", "text in UTF-16", "UTF-8"),
            (&[0; 4096], "only zero bytes", "download"),
            (b"\x89PNG\r\n\x1A\n", "a PNG image", "came with the model"),
            (b"%PDF-1.7", "a PDF document", "came with the model"),
            (b"tjgg\x03\0\0\0", "a GGML file", "GGUF"),
        ] {
            for expected in [Expected::Document, Expected::Data, Expected::Safetensors, Expected::Gguf] {
                let found = misplaced(bytes, expected).expect(what);
                assert!(found.starts_with("it is ") && found.contains(what), "{what}: {found}");
                assert!(found.contains(remedy), "{remedy}: {found}");
            }
        }
    }

    #[test]
    fn weights_of_the_other_format_are_named() {
        let gguf = b"GGUF\x03\0\0\0\x01\0\0\0";
        assert_eq!(misplaced(gguf, Expected::Gguf), None);
        assert!(misplaced(gguf, Expected::Safetensors).unwrap().contains("a GGUF file"));
        assert!(misplaced(gguf, Expected::Document).unwrap().contains("a GGUF file"));
        // Headers of these lengths begin like a pickle and like a gzip file.
        for length in [8, 0x280, 0x088B1F] {
            assert_eq!(misplaced(&safetensors(length), Expected::Safetensors), None);
            assert!(misplaced(&safetensors(length), Expected::Gguf).unwrap().contains("a safetensors file"));
        }
        let text = misplaced(b"This model has moved to another place", Expected::Gguf).unwrap();
        assert!(text.contains("a text that begins with `This model has moved to"), "{text}");
    }

    #[test]
    fn right_files_are_not_misplaced() {
        for (bytes, expected) in [
            (&b"{\"architectures\": [\"A\"]}"[..], Expected::Document),
            (b"\xEF\xBB\xBF{\"version\": \"1.0\"}", Expected::Document),
            (b"{% for message in messages %}", Expected::Document),
            (b"\x0A\x0E\x0A\x05<unk>\x15\0\0\0\0\x18\x02", Expected::Data),
            (b"IQ== 0\nIg== 1\n", Expected::Data),
            (b"", Expected::Text),
            (b"", Expected::Written),
            (b"<html><body>A page as a text.", Expected::Text),
            (b"404 is a number, and this is a text.", Expected::Text),
            // Damage, which the readers describe.
            (b"\x01\x02", Expected::Safetensors),
            (b"GGU", Expected::Gguf),
            (&[0xFF; 40], Expected::Gguf),
        ] {
            assert_eq!(misplaced(bytes, expected), None, "{}", String::from_utf8_lossy(bytes));
        }
        assert!(misplaced(POINTER, Expected::Text).is_some());
        assert!(misplaced(b"\xFF\xFEa\0b\0", Expected::Text).is_some());
    }
}
