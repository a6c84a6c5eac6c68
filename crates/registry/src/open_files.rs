//! Retries after this process, or the whole system, has run out of open files.

use std::error::Error;
use std::io;
use std::time::Duration;

/// `EMFILE` and `ENFILE`, the same numbers on every Unix.
const OUT_OF_FILES: [i32; 2] = [24, 23];

/// Time between two tries: a file is released whenever a request of this process ends.
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats `attempt` as long as it fails for lack of open files. Ends only with another result; the caller limits the
/// time.
pub(crate) async fn retry_when_exhausted<T, E, F>(mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    loop {
        match attempt().await {
            Err(error) if is_exhausted(&error) => {
                tracing::debug!("no open files are left (ulimit -n), trying again");
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// Returns true if an error comes from the limit on open files.
fn is_exhausted(error: &(dyn Error + 'static)) -> bool {
    let mut link = Some(error);
    while let Some(error) = link {
        link = error.source();
        if let Some(error) = error.downcast_ref::<io::Error>() {
            if error
                .raw_os_error()
                .is_some_and(|code| OUT_OF_FILES.contains(&code))
            {
                return true;
            }
            // An error stored inside another one is not its source.
            link = error.get_ref().map_or(link, |inner| Some(inner));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::ready;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_lack_of_files_is_waited_out() {
        for code in OUT_OF_FILES {
            let tries = Cell::new(0);
            let outcome = retry_when_exhausted(|| {
                tries.set(tries.get() + 1);
                ready(match tries.get() {
                    1..=3 => Err(io::Error::other(io::Error::from_raw_os_error(code))),
                    4 => Err(io::Error::from_raw_os_error(code)),
                    _ => Ok(()),
                })
            });
            assert!(outcome.await.is_ok());
            assert_eq!(tries.get(), 5);
        }
        let tries = Cell::new(0);
        let refused = retry_when_exhausted(|| {
            tries.set(tries.get() + 1);
            ready(Err::<(), _>(io::Error::from(
                io::ErrorKind::ConnectionRefused,
            )))
        });
        assert!(refused.await.is_err());
        assert_eq!(tries.get(), 1);
    }
}
