//! The settings of a download: where the cache is, which server is asked, and with which token.

use std::{
    ffi::OsString,
    fmt, io,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{Error, Result};

const HUB: &str = "https://huggingface.co";

/// The settings of [`crate::fetch()`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of the cache. It contains folders named `models--ORG--NAME`.
    pub cache: PathBuf,
    /// The base address of the hub, such as `https://huggingface.co`.
    pub endpoint: String,
    /// The token. It is sent to the endpoint and to no other server.
    pub token: Option<Token>,
    /// Whether only the cache is used and no request is made.
    pub offline: bool,
    /// The number of consecutive transient failures after which a request fails. The count starts again
    /// whenever a download makes progress.
    pub attempts: u32,
    /// The wait after the first failure. Each further wait is twice as long, up to ten seconds.
    pub backoff: Duration,
}

impl Settings {
    /// Settings for anonymous access to the public hub with the cache in `cache`.
    pub fn new(cache: impl Into<PathBuf>) -> Settings {
        Settings {
            cache: cache.into(),
            endpoint: HUB.into(),
            token: None,
            offline: false,
            attempts: 5,
            backoff: Duration::from_millis(500),
        }
    }

    /// Reads the settings from the environment of this process.
    ///
    /// # Errors
    /// Fails as [`Settings::from_variables`] does.
    pub fn from_env() -> Result<Settings> {
        Settings::from_variables(|key| std::env::var_os(key))
    }

    /// Reads the variables that Python's `huggingface_hub` reads. `variable` returns the value of a variable;
    /// an empty value counts as unset.
    ///
    /// - The cache is `HF_HUB_CACHE`, else `HF_HOME/hub`, else `XDG_CACHE_HOME/huggingface/hub`, else
    ///   `~/.cache/huggingface/hub`.
    /// - The endpoint is `HF_ENDPOINT`; `HF_HUB_OFFLINE` forbids requests.
    /// - The token is `HF_TOKEN`, else the content of the file `HF_TOKEN_PATH`, else the content of the file
    ///   `HF_HOME/token`. With `HF_HUB_DISABLE_IMPLICIT_TOKEN` no token is used.
    ///
    /// # Errors
    /// Returns an error if no variable says where the cache is, or a token cannot be read or is malformed.
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Settings> {
        let variable = |key: &str| variable(key).filter(|value| !value.is_empty());
        let text = |key: &str| variable(key).map(|value| value.to_string_lossy().into_owned());
        let user = variable("HOME").or_else(|| variable("USERPROFILE")).map(PathBuf::from);
        let folder = |key: &str| variable(key).map(|value| in_home(value, user.as_deref()));
        let home = folder("HF_HOME")
            .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .or_else(|| user.as_ref().map(|user| user.join(".cache/huggingface")));
        let cache = folder("HF_HUB_CACHE")
            .or_else(|| folder("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| home.as_ref().map(|home| home.join("hub")))
            .ok_or(Error::NoHome)?;

        let mut settings = Settings::new(cache);
        settings.endpoint = text("HF_ENDPOINT").unwrap_or(settings.endpoint);
        settings.offline =
            text("HF_HUB_OFFLINE").or_else(|| text("TRANSFORMERS_OFFLINE")).is_some_and(|v| is_true(&v));
        if !text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(|v| is_true(&v)) {
            let given = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"].into_iter();
            let given = given.filter_map(|key| text(key).map(|token| (key, token))).next();
            settings.token = match (given, folder("HF_TOKEN_PATH").or(home.map(|home| home.join("token")))) {
                (Some((key, token)), _) => Token::read(&token, key)?,
                (None, Some(path)) => Token::from_file(&path)?,
                (None, None) => None,
            };
        }
        Ok(settings)
    }
}

/// Whether `huggingface_hub` reads this value as true.
fn is_true(value: &str) -> bool {
    ["1", "true", "on", "yes"].iter().any(|yes| value.trim().eq_ignore_ascii_case(yes))
}

/// Replaces a leading `~/` by the home folder, because a variable that no shell expanded may still contain
/// it.
fn in_home(value: OsString, home: Option<&Path>) -> PathBuf {
    let path = PathBuf::from(value);
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path,
    }
}

/// An access token of the hub. Its `Debug` output does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Reads a token from a text and ignores white space around it. Returns `None` if the text has nothing
    /// else. `place` names the origin of the text in errors.
    ///
    /// # Errors
    /// Returns an error if the text is not one line of visible ASCII characters: a request cannot contain
    /// other characters.
    pub fn read(text: &str, place: &str) -> Result<Option<Token>> {
        match text.trim() {
            "" => Ok(None),
            token if token.bytes().all(|b| b.is_ascii_graphic()) => Ok(Some(Token(token.into()))),
            _ => Err(Error::Token { place: place.into() }),
        }
    }

