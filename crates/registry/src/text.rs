//! Text from strangers, made fit for a person's terminal.

use std::borrow::Cow;
use std::io;

/// Returns `text` on one line, without control characters, at most `longest` characters, and with whatever looks like
/// a secret taken out.
pub fn clean(text: &str, longest: usize) -> String {
    let printable: String = text
        .chars()
        // Direction marks can make a terminal show another text than the one that came.
        .filter(|character| !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(longest.saturating_mul(4))
        .collect();
    let mut cleaned = String::new();
    let mut after_scheme = false;
    for word in printable.split_whitespace() {
        let shown = if after_scheme {
            "***".to_owned()
        } else {
            without_secret(word)
        };
        after_scheme = is_authorization_scheme(word);
        if !cleaned.is_empty() {
            cleaned.push(' ');
        }
        cleaned.push_str(&shown);
    }
    if cleaned.chars().count() > longest {
        cleaned = cleaned.chars().take(longest.saturating_sub(1)).collect();
        cleaned.push('…');
    }
    cleaned
}

/// The first line of what a program wrote about its failure, as [`clean`], and up to where it names a secret.
pub(crate) fn first_line(text: &str, longest: usize) -> String {
    const NAMES: [&str; 8] = [
        "secret",
        "password",
        "passwd",
        "passphrase",
        "token",
        "authorization",
        "apikey",
        "api_key",
    ];
    let line = text.trim().lines().next().unwrap_or_default();
    let mut end = line.len();
    for (at, _) in line.match_indices([':', '=']) {
        let name = line.get(..at).unwrap_or_default();
        let name = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let name = name.to_ascii_lowercase();
        if NAMES.iter().any(|secret| name.ends_with(secret)) {
            end = at + 1;
            break;
        }
    }
    let mut shown = clean(line.get(..end).unwrap_or(line), longest);
    if end < line.len() {
        shown.push_str(" ***");
    }
    shown
}

/// Returns a system error about a file or a program in plain words, without its number.
pub fn io_clause(error: &io::Error) -> String {
    use io::ErrorKind::{
        IsADirectory, NotADirectory, NotFound, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem,
        StorageFull,
    };
    let words = match error.kind() {
        NotFound => "there is no such file or directory",
        PermissionDenied => "permission denied",
        IsADirectory => "it is a directory",
        NotADirectory => "a part of its path is no directory",
        StorageFull => "no space is left on the device",
        QuotaExceeded => "the disk quota is used up",
        ReadOnlyFilesystem => "the file system is read-only",
        _ => {
            let text = error.to_string();
            let words = text.split(" (os error ").next().unwrap_or(&text);
            return words.to_owned();
        }
    };
    words.to_owned()
}

/// The next word is a credential.
fn is_authorization_scheme(word: &str) -> bool {
    let word = word.trim_start_matches(|c: char| !c.is_ascii_alphabetic());
    word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic")
}

/// A word without the login and the query of a URL, and without tokens.
fn without_secret(word: &str) -> String {
    // A JSON web token starts with `{"` in base64.
    if let Some(start) = word.find("eyJ").filter(|start| word.len() - start > 40) {
        return format!("{}***", word.get(..start).unwrap_or_default());
    }
    let word = without_login(word);
    match word.split_once('?') {
        // Servers repeat the target of a request without its scheme and host.
        Some((address, query))
            if query.contains('=') || (address.contains("://") && !query.is_empty()) =>
        {
            format!("{address}?***")
        }
        _ => word.into_owned(),
    }
}

/// A word without what stands in front of the host of a URL.
fn without_login(word: &str) -> Cow<'_, str> {
    let after_scheme = |(scheme, rest): (&'_ str, &'_ str)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (login, _) = authority.rsplit_once('@')?;
        Some(format!("{scheme}://***{}", rest.get(login.len()..)?))
    };
    match word.split_once("://").and_then(after_scheme) {
        Some(shown) => Cow::Owned(shown),
        None => Cow::Borrowed(word),
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, first_line, io_clause};

    #[test]
    fn errors_of_the_system_read_as_words() {
        let said = |number| io_clause(&std::io::Error::from_raw_os_error(number));
        assert_eq!(said(2), "there is no such file or directory");
        assert_eq!(said(28), "no space is left on the device");
        assert_eq!(said(24), "Too many open files");
        assert_eq!(io_clause(&std::io::Error::other("no")), "no");
    }

    #[test]
    fn what_could_harm_a_terminal_or_a_secret_goes() {
        for (text, shown) in [
            ("plain text", "plain text"),
            ("two\r\n  lines\t", "two lines"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("left\u{202e}right", "leftright"),
            ("sent Bearer abc.def to us", "sent Bearer *** to us"),
            ("(\"Basic dXNlcjpwYXNz\")", "(\"Basic ***"),
            (
                "got token=eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2ln",
                "got token=***",
            ),
            (
                "see https://s3.example/x?X-Amz-Signature=1&b=2 now",
                "see https://s3.example/x?*** now",
            ),
            (
                "Forbidden: /v2/app/blobs/x?X-Amz-Signature=1&b=2",
                "Forbidden: /v2/app/blobs/x?***",
            ),
            (
                "see https://ada:hunter22@s3.example/x?a=1, or me@a.example",
                "see https://***@s3.example/x?*** or me@a.example",
            ),
            ("what? no", "what? no"),
            ("what?no", "what?no"),
            ("abcdefghijkl", "abcdefghi…"),
            ("", ""),
        ] {
            assert_eq!(
                clean(text, if shown.ends_with('…') { 10 } else { 100 }),
                shown
            );
        }
    }

    #[test]
    fn a_line_ends_where_it_names_a_secret() {
        for (text, shown) in [
            ("cannot open the keychain\nmore", "cannot open the keychain"),
            ("no token for r.example: 403", "no token for r.example: 403"),
            (
                "bad answer, Secret: hunter22 of ada",
                "bad answer, Secret: ***",
            ),
            ("got \"password\"=\"hunter 22\"", "got \"password\"= ***"),
            ("AZURE_TOKEN=abc", "AZURE_TOKEN= ***"),
            ("Authorization: Basic YTpi", "Authorization: ***"),
            ("sent Bearer abc to it", "sent Bearer *** to it"),
            ("see r.example/x?sig=abc", "see r.example/x?***"),
            ("token:", "token:"),
        ] {
            assert_eq!(first_line(text, 100), shown);
        }
    }
}
