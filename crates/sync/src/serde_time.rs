//! Durations and times as numbers in serialised data, exact to the nanosecond.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serializer};

/// A duration as its number of nanoseconds, at most 584 years.
pub(crate) mod nanoseconds {
    use super::{Deserialize, Deserializer, Duration, Serializer, to_number};

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(to_number(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

/// A time as its number of nanoseconds since the Unix epoch. An earlier time is 0, a time after 2554 the largest number.
pub(crate) mod unix_nanoseconds {
    use serde::de::Error;

    use super::{Deserialize, Deserializer, Duration, Serializer, SystemTime, to_number};

    #[allow(clippy::ref_option, reason = "serde hands a reference")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<SystemTime>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => {
                let since = time.duration_since(SystemTime::UNIX_EPOCH);
                serializer.serialize_some(&to_number(since.unwrap_or_default()))
            }
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SystemTime>, D::Error> {
        let Some(number) = Option::<u64>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(number));
        let time = time.ok_or_else(|| D::Error::custom("the time is out of range"))?;
        Ok(Some(time))
    }
}

fn to_number(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, Deserialize)]
    struct Times {
        #[serde(with = "nanoseconds")]
        duration: Duration,
        #[serde(with = "unix_nanoseconds")]
        time: Option<SystemTime>,
    }

    fn written(duration: Duration, time: Option<SystemTime>) -> String {
        serde_json::to_string(&Times { duration, time }).unwrap()
    }

    #[test]
    fn times_are_numbers_and_exact() {
        let second = Duration::new(1, 1);
        for (duration, time, json) in [
            (Duration::ZERO, None, r#"{"duration":0,"time":null}"#),
            (
                second,
                Some(SystemTime::UNIX_EPOCH + second),
                r#"{"duration":1000000001,"time":1000000001}"#,
            ),
            (
                Duration::from_nanos(u64::MAX),
                Some(SystemTime::UNIX_EPOCH),
                r#"{"duration":18446744073709551615,"time":0}"#,
            ),
        ] {
            assert_eq!(written(duration, time), json);
            let read: Times = serde_json::from_str(json).unwrap();
            assert_eq!(read, Times { duration, time });
        }
    }

    #[test]
    fn times_beyond_the_numbers_are_the_nearest_ones() {
        let long = Duration::from_secs(u64::from(u32::MAX) * 100);
        let early = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(
            written(long, Some(early)),
            r#"{"duration":18446744073709551615,"time":0}"#
        );
        for wrong in ["-1", "1.5", "\"1\""] {
            let json = format!(r#"{{"duration":{wrong},"time":null}}"#);
            assert!(serde_json::from_str::<Times>(&json).is_err(), "{wrong}");
        }
    }
}