    /// Reads a token from a file. Returns `None` if the file is missing or empty.
    fn from_file(path: &Path) -> Result<Option<Token>> {
        let bytes = bitkv_bytes::read_bytes(path, bitkv_bytes::limit::LINE);
        match bytes.and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other)) {
            Ok(text) => Token::read(&text, &path.display().to_string()),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path: path.into(), source }),
        }
    }

    /// The secret itself.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings> {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Settings::from_variables(|key| variables.get(key).map(OsString::from))
    }

    #[test]
    fn the_cache_is_where_huggingface_hub_has_it() {
        let all = [
            ("HF_HUB_CACHE", "/a"),
            ("HUGGINGFACE_HUB_CACHE", "/b"),
            ("HF_HOME", "/c"),
            ("XDG_CACHE_HOME", "/d"),
            ("HOME", "/e"),
        ];
        for (skip, expected) in
            ["/a", "/b", "/c/hub", "/d/huggingface/hub", "/e/.cache/huggingface/hub"].into_iter().enumerate()
        {
            assert_eq!(read(&all[skip..]).expect("valid").cache, Path::new(expected));
        }
        let message = read(&[]).expect_err("no home").to_string();
        assert!(message.contains("HF_HOME"), "{message}");
    }

    #[test]
    fn an_empty_variable_is_unset_and_a_tilde_is_the_home() {
        let settings = read(&[("HF_HUB_CACHE", ""), ("HF_HOME", "~/models"), ("HOME", "/e")]).expect("valid");
        assert_eq!(settings.cache, Path::new("/e/models/hub"));
        assert_eq!(settings.endpoint, "https://huggingface.co");
    }

    #[test]
    fn true_has_four_spellings() {
        for (value, offline) in [
            ("1", true),
            ("True", true),
            ("ON", true),
            ("yes", true),
            ("0", false),
            ("2", false),
            ("", false),
        ] {
            let settings = read(&[("HOME", "/e"), ("HF_HUB_OFFLINE", value)]).expect("valid");
            assert_eq!(settings.offline, offline, "{value:?}");
        }
    }

    #[test]
    fn a_token_comes_from_the_environment_before_any_file() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("token"), "of-home\n").expect("written");
        fs::write(folder.path().join("other"), "of-path").expect("written");
        let (home, other) = (folder.path().display().to_string(), folder.path().join("other"));
        let all =
            [("HF_TOKEN", "of-env"), ("HF_TOKEN_PATH", other.to_str().expect("text")), ("HF_HOME", &home)];
        for (skip, expected) in ["of-env", "of-path", "of-home"].into_iter().enumerate() {
            let token = read(&all[skip..]).expect("valid").token.expect("a token");
            assert_eq!(token.reveal(), expected);
        }
        let quiet = [&all[..], &[("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]].concat();
        assert_eq!(read(&quiet).expect("valid").token, None);
    }

    #[test]
    fn a_missing_or_empty_token_file_is_no_token() {
        let folder = tempfile::tempdir().expect("a folder");
        let home = folder.path().display().to_string();
        assert_eq!(read(&[("HF_HOME", &home)]).expect("valid").token, None);
        fs::write(folder.path().join("token"), " \n").expect("written");
        assert_eq!(read(&[("HF_HOME", &home)]).expect("valid").token, None);
    }

    #[test]
    fn a_token_is_never_shown() {
        let message = read(&[("HOME", "/e"), ("HF_TOKEN", "hf_se cret")]).expect_err("a space").to_string();
        assert!(message.contains("HF_TOKEN") && !message.contains("cret"), "{message}");
        let settings = read(&[("HOME", "/e"), ("HF_TOKEN", "hf_secret")]).expect("valid");
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
