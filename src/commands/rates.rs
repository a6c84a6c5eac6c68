//! Rate limits of the user: `[HOST[:PORT]=]N`.

use anyhow::{Context, anyhow};
use image_syncer_registry::Registry;
use image_syncer_registry::transport::PerRegistry;
use image_syncer_sync::config::RegistryLimits;

/// Parses `--max-requests`, in requests per second.
pub(super) fn requests(values: &[String]) -> anyhow::Result<PerRegistry<f64>> {
    read("--max-requests", values, |text| {
        RegistryLimits::parse_requests(text).map_err(|_| {
            "not a number of requests per second. Write a number from 0.01 to 1000000, such as 10 or registry.example.com=0.5."
        })
    })
}

/// Parses `--max-rate`, in bytes per second.
pub(super) fn bytes(values: &[String]) -> anyhow::Result<PerRegistry<u64>> {
    read("--max-rate", values, |text| {
        RegistryLimits::parse_rate(text).map_err(|_| {
            "not a rate. Write bytes per second, 64KiB or more, such as 50MiB, 10MB or registry.example.com=1GiB."
        })
    })
}

/// Parses values; the last one for a registry counts. A value that looks like a login is not repeated, as it may have
/// a password.
fn read<T>(
    flag: &str,
    values: &[String],
    number: impl Fn(&str) -> Result<T, &'static str>,
) -> anyhow::Result<PerRegistry<T>> {
    let mut all = PerRegistry::default();
    for value in values {
        let (host, text) = match value.rsplit_once('=') {
            Some((host, text)) => (Some(host), text),
            None => (None, value.as_str()),
        };
        let limit = number(text.trim()).map_err(|advice| {
            let shown = if text.contains('@') { "" } else { text };
            anyhow!("{}: {advice}", format!("{flag} {shown}").trim_end())
        })?;
        match host {
            Some(host) => {
                let registry = Registry::parse(host).with_context(|| flag.to_owned())?;
                all.named.insert(registry, limit);
            }
            None => all.each = Some(limit),
        }
    }
    Ok(all)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn given(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn the_last_for_a_registry_holds() {
        let read = requests(&given(&[
            "5",
            "localhost:5000=0.5",
            "10",
            "index.docker.io=2",
            "docker.io=3",
        ]))
        .unwrap();
        let named = [("localhost:5000", 0.5), ("docker.io", 3.0)];
        let named = named.map(|(host, limit)| (Registry::parse(host).unwrap(), limit));
        assert_eq!(read.each, Some(10.0));
        assert_eq!(read.named, named.into());
        assert_eq!(requests(&[]).unwrap(), PerRegistry::default());
    }

    #[test]
    fn rates_have_units() {
        for (text, expected) in [
            ("50MiB", 50 << 20),
            ("10MB", 10_000_000),
            ("10 MB/s", 10_000_000),
            ("1GiB", 1 << 30),
            ("65536", 65536),
            ("1.5 MiB", 3 << 19),
        ] {
            assert_eq!(
                bytes(&given(&[text])).unwrap().each,
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_flag_and_what_to_write() {
        for value in ["0", "-1", "NaN", "inf", "ten", "", "a.example=0", "2000000"] {
            let error = requests(&given(&[value])).unwrap_err().to_string();
            let number = value.rsplit('=').next().unwrap();
            let advice = "not a number of requests per second. Write a number from 0.01 to 1000000, such as 10 or registry.example.com=0.5.";
            let flag = format!("--max-requests {number}");
            assert_eq!(error, format!("{}: {advice}", flag.trim_end()));
        }
        for value in ["0", "1KiB", "50 parsecs", "-5MB", "MiB", ""] {
            let error = bytes(&given(&[value])).unwrap_err().to_string();
            let advice = "not a rate. Write bytes per second, 64KiB or more, such as 50MiB, 10MB or registry.example.com=1GiB.";
            let flag = format!("--max-rate {value}");
            assert_eq!(error, format!("{}: {advice}", flag.trim_end()));
        }
        let error = bytes(&given(&["user:secret@a.example=1GiB"])).unwrap_err();
        assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        assert!(format!("{error:#}").starts_with("--max-rate: "));
    }
}
