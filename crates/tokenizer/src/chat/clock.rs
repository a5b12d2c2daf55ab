//! The function `strftime_now` of chat templates.

use jiff::civil::DateTime;
use minijinja::Error;

use super::environment::wrong;

/// Returns a time in a format of Python's `strftime`.
pub(super) fn format(now: DateTime, format: &str) -> Result<String, Error> {
    // Python's formats of the C locale, which jiff writes in another way.
    let format = &format.replace("%c", "%a %b %e %H:%M:%S %Y").replace("%x", "%m/%d/%y");
    let text = jiff::fmt::strtime::format(format, now);
    text.map_err(|error| wrong(format!("strftime_now cannot write `{format}`: {error}")))
}
