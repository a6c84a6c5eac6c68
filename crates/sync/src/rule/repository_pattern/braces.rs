//! Alternatives between braces: `{a,b}`.

/// Maximum number of texts that one text expands to.
pub(super) const MAX_ALTERNATIVES: usize = 10_000;
/// Maximum length of these texts together.
const MAX_LENGTH: usize = 4 << 20;
/// Maximum number of braces around a character.
const MAX_DEPTH: usize = 16;

/// Returns every text that `text` stands for, in order and without duplicates: the product of its alternatives, which
/// may be nested.
///
/// # Errors
/// The reason, if a brace has no counterpart, or the texts are too many.
pub(super) fn expand(text: &str) -> Result<Vec<String>, String> {
    let mut rest = text;
    let mut all = sequence(&mut rest, 0)?;
    let mut seen = std::collections::HashSet::with_capacity(all.len());
    all.retain(|text| seen.insert(text.clone()));
    Ok(all)
}

/// Expands up to the end, or, within `depth` braces, up to the comma or the brace that ends an alternative.
fn sequence(rest: &mut &str, depth: usize) -> Result<Vec<String>, String> {
    let mut all = vec![String::new()];
    let mut in_class = false;
    while let Some(next) = rest.chars().next() {
        match next {
            '{' if !in_class => {
                *rest = rest.get(1..).unwrap_or_default();
                all = product(&all, &alternatives(rest, depth + 1)?)?;
                continue;
            }
            ',' | '}' if depth > 0 && !in_class => return Ok(all),
            '}' if !in_class => return Err("a closing brace has no opening one".to_owned()),
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        for text in &mut all {
            text.push(next);
        }
        *rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    Ok(all)
}

/// Expands the alternatives after an opening brace, up to and with the closing one.
fn alternatives(rest: &mut &str, depth: usize) -> Result<Vec<String>, String> {
    if depth > MAX_DEPTH {
        return Err(format!("braces are nested more than {MAX_DEPTH} deep"));
    }
    let mut all = Vec::new();
    loop {
        all.extend(sequence(rest, depth)?);
        check_size(all.len(), 0)?;
        let end = rest.chars().next();
        *rest = rest.get(1..).unwrap_or_default();
        match end {
            Some('}') => return Ok(all),
            Some(_) => {}
            None => return Err("an opening brace has no closing one".to_owned()),
        }
    }
}

fn product(heads: &[String], tails: &[String]) -> Result<Vec<String>, String> {
    let length = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
    let of_heads = length(heads).saturating_mul(tails.len());
    let of_tails = length(tails).saturating_mul(heads.len());
    let count = heads.len().saturating_mul(tails.len());
    check_size(count, of_heads.saturating_add(of_tails))?;
    let all = heads.iter();
    let all = all.flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}")));
    Ok(all.collect())
}

fn check_size(count: usize, length: usize) -> Result<(), String> {
    if count > MAX_ALTERNATIVES {
        return Err(format!(
            "the braces stand for more than {MAX_ALTERNATIVES} repositories"
        ));
    }
    if length > MAX_LENGTH {
        return Err("the braces stand for names that are too long together".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_are_multiplied_in_order() {
        for (text, expected) in [
            ("a", &["a"][..]),
            ("{a,b}", &["a", "b"]),
            ("x{a,b}y{1,2}", &["xay1", "xay2", "xby1", "xby2"]),
            ("{a,{b,c}d}", &["a", "bd", "cd"]),
            ("{a,}b", &["ab", "b"]),
            ("{a,a}", &["a"]),
            ("{a}", &["a"]),
            ("{a/b,c}/x", &["a/b/x", "c/x"]),
            ("a,b", &["a,b"]),
            ("[{,}]", &["[{,}]"]),
        ] {
            assert_eq!(expand(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn braces_come_in_pairs_and_their_product_is_bounded() {
        for (text, why) in [
            ("{a,b", "an opening brace has no closing one"),
            ("{a,{b}", "an opening brace has no closing one"),
            ("a}", "a closing brace has no opening one"),
        ] {
            assert_eq!(expand(text).unwrap_err(), why, "{text}");
        }
        assert_eq!(
            expand(&"{a,b,c,d,e,f,g,h,i,j}".repeat(4)).unwrap().len(),
            10_000
        );
        let why = expand(&"{a,b}".repeat(40)).unwrap_err();
        assert_eq!(why, "the braces stand for more than 10000 repositories");
        let deep = format!("{}a{}", "{".repeat(17), "}".repeat(17));
        let why = expand(&deep).unwrap_err();
        assert_eq!(why, "braces are nested more than 16 deep");
        assert!(expand(&format!("{}a{}", "{".repeat(16), "}".repeat(16))).is_ok());
        let long = format!("{{{}b}}{}", "a,".repeat(5_000), "x".repeat(3_000));
        assert_eq!(expand(&long).unwrap().len(), 2);
        let long = format!("{{{},b}}{{1,2}}", "x".repeat(3 << 20));
        let why = expand(&long).unwrap_err();
        assert_eq!(why, "the braces stand for names that are too long together");
    }
}
