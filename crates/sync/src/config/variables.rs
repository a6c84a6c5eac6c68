//! References to environment variables (docs/files.md).

use crate::config::Environment;

/// User name that looks like a variable and is a literal text.
const OAUTH_TOKEN: &str = "$oauthtoken";

/// Syntax of variables in an `auth` map. A reference is always the whole value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VariableSyntax {
    /// A separate file: `$NAME` and `${NAME}`; `$$` at the beginning means one `$`.
    Auth,
    /// A combined file, in which the Go tool reads no variables: only `${NAME}`; `$${NAME}` means `${NAME}`.
    Combined,
}

/// Returns the value of a user name or a password.
///
/// # Errors
/// If its variable is not set.
pub(super) fn credential(
    text: &str,
    dialect: VariableSyntax,
    environment: Environment<'_>,
) -> Result<String, String> {
    let braced = |text: &str| {
        let name = text.strip_prefix("${")?.strip_suffix('}')?;
        is_name(name).then(|| name.to_owned())
    };
    let bare = |text: &str| {
        let name = text.strip_prefix('$')?;
        is_name(name).then(|| name.to_owned())
    };
    let (name, escaped) = match dialect {
        VariableSyntax::Auth => (
            braced(text).or_else(|| bare(text)),
            text.strip_prefix('$').filter(|rest| rest.starts_with('$')),
        ),
        VariableSyntax::Combined => (
            braced(text),
            text.strip_prefix('$').filter(|rest| braced(rest).is_some()),
        ),
    };
    match (name, escaped) {
        // The user name of NVIDIA's registry, as documented.
        (Some(name), _) if text == OAUTH_TOKEN => {
            Ok(environment(&name).unwrap_or_else(|| OAUTH_TOKEN.to_owned()))
        }
        (Some(name), _) => environment(&name).ok_or_else(|| {
            format!("the environment variable {name} is not set. Set it, or write one more `$` in front for a literal value.")
        }),
        (None, Some(rest)) => Ok(rest.to_owned()),
        (None, None) => Ok(text.to_owned()),
    }
}

/// Returns a destination with its variables replaced. A destination has no other `$`.
///
/// # Errors
/// If a variable is not set, or a `$` names none.
pub(super) fn destination(text: &str, environment: Environment<'_>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        expanded.push_str(before);
        let (name, after) = match behind.strip_prefix('{') {
            Some(braced) => braced.split_once('}').unwrap_or(("", "")),
            None => behind.split_at(name_length(behind)),
        };
        if !is_name(name) {
            return Err(format!(
                "the `$` in `{text}` names no environment variable. Write `$NAME` or `${{NAME}}`."
            ));
        }
        let value = environment(name)
            .ok_or_else(|| format!("the environment variable {name} in `{text}` is not set"))?;
        expanded.push_str(&value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// `[A-Za-z_][A-Za-z0-9_]*`
fn is_name(text: &str) -> bool {
    !text.is_empty() && name_length(text) == text.len()
}

/// Returns the length, in bytes, of the name at the beginning of `text`.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "NAME" => Some("value".to_owned()),
            "_N1" => Some("$NAME".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn a_whole_value_is_a_reference() {
        for (text, auth, combined) in [
            ("$NAME", "value", "$NAME"),
            ("${NAME}", "value", "value"),
            ("$_N1", "$NAME", "$_N1"),
            ("$EMPTY", "", "$EMPTY"),
            ("robot$ci", "robot$ci", "robot$ci"),
            ("robot$NAME", "robot$NAME", "robot$NAME"),
            ("$NAME!", "$NAME!", "$NAME!"),
            ("${NAME}x", "${NAME}x", "${NAME}x"),
            ("${NAME", "${NAME", "${NAME"),
            ("${}", "${}", "${}"),
            ("$", "$", "$"),
            ("$1a", "$1a", "$1a"),
            ("a$$b", "a$$b", "a$$b"),
            ("$$x", "$x", "$$x"),
            ("$$NAME", "$NAME", "$$NAME"),
            ("$${NAME}", "${NAME}", "${NAME}"),
            ("$$$x", "$$x", "$$$x"),
            ("$$", "$", "$$"),
            ("$$p@ss", "$p@ss", "$$p@ss"),
            ("", "", ""),
        ] {
            assert_eq!(
                credential(text, VariableSyntax::Auth, &environment).unwrap(),
                auth,
                "{text}"
            );
            assert_eq!(
                credential(text, VariableSyntax::Combined, &environment).unwrap(),
                combined,
                "{text}"
            );
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let why = "the environment variable NOPE is not set. Set it, or write one more `$` in front for a literal value.";
        assert_eq!(
            credential("$NOPE", VariableSyntax::Auth, &environment).unwrap_err(),
            why
        );
        assert_eq!(
            credential("${NOPE}", VariableSyntax::Combined, &environment).unwrap_err(),
            why
        );
        assert_eq!(
            credential("$Passw0rd", VariableSyntax::Combined, &environment).unwrap(),
            "$Passw0rd"
        );
    }

    #[test]
    fn the_user_of_nvidia_is_literal_unless_there_is_such_a_variable() {
        for dialect in [VariableSyntax::Auth, VariableSyntax::Combined] {
            let text = credential("$oauthtoken", dialect, &environment).unwrap();
            assert_eq!(text, "$oauthtoken");
        }
        let set = |_: &str| Some("me".to_owned());
        assert_eq!(
            credential("$oauthtoken", VariableSyntax::Auth, &set).unwrap(),
            "me"
        );
        assert!(credential("${oauthtoken}", VariableSyntax::Auth, &environment).is_err());
    }

    #[test]
    fn variables_stand_anywhere_in_a_destination() {
        for (text, expected) in [
            ("q.io/x", "q.io/x"),
            ("$NAME/x:$NAME", "value/x:value"),
            ("q.io/${NAME}x", "q.io/valuex"),
            ("q.io/$NAME-x$EMPTY", "q.io/value-x"),
            ("$_N1", "$NAME"),
        ] {
            assert_eq!(destination(text, &environment).unwrap(), expected, "{text}");
        }
        assert_eq!(
            destination("$NOPE/x", &environment).unwrap_err(),
            "the environment variable NOPE in `$NOPE/x` is not set"
        );
        for text in ["q.io/$", "q.io/$$NAME", "${NAME", "${}/x", "$1"] {
            assert_eq!(
                destination(text, &environment).unwrap_err(),
                format!(
                    "the `$` in `{text}` names no environment variable. Write `$NAME` or `${{NAME}}`."
                )
            );
        }
    }
}
